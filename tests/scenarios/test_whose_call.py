"""Whose call it is, where two ways to tell disagree: certificate, then password, then registration, then address."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios import outbound, through
from tests.scenarios.cast import Cast
from tests.scenarios.test_registration import credentials
from tests.world import POLICY, Agent, World, sdp

TRUNKS = """
  certified:
    realm: outside
    accept_certificate: [pbx.example]
    media: plain
  branch:
    realm: outside
    accepts_registration: {user: branch, password: {file: alice.secret}}
    media: plain
  campus:
    realm: outside
    accept_from: [10.0.0.0/24]
    peer: sip:10.0.0.99
    media: plain
  north:
    realm: outside
    accept_from: [10.0.0.30, 10.0.9.0/24]
    authenticates: {user: north-1, password: {file: alice.secret}}
    peer: sip:10.0.0.30
    media: plain
  south:
    realm: outside
    accept_from: [10.0.9.0/24, 10.0.0.30]
    authenticates: {user: south, password: {file: alice.secret}}
    peer: sip:10.0.0.30
    media: plain
  roaming:
    realm: outside
    authenticates: {user: roaming, password: {file: alice.secret}}
    peer: sip:10.0.0.98
    media: plain
  carrier:
"""
ANY = """
routes:
  - {name: any, when: {realm: outside, to: "+1*"}, send_to: [carrier]}
