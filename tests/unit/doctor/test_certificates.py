"""Ours: in date, for the right name, whole, and the one that the process shows."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest

from sbc import devcerts
from sbc.doctor import certificates
from sbc.policy.snapshot import Snapshot
from tests.unit.doctor.conftest import OURS, Place
from tests.unit.net.bench import run


def found(snapshot: Snapshot, trunk: str = "office") -> list[str]:
    return [str(finding) for finding in certificates.ours(snapshot.realms["outside"], snapshot.trunks[trunk])]


def test_good_for_who_has_our_authority_and_nothing_is_running(place: Place) -> None:
    file, listener = found(place.snapshot())
    assert file.startswith(f"good  certificate {place.folder}/certs/edge.pem: until ")
    assert "sbc.example.net" in file
    assert file.endswith(f"; it verifies for who has {place.folder}/certs/ca.pem")
    assert listener.startswith(f"note  no TLS at our own {OURS}:{place.tls} (Connection refused)")


def test_an_authority_that_nobody_here_knows(place: Place) -> None:
    snapshot = place.snapshot()
    (place.folder / "certs" / "ca.pem").unlink()
    line = found(snapshot)[0]
    assert line.startswith("note  certificate")
    assert "it does not verify here (unable to get local issuer certificate)" in line


def test_an_authority_beside_it_that_has_not_signed_it(place: Place) -> None:
    snapshot = place.snapshot()
    (place.folder / "certs" / "ca.pem").write_bytes((place.folder / "others" / "ca.pem").read_bytes())
    assert "it does not verify here" in found(snapshot)[0]


def test_a_name_that_is_not_in_it(place: Place) -> None:
    line = found(place.snapshot(change=lambda text: text.replace("[sbc.example.net]", "[other.example.net]")))[1]
    assert line.startswith("wrong our certificate is for ")
    assert "PBXs are told other.example.net" in line
    assert len(found(place.snapshot(change=lambda text: text.replace("[sbc.example.net]", "[other.example.net]")), "peer")) == 2, (
        "a peer that we call has its own idea of our name"
    )


@pytest.mark.parametrize(("days", "said"), [(5, "note  certificate {} expires on "), (-1, "wrong certificate {} has expired on ")])
def test_dates(place: Place, monkeypatch: pytest.MonkeyPatch, days: int, said: str) -> None:
    monkeypatch.setattr(devcerts, "VALID_DAYS", abs(days))
    for file in (place.folder / "certs").iterdir():
        file.unlink()
    devcerts.make(place.folder / "certs", ["sbc.example.net"], users=())
    snapshot = place.snapshot()
    if days < 0:
        monkeypatch.setattr(certificates, "datetime", _Later)
    assert found(snapshot)[0].startswith(said.format(place.folder / "certs" / "edge.pem"))


class _Later(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC).replace(year=datetime.now(UTC).year + 9)


@pytest.mark.parametrize(("shown", "verdict"), [("certs", "good "), ("others", "wrong")])
def test_whether_the_process_shows_the_one_of_the_file(place: Place, shown: str, verdict: str) -> None:
    snapshot = place.snapshot()

    async def scene() -> list[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place.folder / shown / "edge.pem", place.folder / shown / "edge.key")
        server = await asyncio.start_server(lambda reader, writer: writer.close(), OURS, place.tls, ssl=context)
        try:
            return await asyncio.to_thread(found, snapshot)
        finally:
            server.close()

    line = run(scene())[-1]
    assert line.startswith(verdict)
    assert f"TLS at {OURS}:{place.tls}" in line
    assert ("SIGHUP" in line) == (verdict == "wrong")


def test_without_tls_there_is_nothing_to_look_at(place: Place) -> None:
    def plain(text: str) -> str:
        kept = [line for line in text.splitlines() if "certificate" not in line and "client_ca" not in line]
        return "\n".join(kept).replace(f", tls://{OURS}:{place.tls}", "") + "\n"

    assert found(place.snapshot(change=plain)) == []
