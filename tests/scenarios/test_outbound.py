"""Registering at a carrier: when, where, with which proof, and what is done when it does not go."""

from __future__ import annotations

import re

import pytest

from tests.scenarios.outbound import (
    ACCOUNT,
    DOMAIN,
    LINE,
    Carrier,
    accept,
    asked_for,
    challenge,
    credentials,
    is_proved,
    line_of,
    with_account,
)
from tests.world import World
from tests.zones import zone


@pytest.fixture
def policy() -> str:
    return with_account()


@pytest.fixture
def tel(world: World) -> Carrier:
    return Carrier(world)


# The REGISTER


def test_nothing_is_sent_before_all_listens(tel: Carrier) -> None:
    tel.a.expect_nothing()
    tel.world.begin()
    tel.a.expect_request("REGISTER")


def test_what_a_register_says(tel: Carrier) -> None:
    request = tel.registered()
    assert str(request.uri) == f"sip:{DOMAIN}"
    assert str(request.to) == f"<sip:{ACCOUNT}@{DOMAIN}>"
    assert str(request.from_.uri) == f"sip:{ACCOUNT}@{DOMAIN}"
    assert re.fullmatch(rf"<sip:{ACCOUNT}@10\.1\.0\.1:5060;line=[0-9a-f]{{32}}>;expires=600", request.headers.first("Contact") or "")
    assert asked_for(request) == 600
    assert request.headers.first("Supported") == "path, timer, 100rel"
    assert "INVITE, ACK" in (request.headers.first("Allow") or "")
    assert "Authorization" not in request.headers
    assert b"10.0.0" not in request.encode(), "nothing of the other side"


def test_it_is_refreshed_between_half_and_seven_tenths_with_the_same_call_id(tel: Carrier) -> None:
    first = tel.registered(600)
    before = first
    for _ in range(5):
        again = tel.asked_within(tel.a, 300, 420)
        assert (again.call_id, again.from_.tag, line_of(again)) == (first.call_id, first.from_.tag, line_of(first))
        assert again.cseq.number == before.cseq.number + 1
        before = again
        accept(tel.a, again, 600)
        tel.world.after(0)
    assert tel.events == ["registered"], "nothing to be told of that"
    tel.b.expect_nothing()


def test_the_instant_of_the_refresh_is_by_chance(policy: str) -> None:
    """Not all whose registrar came back at the same time come back at the same time."""
    instants = set()
    for drawn in range(6):
        world = World(policy)
        tel = Carrier(world)
        for _ in range(drawn):
            world.core._ids.tag()
        tel.registered()
        (outlook,) = world.core.registrations_out()
        assert outlook.next_at is not None
        instants.add(round(outlook.next_at - world.now.wall))
        tel.a.inbox.clear()
    assert len(instants) > 3


def test_what_the_registrar_grants_counts_not_what_was_asked_for(tel: Carrier) -> None:
    tel.registered(100)
    (outlook,) = tel.world.core.registrations_out()
    assert outlook.expires_at is not None
    assert round(outlook.expires_at - tel.world.now.wall) == 100
    accept(tel.a, tel.asked_within(tel.a, 50, 70), 100)


@pytest.mark.parametrize(
    ("contact", "headers", "granted"),
    [
        pytest.param("<sip:4930123@198.51.100.9:1024;line={line}>;expires=90", (), 90, id="with another host, as a NAT has it"),
        pytest.param("<sip:4930123@10.1.0.1:5060>;expires=90", (), 90, id="without the line"),
        pytest.param("<sip:x@192.0.2.1>;expires=3000, <sip:4930123@10.1.0.1;line={line}>;expires=90", (), 90, id="among others"),
        pytest.param("", (("Expires", "90"),), 90, id="in Expires alone"),
        pytest.param("", (), 600, id="nowhere"),
        pytest.param("<sip:4930123@10.1.0.1:5060;line={line}>", (("Expires", "90"),), 90, id="for all of them"),
        pytest.param("broken <", (("Expires", "90"),), 90, id="in no Contact that could be read"),
    ],
)
def test_where_the_time_that_is_granted_may_stand(tel: Carrier, contact: str, headers: tuple[tuple[str, str], ...], granted: int) -> None:
    tel.world.begin()
    request = tel.a.expect_request("REGISTER")
    rows = (("Contact", contact.format(line=line_of(request))),) if contact else ()
    tel.a.answer(request, 200, headers=(*rows, *headers))
    (outlook,) = tel.world.core.registrations_out()
    assert outlook.expires_at is not None
    assert round(outlook.expires_at - tel.world.now.wall) == granted
    tel.a.inbox.clear()