"""
NUMBER = "+12025550143"
ACCOUNTS = {"north": "north-1", "south": "south"}


def with_trunks(text: str = POLICY) -> str:
    return text.replace("\n  carrier:\n", TRUNKS, 1).replace("\nroutes:\n", ANY, 1)


def at(world: World, source: str, *, names: tuple[str, ...] = (), tls: bool = False) -> Agent:
    return world.agent("caller", (source, 5062), "outside", "TLS" if tls or names else "UDP", 7 if tls or names else 0, names)


def invite(agent: Agent, *headers: tuple[str, str], cseq: int = 1, number: str = NUMBER) -> Request:
    request = agent.request(
        "INVITE",
        f"sip:{number}@sbc.example.com",
        call_id="one",
        cseq=cseq,
        body=sdp(agent.host, 40000),
        headers=(*headers, ("User-Agent", "x" * 300)),
    )
    agent.send(request)
    return request


def with_password(agent: Agent, user: str, password: str = "wonderland") -> Request:
    """A call that brings the answer to a challenge, whether one was asked for or not."""
    made_up = 'Digest username="nobody", realm="sbc.example.com", nonce="x", uri="sip:x", response="00000000000000000000000000000000"'
    first = invite(agent, ("Authorization", made_up))
    challenge = agent.expect_response(401)
    return invite(agent, credentials(challenge, first, password, user), cseq=2)


def whose(world: World) -> tuple[object, object]:
    """The one call there has been: whose, and by what proof."""
    world.agents.setdefault(("10.1.0.2", 5060), world.agent("carrier", ("10.1.0.2", 5060), "inside"))
    world.shut_down()
    world.after(40)
    (record,) = world.records
    leg = record["a"]
    assert isinstance(leg, dict)
    return leg.get("trunk") or leg.get("user"), record["identified_by"]


ADDRESSES = {"office": "10.0.0.20", "campus": "10.0.0.21", "north and south": "10.0.0.30", "nobody": "203.0.113.5"}


@pytest.mark.parametrize("source", list(ADDRESSES.values()))
def test_TLS_05_a_certificate_counts_more_than_any_address(source: str) -> None:
    world = World(with_trunks())
    invite(at(world, source, names=("pbx.example",)))
    assert whose(world) == ("certified", "certificate")


def test_TLS_05_a_certificate_counts_more_than_a_password() -> None:
    """Nobody looks at a password, right or wrong, of whoever has proved already who it is."""
    world = World(with_trunks())
    caller = at(world, "10.0.0.20", names=("pbx.example",))
    row = 'Digest username="branch", realm="sbc.example.com", nonce="x", uri="sip:x", response="00000000000000000000000000000000"'
    invite(caller, ("Authorization", row))
    assert whose(world) == ("certified", "certificate")
    assert not world.logs


@pytest.mark.parametrize(("source", "expected"), [("10.0.0.20", ("office", "address")), ("10.0.0.21", ("campus", "address"))])
def test_TLS_05_a_certificate_that_is_nobodys_proves_nothing(source: str, expected: tuple[str, str]) -> None:
    world = World(with_trunks())
    invite(at(world, source, names=("other.example",)))
    assert whose(world) == expected


@pytest.mark.parametrize("user", ["branch", "alice", "roaming"])
@pytest.mark.parametrize("source", list(ADDRESSES.values()))
def test_AUTH_08_a_password_counts_more_than_an_address(source: str, user: str) -> None:
    world = World(with_trunks())
    with_password(at(world, source), user)
    assert whose(world) == (user, "digest")


@pytest.mark.parametrize("source", ["10.0.0.20", "10.0.0.30", "203.0.113.5"])
def test_AUTH_08_a_wrong_password_is_not_made_good_by_an_address(source: str) -> None:
    world = World(with_trunks())
    caller = at(world, source)
    with_password(caller, "branch", "guess")
    assert "stale" not in (caller.expect_response(401).headers.first("WWW-Authenticate") or "")
    assert not world.records
    assert world.logs[-1].event == "wrong password"
    assert world.logs[-1].facts == {"realm": "outside", "user": "branch", "source": f"{source}:5062", "transport": "UDP"}
    assert "guess" not in repr(world.logs)


def test_AUTH_08_a_password_for_another_realm_is_nothing_to_us() -> None:
    world = World(with_trunks())
    row = 'Digest username="branch", realm="elsewhere", nonce="x", uri="sip:x", response="00000000000000000000000000000000"'
    invite(at(world, "10.0.0.20"), ("Authorization", row))
    assert whose(world) == ("office", "address")


@pytest.mark.parametrize(("source", "trunk"), [("10.0.0.20", "office"), ("10.0.0.21", "campus"), ("10.0.0.255", "campus")])
def test_AUTH_08_of_nested_networks_the_longest_prefix_is_the_caller(source: str, trunk: str) -> None:
    """Whatever it says of itself."""
    world = World(with_trunks())
    caller = at(world, source)
    caller.name = "campus" if trunk == "office" else "office"
    invite(caller, ("P-Asserted-Identity", "<sip:north@10.0.0.30>"))
    assert whose(world) == (trunk, "address")


# Trunks whose address is not enough


@pytest.mark.parametrize("trunk", ["north", "south"])
def test_AUTH_08_two_trunks_behind_one_address_are_told_apart_by_their_passwords(trunk: str) -> None:
    world = World(with_trunks())
    caller = at(world, "10.0.0.30")
    first = invite(caller)
    again = invite(caller, credentials(caller.expect_response(401), first, user=ACCOUNTS[trunk]), cseq=2)
    assert again.cseq.number == 2
    assert whose(world) == (trunk, "digest")


@pytest.mark.parametrize("source", ["10.0.0.30", "10.0.9.1"])
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER"])
def test_AUTH_08_a_known_address_alone_is_not_let_in_where_a_password_is_asked_for(method: str, source: str) -> None:
    world = World(with_trunks())
    caller = at(world, source)
    caller.send(caller.request(method, f"sip:{NUMBER}@sbc.example.com", headers=(("User-Agent", "x" * 300),)))
    caller.expect_response(401)
    assert not world.records


def test_AUTH_08_whoever_is_known_is_challenged_as_often_as_it_calls_and_pings_without() -> None:
    world = World(with_trunks())
    caller = at(world, "10.0.0.30")
    for number in range(500):
        caller.send(caller.request("INVITE", f"sip:{NUMBER}@elsewhere.example", call_id=f"c{number}", headers=(("User-Agent", "x" * 300),)))
        caller.expect_response(401)
    caller.send(caller.request("OPTIONS", "sip:10.0.0.1"))
    caller.expect_response(200)
    assert world.core.leftovers().keys() <= {"timers", "transactions"}, "of the OPTIONS"


@pytest.mark.parametrize("source", ["10.0.0.20", "10.0.0.21", "203.0.113.5"])
def test_AUTH_08_a_password_from_elsewhere_than_accept_from_is_403(source: str) -> None:
    world = World(with_trunks())
    caller = at(world, source)
    with_password(caller, "north-1")
    caller.expect_response(403)
    assert not world.records
    assert (world.logs[-1].event, world.logs[-1].facts["user"]) == ("password from elsewhere", "north-1")


def test_AUTH_08_each_of_its_addresses_will_do() -> None:
    world = World(with_trunks())
    with_password(at(world, "10.0.9.200"), "north-1")
    assert whose(world) == ("north", "digest")


def test_an_account_that_only_authenticates_does_not_register() -> None:
    world = World(with_trunks())
    caller = at(world, "10.0.0.30")
    first = caller.request("REGISTER", "sip:sbc.example.com", to="<sip:north-1@sbc.example.com>", headers=(("User-Agent", "x" * 300),))
    caller.send(first)
    row = credentials(caller.expect_response(401), first, user="north-1")
    caller.send(caller.request("REGISTER", "sip:sbc.example.com", to="<sip:north-1@sbc.example.com>", cseq=2, headers=(row,)))
    caller.expect_response(403)


@pytest.mark.parametrize(("source", "status"), [("10.0.9.9", 200), ("10.0.0.21", 481)])
@pytest.mark.parametrize("trunk", ["north", "south"])
def test_both_of_one_address_are_obeyed_in_their_own_calls(trunk: str, source: str, status: int) -> None:
    """Also from another address of theirs, and from no other trunk's."""
    cast = Cast(with_trunks())
    caller = at(cast.world, "10.0.0.30")
    with_password(caller, ACCOUNTS[trunk])
    caller.expect_response(100)
    received = cast.carrier.expect_request("INVITE")
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    ok = caller.expect_response(200)
    assert isinstance(ok, Response)
    elsewhere = cast.world.agent("caller", (source, 5062), "outside")
    bye = elsewhere.request("BYE", "sip:10.0.0.1", call_id="one", cseq=3, from_tag=ok.from_.tag or "", to_tag=ok.to.tag or "")
    elsewhere.send(bye)
    elsewhere.expect_response(status)


