"""Registration through us: what crosses, how often, and what happens when there is nobody to ask."""

from __future__ import annotations

import pytest

from sbc.inputs import BindingsFound, FlowClosed, PolicyChanged
from sbc.sip.digest import answer as digest_answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.fields.contact import Contact
from sbc.sip.uri import Uri
from tests.scenarios.through import (
    DOMAIN,
    INSTANCE,
    Rows,
    contacts_granted,
    core_of,
    grant,
    invite,
    on_udp,
    phone,
    register,
    registered,
    token_of,
    with_core,
)
from tests.vectors.messages import octets
from tests.world import START, Agent, World, snapshot_of


@pytest.fixture
def policy() -> str:
    return with_core()


@pytest.fixture
def bob(world: World) -> Agent:
    return phone(world)


@pytest.fixture
def core(world: World) -> Agent:
    return core_of(world)


# What crosses


def test_OUT_11_the_contact_becomes_a_token_and_keeps_what_the_phone_can_do(world: World, bob: Agent, core: Agent) -> None:
    tags = f'+sip.instance={INSTANCE};reg-id=1;q=0.7;audio;methods="INVITE,ACK"'
    push = "pn-provider=acme;pn-prid=ZTY4;pn-param=p"
    row = f'"Bob" <sip:bob@192.168.1.5:5061;transport=tls;{push};line=7>;{tags};impi=1060;ha1=00000000000000000000000000000000'
    received, ok = registered(bob, core, contact=row)
    told = received.headers.all("Contact")
    token = token_of(received)
    assert told == [f"<sip:{token}@10.1.0.1:5060;{push}>;{tags};expires=3600"]
    assert not any(word in received.encode() for word in (b"192.168", b"203.0.113", b"ha1", b"impi", b"Phone on", b"reg-bob", b"line=7"))
    assert len(token) > 32
    assert "bob" not in token
    assert str(received.uri) == "sip:example.com"
    assert (str(received.from_.uri), str(received.to.uri)) == ("sip:bob@example.com", "sip:bob@example.com")
    (own,) = ok.headers.all("Contact")
    assert own.startswith(f"<sip:bob@192.168.1.5:5061;transport=tls;{push};line=7>;+sip.instance=")
    assert own.endswith(";expires=60")


def test_OUT_11_a_whole_samples_contact_gives_nothing_away(world: World, bob: Agent, core: Agent) -> None:
    """As sipML5 sends it: the hash of the password among the parameters."""
    row = octets("samples", "sipml5_invite_wss.sip").decode().partition("Contact: ")[2].partition("\r\n")[0]
    assert "ha1=" in row
    received, _ = registered(bob, core, contact=row)
    assert received.headers.all("Contact") == [
        f'<sip:{token_of(received)}@10.1.0.1:5060>;+g.oma.sip-im;+sip.ice;language="en,fr";expires=3600'
    ]


def test_OUT_10_gruu_is_off_and_a_gr_is_kept(world: World, bob: Agent, core: Agent) -> None:
    row = f"<sip:bob@192.168.1.5:5061;gr=urn:uuid:f81d4fae>;+sip.instance={INSTANCE}"
    received, ok = registered(bob, core, contact=row, headers=(("Supported", "gruu, path"),))
    assert Contact.parse(received.headers.first("Contact") or "").uri.param("gr") == "urn:uuid:f81d4fae"
    assert b"gruu" not in received.encode()
    assert b"gruu" not in ok.encode()