def test_a_2xx_that_grants_nothing_is_none(tel: Carrier) -> None:
    tel.world.begin()
    request = tel.a.expect_request("REGISTER")
    tel.a.answer(request, 200, headers=(("Expires", "0"),))
    accept(tel.b, tel.b.expect_request("REGISTER"))
    assert tel.state == "registered"


# Proof


@pytest.mark.parametrize(("status", "name"), [(401, "Authorization"), (407, "Proxy-Authorization")])
@pytest.mark.parametrize("more", ["", ", algorithm=MD5", ", algorithm=SHA-256", ', algorithm=SHA-512-256, opaque="o"'])
def test_AUTH_06_a_challenge_is_answered(tel: Carrier, status: int, name: str, more: str) -> None:
    tel.world.begin()
    first = tel.a.expect_request("REGISTER")
    challenge(tel.a, first, status, more=more)
    second = tel.a.expect_request("REGISTER")
    assert is_proved(second, name)
    assert credentials(second, name).params["nc"] == "00000001"
    assert credentials(second, name).params.get("opaque", "o") == "o"
    assert (second.call_id, second.from_.tag, second.cseq.number) == (first.call_id, first.from_.tag, first.cseq.number + 1)
    assert second.via.branch != first.via.branch
    accept(tel.a, second)
    assert tel.state == "registered"


def test_AUTH_02_the_topmost_algorithm_we_know_and_both_of_proxy_and_registrar(tel: Carrier) -> None:
    tel.world.begin()
    request = tel.a.expect_request("REGISTER")
    rows = (
        ("Proxy-Authenticate", 'Digest realm="edge", nonce="p1", qop="auth", algorithm=MD5'),
        ("WWW-Authenticate", f'Digest realm="{DOMAIN}", nonce="w0", qop="auth", algorithm=SHA3-999'),
        ("WWW-Authenticate", f'Digest realm="{DOMAIN}", nonce="w1", qop="auth", algorithm=SHA-256'),
        ("WWW-Authenticate", f'Digest realm="{DOMAIN}", nonce="w2", qop="auth", algorithm=MD5'),
        ("WWW-Authenticate", 'Basic realm="old"'),
    )
    tel.a.answer(request, 407, headers=rows)
    second = tel.a.expect_request("REGISTER")
    assert is_proved(second, "Authorization")
    assert is_proved(second, "Proxy-Authorization")
    assert credentials(second).params["nonce"] == "w1"
    accept(tel.a, second)


def test_the_next_refresh_brings_its_proof_along_and_counts_on(tel: Carrier) -> None:
    tel.world.begin()
    challenge(tel.a, tel.a.expect_request("REGISTER"))
    accept(tel.a, tel.a.expect_request("REGISTER"))
    for count in (2, 3):
        again = tel.asked_within(tel.a, 300, 420)
        assert is_proved(again)
        assert credentials(again).params["nc"] == f"{count:08x}"
        accept(tel.a, again)


def test_a_nonce_that_is_too_old_is_no_wrong_password(tel: Carrier) -> None:
    tel.world.begin()
    challenge(tel.a, tel.a.expect_request("REGISTER"))
    accept(tel.a, tel.a.expect_request("REGISTER"))
    for nonce, more in (("n2", ", stale=true"), ("n3", "")):  # some do not say why
        challenge(tel.a, tel.asked_within(tel.a, 300, 420), nonce=nonce, more=more)
        again = tel.a.expect_request("REGISTER")
        assert (credentials(again).params["nonce"], credentials(again).params["nc"]) == (nonce, "00000001")
        accept(tel.a, again)
    assert tel.events == ["registered"]