# Registered through us: nobody here knows the password


def registered_through(world: World, source: str) -> Agent:
    core = through.core_of(world)
    pbx = world.agent("pbx", (source, 40001), "outside", "TLS", 9)
    through.register(pbx, "<sip:pbx@192.168.1.5>", user="pbx")
    received = core.expect_request("REGISTER")
    contact = received.headers.first("Contact")
    assert contact is not None
    core.answer(received, 200, headers=(("Contact", f"{contact};expires=3600"),))
    pbx.expect_response(200)
    return pbx


@pytest.mark.parametrize("source", ["203.0.113.5", "10.0.0.20", "10.0.0.30"])
def test_OUT_11_who_has_registered_on_this_flow_counts_more_than_its_address(source: str) -> None:
    world = World(with_trunks(through.with_core()))
    pbx = registered_through(world, source)
    invite(pbx, number="+4930123")
    assert whose(world) == ("ippbx", "registration")


def test_OUT_11_on_another_flow_from_that_address_it_is_the_address() -> None:
    world = World(with_trunks(through.with_core()))
    registered_through(world, "10.0.0.20")
    invite(at(world, "10.0.0.20"), number="+4930123")
    assert whose(world) == ("office", "address")


def test_OUT_11_a_password_counts_more_than_a_registration() -> None:
    world = World(with_trunks(through.with_core()))
    pbx = registered_through(world, "203.0.113.5")
    with_password(pbx, "branch")
    assert whose(world) == ("branch", "digest")


def test_OUT_11_a_certificate_counts_more_than_a_registration() -> None:
    world = World(with_trunks(through.with_core()))
    pbx = registered_through(world, "203.0.113.5")
    invite(world.agent("pbx", pbx.flow.remote, "outside", "TLS", 9, ("pbx.example",)))
    assert whose(world) == ("certified", "certificate")


# We are registered there


def called_by(carrier: outbound.Carrier, line: str, names: tuple[str, ...] = ()) -> None:
    server = carrier.world.agent("a", ("10.1.7.1", 5060), "inside", names=names)
    server.send(server.request("INVITE", f"sip:{NUMBER}@10.1.0.1:5060{line}", body=sdp(server.host, 50000)))


@pytest.mark.parametrize(("with_line", "expected"), [(True, ("tel", "registration")), (False, ("backup", "address"))])
def test_AUTH_08_the_line_of_our_registration_counts_more_than_an_address(with_line: bool, expected: tuple[str, str]) -> None:
    carrier = outbound.Carrier(World(outbound.with_account().replace("[10.1.0.3/32]", "[10.1.0.3/32, 10.1.7.0/24]")))
    request = carrier.registered()
    called_by(carrier, f";line={outbound.line_of(request)}" if with_line else "")
    assert whose(carrier.world) == expected


def test_TLS_05_a_certificate_counts_more_than_the_line_of_our_registration() -> None:
    text = outbound.with_tls(outbound.with_account()).replace("[10.1.0.3/32]", "[10.1.0.3/32]\n    accept_certificate: [b.example]")
    carrier = outbound.Carrier(World(text))
    request = carrier.registered()
    called_by(carrier, f";line={outbound.line_of(request)}", names=("b.example",))
    assert whose(carrier.world) == ("backup", "certificate")
