"""An authentication service on a real HTTPS server: good, slow, dead, wrong, another call's; left alone when it is out of order."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc import devcerts
from sbc.errors import SipError
from sbc.frozen import replace
from sbc.identity.passport import read
from sbc.identity.sign import Key
from sbc.identity.signature import ToSign
from sbc.net.authentication import BUSY, RESTING, AuthenticationService, signature_in
from sbc.net.breaker import FAILURES, REST, Breaker
from sbc.policy.snapshot import ServiceRules
from sbc.sip.fields.signed_identity import SignedIdentity
from tests.unit.identity.pki import NOW, URL
from tests.unit.identity.test_sign import KEY

ADDRESS, PORT = "127.0.0.1", 8445
ASKED = ToSign("office", "A", "12155550121", "12155550131", NOW)
DIV = ToSign("office", "", "12155550121", "12155550199", NOW, "12155550131")
Answer = Callable[[dict[str, Any]], Awaitable[tuple[int, bytes]]]


def signing(key: Key = KEY, *, late: int = 0, **other: str) -> Answer:
    async def answer(request: dict[str, Any]) -> tuple[int, bytes]:
        claims = request["signingRequest"]
        number, called = claims["orig"]["tn"], claims["dest"]["tn"][0]
        iat = claims["iat"] + late
        asked = ToSign("", other.get("attest", claims.get("attest", "")), number, other.get("called", called), iat)
        if "div" in claims:
            asked = ToSign("", "", number, called, iat, claims["div"]["tn"])
        return 200, json.dumps({"signingResponse": {"identity": key.sign(asked, other.get("origid", claims.get("origid", "")))}}).encode()

    return answer


def plain(status: int, octets: bytes = b"") -> Answer:
    async def answer(request: dict[str, Any]) -> tuple[int, bytes]:
        return status, octets

    return answer


async def silent(request: dict[str, Any]) -> tuple[int, bytes]:
    await asyncio.sleep(30)
    return 200, b""


class Site:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.now = 1000.0
        self.said: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                length = int(head.lower().partition("content-length:")[2].split()[0])
                status, octets = await self.answer(json.loads(await reader.readexactly(length)))
                writer.write(f"HTTP/1.1 {status} X\r\nLocation: /x\r\nContent-Length: {len(octets)}\r\n\r\n".encode() + octets)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def site(folder: Path, answer: Answer, patience: float = 1.0) -> AsyncIterator[tuple[Site, AuthenticationService]]:
    devcerts.make(folder, users=())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "edge.pem", folder / "edge.key")
    made = Site(answer)
    server = await asyncio.start_server(made.serve, ADDRESS, PORT, ssl=context)
    rules = ServiceRules(f"https://localhost:{PORT}/stir/v1/signing", "secret", patience, "token of ours", str(folder / "ca.pem"))
    service = AuthenticationService(rules, lambda: made.now, lambda url, problem: made.said.append(problem))
    try:
        yield made, service
    finally:
        await service.close()
        server.close()


def test_STI_06_what_is_asked_and_what_comes_of_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, signing()) as (made, service):
            signature = await service.sign(ASKED, "123e4567-e89b-12d3-a456-426655440000")
            assert (signature.attest, signature.origid, signature.problem) == ("A", "123e4567-e89b-12d3-a456-426655440000", "")
            found = read(SignedIdentity.parse(signature.identity).token)
            assert (found.iat, found.x5u) == (NOW, URL)
            diverted = await service.sign(DIV, "unused")
            assert read(SignedIdentity.parse(diverted.identity).token).diverted == "12155550131"
            assert made.heads[0].startswith("POST /stir/v1/signing HTTP/1.1\r\n")
            assert "authorization: bearer token of ours" in made.heads[0].lower()
            assert "x-requestid: 1" in made.heads[0].lower()

    asyncio.run(scene())


def test_STI_06_a_service_that_says_less_is_believed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, signing(attest="C")) as (_, service):
            assert (await service.sign(ASKED, "x")).attest == "C"

    asyncio.run(scene())


@pytest.mark.parametrize(("asked", "signed"), [("C", "A"), ("C", "B"), ("B", "A")])
def test_STI_06_a_service_that_says_more_is_not(tmp_path: Path, asked: str, signed: str) -> None:
    async def scene() -> None:
        async with site(tmp_path, signing(attest=signed)) as (_, service):
            signature = await service.sign(replace(ASKED, attest=asked), "x")
            assert (signature.identity, signature.attest) == ("", None)
            assert signature.problem == f"the authentication service: it signed {signed} where {asked} was asked for"

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (plain(400, b'{"signingResponse": {"reasonCode": "VESPER-0001"}}'), "no signature in its answer"),
        (plain(302), "no signature in its answer"),
        (plain(200, b"<html>"), "no signature in its answer"),
        (plain(200, b'{"signingResponse": {"identity": 5}}'), "no signature"),
        (plain(200, b'{"signingResponse": {"identity": "a;info=<x>\\r\\nEvil: 1"}}'), "malformed Identity"),
        (signing(called="12155550199"), "another call"),
        (signing(late=5), "another time, +5 s"),
        (signing(origid="y"), "another origid"),
        (signing(Key(KEY.private, "https://127.0.0.1/a.pem")), "leads inside"),
        (plain(500), "it answered 500"),
        (plain(200, b"x" * 70_000), "more than"),
        (silent, "no answer in 200 ms"),
    ],
)
def test_STI_06_whatever_it_does_there_is_an_answer_in_time(tmp_path: Path, answer: Answer, says: str) -> None:
    async def scene() -> None:
        async with site(tmp_path, answer, 0.2) as (_, service):
            begun = time.monotonic()
            signature = await service.sign(ASKED, "x")
            assert time.monotonic() - begun < 1.0
            assert signature.identity == ""
            assert says in signature.problem

    asyncio.run(scene())


def test_STI_06_nobody_there_and_left_alone_then(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, plain(503)) as (made, service):
            for _ in range(FAILURES):
                assert "503" in (await service.sign(ASKED, "x")).problem
            for _ in range(100):
                assert (await service.sign(ASKED, "x")).problem == RESTING
            assert (len(made.heads), made.said) == (FAILURES, ["it answered 503"])
            made.now += REST
            assert "503" in (await service.sign(ASKED, "x")).problem
            assert (await service.sign(ASKED, "x")).problem == RESTING
            made.now += REST
            made.answer = signing()
            assert (await service.sign(ASKED, "x")).identity
            assert (await service.sign(ASKED, "x")).identity
            assert made.said == ["it answered 503", ""]

    asyncio.run(scene())


def test_a_refusal_is_no_reason_to_leave_it_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, plain(400)) as (made, service):
            for _ in range(FAILURES + 1):
                await service.sign(ASKED, "x")
            assert len(made.heads) == FAILURES + 1
            assert made.said == []

    asyncio.run(scene())


def test_no_more_calls_wait_than_it_could_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc.net.authentication.WAITING", 3)

    async def scene() -> None:
        async with site(tmp_path, silent, 0.2) as (_, service):
            found = await asyncio.gather(*(service.sign(ASKED, "x") for _ in range(5)))
            assert [each.problem == BUSY for each in found] == [False] * 3 + [True] * 2

    asyncio.run(scene())


def test_a_server_that_cannot_prove_who_it_is_hears_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, signing()) as (made, _):
            devcerts.make(tmp_path / "others", users=())
            rules = ServiceRules(f"https://localhost:{PORT}/", "secret", 1.0, "token", str(tmp_path / "others" / "ca.pem"))
            service = AuthenticationService(rules, time.monotonic, lambda url, problem: None)
            assert "certificate" in (await service.sign(ASKED, "x")).problem.lower()
            assert made.heads == []
            await service.close()

    asyncio.run(scene())


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(
    st.sampled_from(["signingResponse", "identity"]), inner)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_answer_is_a_signature_of_ours_or_none(octets: bytes) -> None:
    with pytest.raises(SipError):
        signature_in(octets, ASKED, "x")


def test_a_breaker_tries_again_one_at_a_time() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(FAILURES):
        assert breaker.allows(0.0)
        breaker.failed(0.0)
    assert [breaker.allows(REST - 1), breaker.allows(REST), breaker.allows(REST)] == [False, True, False]
    breaker.succeeded()
    assert breaker.allows(REST)