def test_AUTH_06_a_wrong_password_is_two_tries_and_after_the_second_time_one_in_ten_minutes(tel: Carrier) -> None:
    tel.world.begin()
    for count in range(2):
        first = tel.a.expect_request("REGISTER") if not count else tel.asked_within(tel.a, 30, 60)
        challenge(tel.a, first, nonce=f"n{count}")
        if "Authorization" not in first.headers or count:
            challenge(tel.a, tel.a.expect_request("REGISTER"), nonce=f"m{count}")
        tel.a.expect_nothing()
        tel.b.expect_nothing()
        assert tel.state == ("waiting", "refused")[count]
    assert tel.events == ["registration failed", "registration refused"]
    assert tel.world.logs[-1].level == "error"
    for _ in range(3):
        request = tel.asked_within(tel.a, 600, 660)
        challenge(tel.a, request, nonce="x")
        challenge(tel.a, tel.a.expect_request("REGISTER"), nonce="y")
        tel.a.expect_nothing()
    assert len(tel.events) == 2, "once is enough"
    request = tel.asked_within(tel.a, 600, 660)
    accept(tel.a, request)
    assert tel.events[2:] == ["registration regained"]
    assert not any("wonderland" in str(log.facts) for log in tel.world.logs)


@pytest.mark.parametrize("status", [403, 404, 400, 603])
def test_who_is_not_wanted_does_not_go_on_asking(tel: Carrier, status: int) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), status)
    tel.b.expect_nothing()
    tel.a.answer(tel.asked_within(tel.a, 30, 60), status)
    assert tel.state == "refused"
    tel.a.answer(tel.asked_within(tel.a, 600, 660), status)
    (outlook,) = tel.world.core.registrations_out()
    assert (outlook.state, outlook.last, outlook.server) == ("refused", str(status), "UDP 10.1.7.1:5060")


@pytest.mark.parametrize("row", ["Basic realm=x", 'Digest realm="r", nonce="n", algorithm=X', 'Digest realm="r"', "Digest \\"])
def test_a_challenge_nobody_could_answer_is_a_refusal(tel: Carrier, row: str) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 401, headers=(("WWW-Authenticate", row),))
    tel.a.expect_nothing()
    assert tel.state == "waiting"


def test_a_registrar_that_always_finds_the_nonce_too_old_is_not_asked_for_ever(tel: Carrier) -> None:
    tel.world.begin()
    for count in range(20):
        if not tel.a.inbox:
            break
        challenge(tel.a, tel.a.expect_request("REGISTER"), nonce=f"n{count}", more=", stale=true")
    assert count == 5, "one without proof, four with"
    assert tel.state == "waiting"


def test_another_user_name_for_challenges(policy: str) -> None:
    world = World(with_account(f"{LINE}, auth_user: tel-77@x, domain: ims.example"))
    tel = Carrier(world)
    world.begin()
    request = tel.a.expect_request("REGISTER")
    assert (str(request.uri), str(request.to.uri)) == ("sip:ims.example", f"sip:{ACCOUNT}@ims.example")
    challenge(tel.a, request)
    again = tel.a.expect_request("REGISTER")
    assert is_proved(again, user="tel-77@x")
    accept(tel.a, again)
    world.expect_nothing_left()


# 423, 3xx, 5xx, silence


def test_423_is_met_once_and_remembered(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 423, headers=(("Min-Expires", "1800"),))
    again = tel.a.expect_request("REGISTER")
    assert asked_for(again) == 1800
    accept(tel.a, again)
    assert asked_for(tel.asked_within(tel.a, 900, 1260)) == 1800
    tel.a.inbox.clear()


@pytest.mark.parametrize("least", ["864000", "60", "600", "", "x", None])
def test_423_that_asks_for_nothing_that_could_be_met_is_a_refusal(tel: Carrier, least: str | None) -> None:
    tel.world.begin()
    headers = (("Min-Expires", least),) if least is not None else ()
    tel.a.answer(tel.a.expect_request("REGISTER"), 423, headers=headers)
    if least in ("", "x"):  # what is malformed counts as an hour (RFC 3261 s10.2.1.1)
        assert asked_for(tel.a.expect_request("REGISTER")) == 3600
    tel.a.expect_nothing()
    tel.b.expect_nothing()


