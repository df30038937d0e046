"""The way to the peer: found, connected, proven, answered; and what is said when one of these is not so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sbc.call.targets import wanted_of
from sbc.doctor import addresses, reach
from sbc.doctor.finding import Finding
from sbc.doctor.reach import Reached
from sbc.sip.locate import servers
from sbc.sip.message import Request, Response
from tests.unit.doctor.conftest import OURS, PEER, Place, ok
from tests.unit.net.bench import free_port, run
from tests.unit.net.nameserver import NameServer, serving

UDP, TCP, TLS = "sip:{peer}:{port};transport=udp", "sip:{peer}:{port};transport=tcp", "sip:{peer}:{port};transport=tls"


def lines(reached: Reached) -> list[str]:
    return [str(finding) for finding in reached.findings]


def seen(place: Place, reached: Reached) -> list[Finding]:
    snapshot = place.snapshot()
    return list(addresses.told(snapshot.realms["outside"], snapshot.trunks["peer"], reached))


@pytest.mark.parametrize("peer", [UDP, TCP])
def test_a_peer_that_answers(place: Place, peer: str) -> None:
    reached = place.reach(peer, ok)
    (line,) = lines(reached)
    assert line.startswith(f"good  {peer[-3:].upper()} {PEER}:{place.port}: OPTIONS is answered 200 after ")
    assert [str(each) for each in seen(place, reached)] == [
        f"good  {peer[-3:].upper()} {PEER} sees us where we say that we are: {OURS}",
        "note  the clock could not be compared: no answer has a Date",
    ]


def test_what_we_ask_is_what_we_are(place: Place) -> None:
    asked: list[Request] = []

    def answer(request: Request, source: tuple[str, int]) -> Response:
        asked.append(request)
        assert source[0] == OURS
        return ok(request, source)

    place.reach(UDP, answer)
    (request,) = asked
    assert (request.method, str(request.uri), request.via.host) == ("OPTIONS", f"sip:{PEER}:{place.port}", OURS)
    assert OURS in (request.headers.first("Contact") or "")


@pytest.mark.parametrize("peer", [UDP, TCP, TLS])
def test_nobody_there(place: Place, peer: str) -> None:
    (line,) = lines(place.reach(peer, None))
    transport = peer[-3:].upper()
    assert line.startswith(f"wrong {transport} {PEER}:{place.port}: no connection (")
    assert "nothing listens there" in line


@pytest.mark.parametrize("peer", [UDP, TCP])
def test_somebody_who_is_silent(place: Place, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "REPEATS", (0.02, 0.02))
    monkeypatch.setattr(reach, "ANSWER", 0.05)
    (line,) = lines(place.reach(peer, lambda request, source: None))
    assert line.startswith(f"wrong {peer[-3:].upper()} {PEER}:{place.port}: ")
    assert "not answered" in line


def test_a_datagram_that_got_lost_is_repeated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "REPEATS", (0.05, 5.0))
    came: list[Request] = []

    def answer(request: Request, source: tuple[str, int]) -> Response | None:
        came.append(request)
        return ok(request, source) if len(came) > 1 else None

    assert lines(place.reach(UDP, answer))[0].startswith("good")


@pytest.mark.parametrize(
    ("status", "verdict", "said"), [(503, "wrong", "overloaded"), (403, "note", "does not know us"), (404, "good", "404")]
)
def test_what_the_answer_means(place: Place, status: int, verdict: str, said: str) -> None:
    (line,) = lines(place.reach(UDP, lambda request, source: Response.answer(request, status, to_tag="x")))
    assert line.startswith(verdict)
    assert said in line


def test_a_nat_that_nobody_has_told_us_of(place: Place) -> None:
    def answer(request: Request, source: tuple[str, int]) -> Response:
        request.stamp(("198.51.100.99", 61000))
        return Response.answer(request, 200, to_tag="x")

    found = seen(place, place.reach(UDP, answer))
    assert str(found[0]).startswith(f"wrong UDP {PEER} sees our requests come from 198.51.100.99, and is told that we are at {OURS}: ")
    assert "set 'advertise: 198.51.100.99' in realm outside" in found[0].change
    assert "sees port 61000" in found[1].what


@pytest.mark.parametrize(("seconds", "verdict"), [(0, "good"), (50, "good"), (-300, "wrong"), (300, "wrong")])
def test_the_clock_by_the_date_of_the_answer(place: Place, seconds: int, verdict: str) -> None:
    def answer(request: Request, source: tuple[str, int]) -> Response:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        request.stamp(source)
        return Response.answer(request, 200, to_tag="x", headers=(("Date", date),))

    clock = seen(place, place.reach(UDP, answer))[-1]
    assert clock.verdict == verdict
    if verdict == "wrong":
        assert ("behind" if seconds > 0 else "ahead of") in clock.what


def test_a_date_that_is_none_is_no_clock(place: Place) -> None:
    answer = place.reach(UDP, lambda request, source: Response.answer(request, 200, to_tag="x", headers=(("Date", "yesterday"),)))
    assert seen(place, answer)[-1].verdict == "note"


def test_a_public_peer_is_not_to_be_told_a_private_address(place: Place) -> None:
    snapshot = place.snapshot("sip:8.8.8.8")
    realm, trunk = snapshot.realms["outside"], snapshot.trunks["peer"]
    assert trunk.peer is not None
    reached = Reached(servers=servers(wanted_of(trunk.peer, realm), {}, bytes))
    (finding,) = addresses.told(realm, trunk, reached)
    assert finding.verdict == "wrong"
    assert f"is told that we are at {OURS}, a private one" in finding.what
    assert "'advertise' of realm outside" in finding.change


def test_dns_as_far_as_it_goes(place: Place) -> None:
    port = free_port()

    def find(*zone: str) -> list[str]:
        async def scene() -> Reached:
            server = NameServer()
            server.knows(*zone)
            snapshot = place.snapshot("sip:peer.example;transport=udp")
            async with serving(server, "127.0.0.43", port), place.serving(ok):
                return await reach.reach(snapshot, snapshot.trunks["peer"], dns_port=port)

        return lines(run(scene()))

    srv, address, answered = find(f"_sip._udp.peer.example SRV 1 0 {place.port} a.peer.example.", f"a.peer.example A {PEER}")
    assert srv == f"good  DNS: SRV _sip._udp.peer.example: a.peer.example:{place.port}"
    assert address == f"good  DNS: A a.peer.example: {PEER}"
    assert answered.startswith(f"good  UDP {PEER}:{place.port}: OPTIONS is answered 200")
    (nothing,) = find("other.example A 192.0.2.1")
    assert nothing.startswith("wrong peer.example has no address that realm outside can reach (asked: 127.0.0.43): ")


def test_tls_with_the_one_it_should_be(place: Place) -> None:
    reached = place.reach(TLS, ok, certificate="certs/edge")
    proven, answered = lines(reached)
    assert proven == f"good  TLS with {PEER}:{place.port}: TLSv1.3, and it is {PEER}"
    assert answered.startswith("good")


@pytest.mark.parametrize(
    ("certificate", "said", "change"),
    [
        ("others/edge", "its certificate does not verify (", "put the authority that signed it into 'client_ca' of realm outside (now: "),
        ("", "no TLS (", "does that port speak TLS"),
    ],
)
def test_tls_that_is_not_to_be_trusted(place: Place, certificate: str, said: str, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "CONNECT", 1.0)
    (line,) = lines(place.reach(TLS, ok, certificate=certificate))
    assert line.startswith(f"wrong TLS {PEER}:{place.port}: {said}")
    assert change in line


def test_tls_with_somebody_else(place: Place) -> None:
    port = free_port()

    async def scene() -> Reached:
        server = NameServer()
        server.knows(f"gw.example A {PEER}")
        snapshot = place.snapshot("sip:gw.example:{port};transport=tls")
        async with serving(server, "127.0.0.43", port), place.serving(ok, "certs/edge"):
            return await reach.reach(snapshot, snapshot.trunks["peer"], dns_port=port)

    line = lines(run(scene()))[-1]
    assert line.startswith(f"wrong TLS {PEER}:{place.port}: the certificate is for ")
    assert "not for gw.example: write that name in 'peer' of trunk peer" in line


def test_of_many_servers_the_first_are_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "TRIED", 0)
    assert lines(place.reach(UDP, ok)) == ["note  1 more servers were not asked"]