def test_OUT_09_push_feature_caps_reach_the_phone(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    caps = ("Feature-Caps", '*;+sip.pns="acme";+sip.pnsreg="121"')
    grant(core, headers=(caps, ("Server", "core 1.0")))
    ok = bob.expect_response(200)
    assert ok.headers.all("Feature-Caps") == [caps[1]]
    assert "Server" not in ok.headers
    world.after(20)
    register(bob, cseq=2)
    assert bob.expect_response(200).headers.all("Feature-Caps") == [caps[1]], "the same when nobody was asked"
    core.expect_nothing()


@pytest.mark.parametrize(("status", "header"), [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")])
def test_the_challenge_of_the_registrar_passes_and_so_does_its_answer(
    world: World, bob: Agent, core: Agent, status: int, header: str
) -> None:
    first = register(bob)
    core.answer(core.expect_request("REGISTER"), status, headers=((header, 'Digest realm="core", nonce="n1", qop="auth"'),))
    challenge = bob.expect_response(status)
    assert world.trusted_flows == [], "nobody has proved anything"
    challenges = [Challenge.parse(row) for row in challenge.headers.all(header)]
    proof = digest_answer(challenges, "bob", "secret", "REGISTER", str(first.uri), 1, "c")
    name = "Authorization" if status == 401 else "Proxy-Authorization"
    register(bob, cseq=2, headers=((name, proof),))
    received = core.expect_request("REGISTER")
    assert received.headers.all(name) == [proof]
    assert str(received.uri) == str(first.uri), "or the digest would not be right"
    core.answer(received, 200, headers=(*contacts_granted(received, 3600), ("Authentication-Info", 'nextnonce="n2"')))
    assert bob.expect_response(200).headers.first("Authentication-Info") == 'nextnonce="n2"'
    assert [each.flow for each in world.trusted_flows] == [bob.flow]


def test_too_brief_is_the_registrars_word(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    core.answer(core.expect_request("REGISTER"), 423, headers=(("Min-Expires", "7200"),))
    assert bob.expect_response(423).headers.first("Min-Expires") == "7200"
    register(bob, expires=7200, cseq=2)
    assert Contact.parse(core.expect_request("REGISTER").headers.first("Contact") or "").expires == 7200
    bob.inbox.clear()


def test_TRN_08_a_challenge_that_passes_is_not_longer_than_the_request(world: World, core: Agent) -> None:
    bob = on_udp(world)
    for padding in range(0, 400, 50):
        request = bob.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:bob@{DOMAIN}>", headers=(("X", "x" * padding),))
        bob.send(request)
        challenge = (("WWW-Authenticate", f'Digest realm="core", nonce="{"n" * 100}"'),)
        core.answer(core.expect_request("REGISTER"), 401, headers=challenge)
        assert all(len(each.encode()) <= len(request.encode()) for each in bob.inbox)
        bob.inbox.clear()
        world.after(40)


# How often


def test_OUT_06_a_phone_that_refreshes_each_minute_costs_the_registrar_one_in_half_an_hour(world: World, bob: Agent, core: Agent) -> None:
    registered(bob, core, grants=3600)
    seen = 0
    for minute in range(1, 61):
        world.after(59)
        register(bob, cseq=1 + minute)
        if core.inbox:
            grant(core, 3600)
            seen += 1
        assert Contact.parse(bob.expect_response(200).headers.first("Contact") or "").expires == 60
    assert seen == 1


def test_OUT_06_the_phone_is_never_promised_more_than_the_registrar_gave(world: World, bob: Agent, core: Agent) -> None:
    _, ok = registered(bob, core, grants=200, expires=3600)
    assert Contact.parse(ok.headers.first("Contact") or "").expires == 200
    world.after(90)
    register(bob, cseq=2, expires=3600)
    core.expect_nothing()
    assert Contact.parse(bob.expect_response(200).headers.first("Contact") or "").expires == 110
    world.after(20)
    register(bob, cseq=3, expires=3600)
    grant(core, 200)
    bob.expect_response(200)


def test_OUT_06_what_changes_something_is_always_passed_on(world: World, bob: Agent, core: Agent) -> None:
    received, _ = registered(bob, core)
    token = token_of(received)
    elsewhere = phone(world, 8)  # another source
    register(elsewhere, cseq=2)
    assert token_of(grant(core)) == token
    elsewhere.expect_response(200)
    others: tuple[tuple[str, dict[str, object]], ...] = (
        ("a new Call-ID", {"headers": ()}),
        ("other abilities", {"contact": "<sip:bob@192.168.1.5:5061;transport=tls>;video"}),
        (
            "other credentials",
            {"headers": (("Authorization", 'Digest username="bob", realm="core", nonce="n9", uri="sip:x", response="0"'),)},
        ),
    )
    for cseq, (why, options) in enumerate(others, 3):
        if why == "a new Call-ID":
            elsewhere.name = "bob2"
        register(elsewhere, cseq=cseq, **options)  # type: ignore[arg-type]
        assert core.inbox, why
        grant(core)
        elsewhere.expect_response(200)
    register(elsewhere, cseq=9, expires=0, contact="<sip:bob@192.168.1.5:5061;transport=tls>;video")
    goodbye = core.expect_request("REGISTER")
    assert Contact.parse(goodbye.headers.first("Contact") or "").expires == 0
    core.answer(goodbye, 200)
    assert "Contact" not in elsewhere.expect_response(200).headers
    assert "bob" not in world.stored


def test_OUT_06_each_sixtieth_refresh_is_passed_on(world: World, bob: Agent, core: Agent) -> None:
    register(bob, expires=60)
    request = core.expect_request("REGISTER")
    value = Contact.parse(request.headers.first("Contact") or "")
    core.answer(request, 200, headers=(("Contact", f"<{value.uri}>;expires=864000"),))
    bob.expect_response(200)
    passed = []
    for refresh in range(1, 130):
        world.after(50)
        register(bob, cseq=1 + refresh)
        if core.inbox:
            passed.append(refresh)
            request = core.expect_request("REGISTER")
            core.answer(request, 200, headers=(("Contact", f"<{value.uri}>;expires=864000"),))
        bob.expect_response(200)
    assert passed == [60, 120]


def test_one_registration_has_one_call_id_and_rising_numbers_at_the_registrar(world: World, bob: Agent, core: Agent) -> None:
    first, _ = registered(bob, core, grants=100)
    world.after(55)
    register(bob, cseq=2)
    core.answer(core.expect_request("REGISTER"), 401, headers=(("WWW-Authenticate", 'Digest realm="core", nonce="n"'),))
    bob.expect_response(401)
    register(bob, cseq=3)
    second = grant(core, 100)
    bob.expect_response(200)
    assert (second.call_id, second.cseq.number) == (first.call_id, first.cseq.number + 2)
    assert token_of(second) == token_of(first)


def test_a_question_is_the_registrars_to_answer_and_a_star_passes(world: World, bob: Agent, core: Agent) -> None:
    registered(bob, core)
    register(bob, contact="", cseq=2)
    asked = core.expect_request("REGISTER")
    assert "Contact" not in asked.headers
    core.answer(asked, 200, headers=(("Contact", "<sip:somebody@10.1.0.77>;expires=100"),))
    assert len(bob.expect_response(200).headers.all("Contact")) == 1, "and what it has inside stays inside"
    register(bob, contact="*", cseq=3, expires=0)
    star = core.expect_request("REGISTER")
    assert (star.headers.all("Contact"), star.headers.first("Expires")) == (["*"], "0")
    core.answer(star, 200)
    bob.expect_response(200)
    assert "bob" not in world.stored


def test_what_the_registrar_does_not_list_is_not_registered(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    core.answer(core.expect_request("REGISTER"), 200, headers=(("Contact", "<sip:other@10.1.0.1:5060>;expires=3600"),))
    assert "Contact" not in bob.expect_response(200).headers
    assert "bob" not in world.stored


# When there is nobody to ask


def test_REJ_03_a_registrar_that_is_not_there_is_503_and_when_to_try_again(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    core.expect_request("REGISTER")
    world.after(10.5)
    assert int(bob.expect_response(503).headers.first("Retry-After") or 0) > 0
    world.unreachable.add(core.flow.remote)
    register(bob, cseq=2)
    assert int(bob.expect_response(503).headers.first("Retry-After") or 0) > 0


@pytest.mark.parametrize(("status", "wait"), [(500, "60"), (503, "17"), (302, "60"), (408, "60"), (603, "60")])
def test_REJ_03_its_outage_is_no_refusal(world: World, bob: Agent, core: Agent, status: int, wait: str) -> None:
    register(bob)
    headers: Rows = (("Retry-After", "17"),) if status == 503 else (("Contact", "<sip:x@10.1.0.7>"),)
    core.answer(core.expect_request("REGISTER"), status, headers=headers)
    assert bob.expect_response(503).headers.first("Retry-After") == wait


def test_a_late_yes_counts(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    received = core.expect_request("REGISTER")
    world.after(11)
    bob.expect_response(503)
    core.inbox.clear()  # asked once more
    core.answer(received, 200, headers=contacts_granted(received, 3600))
    invite(core, token_of(received))
    bob.answer(bob.expect_request("INVITE"), 486)
    core.expect_response(100)
    core.expect_response(486)


@pytest.mark.parametrize("row", [("Contact", "<sip:a"), ("Service-Route", "<sip:a")])
def test_a_yes_that_cannot_be_read_is_none(world: World, bob: Agent, core: Agent, row: tuple[str, str]) -> None:
    register(bob)
    received = core.expect_request("REGISTER")
    core.answer(received, 200, headers=(*contacts_granted(received, 600), row))
    assert "Retry-After" in bob.expect_response(503).headers
    assert "bob" not in world.stored


def test_a_phone_that_is_gone_before_its_registrar_answers_is_waited_for(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    received = core.expect_request("REGISTER")
    world.receive(FlowClosed(bob.flow))
    core.answer(received, 200, headers=contacts_granted(received, 600))
    invite(core, token_of(received))
    core.expect_response(100)
    again = phone(world, 8)
    registered(again, core, cseq=2)
    world.after(0.3)
    again.answer(again.expect_request("INVITE"), 486)
    core.expect_response(486)


def test_a_no_of_the_registrar_is_a_no(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    core.answer(core.expect_request("REGISTER"), 404)
    bob.expect_response(404)
    assert "bob" not in world.stored


def test_strangers_do_not_make_us_ask_the_registrar_without_end(world: World, core: Agent) -> None:
    mallory = on_udp(world)
    for number in range(200):
        mallory.name = f"m{number}"
        register(mallory)
    assert len([each for each in world.sent if each.flow.remote == core.flow.remote]) <= 20


def test_a_name_that_is_nobodys_is_not_passed_on(world: World, bob: Agent, core: Agent) -> None:
    register(bob, user="nobody")
    core.expect_nothing()


def test_bulk_registration_does_not_pass(world: World, bob: Agent, core: Agent) -> None:
    register(bob, contact="<sip:192.168.1.5;bnc>", headers=(("Require", "gin"),))
    assert bob.expect_response(420).headers.first("Unsupported") == "gin"
    core.expect_nothing()


def test_a_register_too_long_for_udp_goes_by_tcp(world: World, bob: Agent, core: Agent) -> None:
    by_tcp = world.agent("core", ("10.1.0.9", 5060), "inside", "TCP", connection=3)
    register(bob, contact=f"<sip:bob@192.168.1.5;pn-prid={'x' * 1000}>")
    received = by_tcp.expect_request("REGISTER")
    assert received.via.transport == "TCP"
    assert Contact.parse(received.headers.first("Contact") or "").uri.param("transport") == "tcp"
    by_tcp.answer(received, 200, headers=contacts_granted(received, 600))
    bob.expect_response(200)


# What outlives us


def test_after_a_restart_tokens_are_the_same_and_refreshes_are_absorbed(world: World, policy: str) -> None:
    before = World(policy)
    bob, core = on_udp(before), before.agent("core", ("10.1.0.9", 5060), "inside")
    register(bob, contact="<sip:bob@203.0.113.8>")
    first = grant(core, 100, headers=(("Service-Route", "<sip:s.example.net;lr>"), ("Feature-Caps", "*;+x")))
    bob.expect_response(200)
    world.now = START._replace(monotonic=5.0, wall=before.now.wall + 10)
    world.receive(BindingsFound(tuple(before.stored.items())))
    bob, core = on_udp(world), world.agent("core", ("10.1.0.9", 5060), "inside")
    register(bob, contact="<sip:bob@203.0.113.8>", cseq=2)
    ok = bob.expect_response(200)
    assert ok.headers.all("Service-Route") == ["<sip:10.0.0.1:5060;lr>"]
    assert ok.headers.all("Feature-Caps") == ["*;+x"]
    core.expect_nothing()
    invite(core, token_of(first))
    bob.answer(bob.expect_request("INVITE"), 486)
    bob.expect_request("ACK")
    core.expect_response(100)
    core.ack(core.expect_response(486))
    world.after(45)
    register(bob, contact="<sip:bob@203.0.113.8>", cseq=3)
    again = grant(core)
    assert (again.call_id, again.cseq.number) == (first.call_id, first.cseq.number + 1)
    bob.expect_response(200)


def test_after_a_restart_a_token_that_has_died_is_still_told_from_one_that_was_made_up(world: World, policy: str) -> None:
    before = World(policy)
    bob, core = on_udp(before), core_of(before)
    received, _ = registered(bob, core, contact="<sip:bob@203.0.113.8>")
    world.now = START._replace(monotonic=5.0, wall=before.now.wall + 100)
    world.receive(BindingsFound(tuple(before.stored.items())))
    core, token = core_of(world), token_of(received)
    for called, status in ((token, 480), (token[:-1] + ("0" if token[-1] != "0" else "1"), 403)):
        invite(core, called)
        core.expect_response(status)


def test_a_key_that_is_none_is_as_good_as_none(world: World, bob: Agent, core: Agent) -> None:
    world.receive(BindingsFound((("", "zz"), ("", "00" * 31), ("", ""))))
    received, _ = registered(bob, core)
    assert world.stored[""] != ""
    invite(core, token_of(received))
    bob.answer(bob.expect_request("INVITE"), 486)
    core.inbox.clear()


def test_a_policy_that_moves_the_account_to_another_registrar_is_followed(world: World, bob: Agent, core: Agent, policy: str) -> None:
    received, _ = registered(bob, core)
    world.receive(
        PolicyChanged(snapshot_of(policy.replace("bob: {realm: outside, register_at: core", "bob: {realm: outside, register_at: backup")))
    )
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    register(bob, cseq=2)
    core.expect_nothing()
    moved = grant(backup)
    assert moved.call_id != received.call_id
    bob.expect_response(200)
    assert Uri.parse(str(moved.uri)).host == DOMAIN
