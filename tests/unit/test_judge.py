"""What the test peer says of the signature on a call, its certificate fetched from this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sbc import devcerts, passports
from sbc.errors import ConfigError
from sbc.judge import Judge
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from tests.unit.net.test_site import SERVED, URL, sites, snapshot

CALLER, CALLED = "+12155550121", "+12155550131"


def invite(*rows: str) -> Request:
    lines = (
        f"INVITE sip:{CALLED}@127.0.0.3 SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1",
        f"From: <sip:{CALLER}@127.0.0.2>;tag=1",
        f"To: <sip:{CALLED}@127.0.0.3>",
        "Call-ID: 1",
        "CSeq: 1 INVITE",
        "Max-Forwards: 70",
        *rows,
    )
    found = parse_datagram("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    assert isinstance(found, Request)
    return found


def signed(folder: Path, attest: str = "A", called: str = CALLED) -> Request:
    claims = passports.claims_of(attest, CALLER, called, "123e4567-e89b-12d3-a456-426655440000", None)
    return invite(passports.header(claims, folder / "certs" / "stir.key", URL, "shaken"))


def test_what_is_said(tmp_path: Path) -> None:
    async def scene() -> None:
        page = snapshot(tmp_path, SERVED)
        async with sites(tmp_path) as (site, _, _):
            judge = Judge(tmp_path / "certs" / "sti-ca.pem", tmp_path / "certs" / "ca.pem")
            assert await judge(invite()) == "not signed: No-TN-Validation"
            assert (await judge(invite("P-Asserted-Identity: <<>"))).startswith("not to be verified: ")
            early = Judge(tmp_path / "certs" / "sti-ca.pem", tmp_path / "certs" / "ca.pem")
            said = await early(signed(tmp_path))
            assert said == f"signed, not verified: TN-Validation-Failed, {URL}: All connection attempts failed"
            site.apply(site.read(page))
            await site.settled()
            assert await judge(signed(tmp_path, "B")) == "signed B, verified: TN-Validation-Passed-B"
            said = await judge(signed(tmp_path, called="+12155550199"))
            assert said.startswith("signed, not verified: TN-Validation-Failed, 438 Invalid Identity Header: not for whom is called")
            devcerts.make_stir(tmp_path / "others")
            stranger = Judge(tmp_path / "others" / "sti-ca.pem", tmp_path / "certs" / "ca.pem")
            assert "437 Unsupported Credential: not issued by anybody we trust" in await stranger(signed(tmp_path))

    asyncio.run(scene())


def test_authorities_that_cannot_be_read_are_the_operators_to_mend(tmp_path: Path) -> None:
    devcerts.make_stir(tmp_path)
    with pytest.raises(ConfigError, match=r"none\.pem: No such file"):
        Judge(tmp_path / "none.pem", tmp_path / "none.pem")
    with pytest.raises(ConfigError, match=r"none\.pem: No such file"):
        Judge(tmp_path / "sti-ca.pem", tmp_path / "none.pem")