@pytest.mark.parametrize("status", [500, 503, 408, 480, 504])
def test_DNS_04_a_server_that_cannot_leaves_the_next(tel: Carrier, status: int) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), status)
    accept(tel.b, tel.b.expect_request("REGISTER"))
    assert tel.state == "registered"
    (outlook,) = tel.world.core.registrations_out()
    assert outlook.server == "UDP 10.1.7.2:5060"
    again = tel.asked_within(tel.b, 300, 420)
    tel.a.expect_nothing()
    accept(tel.b, again)


def test_silence_and_broken_transports_leave_the_next_and_then_it_waits_longer_each_time(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.expect_request("REGISTER")
    tel.world.after(31.9)
    tel.b.expect_nothing()
    tel.world.after(0.2)
    tel.b.expect_request("REGISTER")
    tel.world.unreachable |= {tel.a.flow.remote, tel.b.flow.remote}
    tel.world.after(1)
    assert tel.state == "waiting"
    waits = []
    for _ in range(9):
        (outlook,) = tel.world.core.registrations_out()
        assert outlook.next_at is not None
        waits.append(outlook.next_at - tel.world.now.wall)
        tel.world.after(waits[-1] + 0.001)
    uppers = [min(1800, 30 * 2**count) for count in range(1, 10)]
    assert all(upper / 2 - 2 <= wait <= upper for wait, upper in zip(waits, uppers, strict=True)), waits
    assert tel.events == ["registration failed"], "once"
    assert tel.world.core.registrations_out()[0].last == "transport"
    tel.world.unreachable.clear()
    tel.a.inbox.clear()
    accept(tel.a, tel.asked_within(tel.a, 0.02, 1800))
    assert tel.events == ["registration failed", "registration regained"]
    tel.b.inbox.clear()


def test_a_503_is_left_alone_for_as_long_as_it_says(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 503, headers=(("Retry-After", "300"),))
    tel.b.answer(tel.b.expect_request("REGISTER"), 503)
    request = tel.asked_within(tel.b, 30, 60)
    tel.a.expect_nothing()
    tel.b.answer(request, 503, headers=(("Retry-After", "1000"),))
    accept(tel.a, tel.asked_within(tel.a, 200, 300))
    tel.b.expect_nothing()


def test_an_absurd_retry_after_is_an_hour(tel: Carrier) -> None:
    tel.world.begin()
    for server in (tel.a, tel.b):
        server.answer(server.expect_request("REGISTER"), 503, headers=(("Retry-After", "4000000"),))
    tel.a.answer(tel.asked_within(tel.a, 3599, 3601), 486)
    tel.b.inbox.clear()


def test_a_redirection_is_followed_and_loops_are_not(tel: Carrier) -> None:
    tel.world.begin()
    elsewhere = tel.world.agent("else", ("10.1.7.9", 5070), "inside")
    moved = (("Contact", "<sip:10.1.7.9:5070>"),)
    tel.a.answer(tel.a.expect_request("REGISTER"), 302, headers=moved)
    for _ in range(2):
        tel.b.expect_nothing()
        request = elsewhere.expect_request("REGISTER")
        assert str(request.uri) == f"sip:{DOMAIN}"
        elsewhere.answer(request, 302, headers=moved)
    elsewhere.expect_nothing()
    assert tel.state == "waiting"
    tel.a.answer(tel.asked_within(tel.a, 30, 60), 302, headers=moved)
    accept(elsewhere, elsewhere.expect_request("REGISTER"))
    assert tel.state == "registered"


def test_nowhere_in_dns(tel: Carrier) -> None:
    tel.world.zone = {}
    tel.world.begin()
    assert (tel.state, tel.world.core.registrations_out()[0].last) == ("waiting", "no server")
    tel.world.zone = zone(f"{DOMAIN} A 10.1.7.2")
    accept(tel.b, tel.asked_within(tel.b, 30, 60))


def test_a_refresh_asks_dns_again_and_a_name_server_that_is_down_changes_nothing(tel: Carrier) -> None:
    tel.registered()
    tel.world.zone = {}
    accept(tel.a, tel.asked_within(tel.a, 300, 420))
    tel.world.zone = zone(f"{DOMAIN} A 10.1.7.2")
    accept(tel.b, tel.asked_within(tel.b, 300, 420))
    tel.a.expect_nothing()
    assert tel.events == ["registered"]
