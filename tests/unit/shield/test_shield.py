"""Scores, bans and budgets, with a clock that jumps."""

from __future__ import annotations

import tracemalloc

import pytest

from sbc.clock import Now
from sbc.frozen import replace
from sbc.shield.bans import MAX_BANS, REMEMBERED, Ban
from sbc.shield.budgets import source_key
from sbc.shield.offences import MEANING, USUAL, Offence
from sbc.shield.rules import ShieldRules
from sbc.shield.shield import (
    AT_ONCE,
    KNOWN_FOR,
    LARGEST_OF_STRANGERS,
    MAX_KNOWN,
    MAX_OFFENDERS,
    MEMORY_BOUND,
    PATIENCE_WITH_KNOWN,
    STRANGERS,
    THROTTLED,
    WINDOW,
    Shield,
    has_shape,
)

ATTACKER, CARRIER = "203.0.113.66", "192.0.2.10"
INVITE = b"INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.66\r\n\r\n"


def at(seconds: float) -> Now:
    return Now(1000.0 + seconds, 1_800_000_000.0 + seconds)


def shield(**rules: object) -> Shield:
    made = Shield(b"secret")
    made.apply(replace(ShieldRules(never_ban=(CARRIER,)), **rules))
    return made


def offend(it: Shield, offence: Offence, times: int, *, host: str = ATTACKER, seconds: float = 0.0, proven: bool = True) -> Ban | None:
    bans = [it.offend(host, offence, "connection" if proven else None, at(seconds)) for _ in range(times)]
    return next((ban for ban in bans if ban is not None), None)


class TestBans:
    @pytest.mark.parametrize("offence", USUAL)
    def test_OVL_05_as_many_as_the_policy_says(self, offence: Offence) -> None:
        most = USUAL[offence]
        assert most is not None
        it = shield()
        assert offend(it, offence, most - 1) is None
        assert not it.refuses_connection(ATTACKER, at(0).monotonic)
        ban = offend(it, offence, 1)
        assert ban is not None
        assert (ban.why, ban.counts, ban.number) == (offence, {offence: most}, 1)
        assert it.refuses_connection(ATTACKER, at(0).monotonic)
        assert it.refuses_datagram(ATTACKER, INVITE, at(0).monotonic) == "banned"
        assert offence in MEANING

    def test_several_kinds_add_up(self) -> None:
        it = shield()
        offend(it, "malformed", 5)
        ban = offend(it, "wrong_password", 10)
        assert ban is not None
        assert ban.counts == {"malformed": 5, "wrong_password": 10}

    def test_they_run_out_within_a_minute(self) -> None:
        it = shield()
        for second in range(0, 3600, 7):
            assert offend(it, "malformed", 1, seconds=second) is None
        assert offend(it, "malformed", 10, seconds=3600 + WINDOW) is not None

    def test_who_tries_slowly_is_left_to_the_budget_of_passwords(self) -> None:
        it = shield()
        assert all(offend(it, "wrong_password", 1, seconds=10.0 * number) is None for number in range(500))

    def test_OVL_06_a_ban_ends_and_the_next_is_twice_as_long(self) -> None:
        it = shield(ban_for=300.0, longest_ban=1000.0)
        lengths, seconds = [], 0.0
        for _ in range(4):
            ban = offend(it, "scanner", 1, seconds=seconds)
            assert ban is not None
            lengths.append(round(ban.until - ban.since))
            seconds += ban.until - ban.since
            assert it.refuses_connection(ATTACKER, at(seconds - 1).monotonic)
            assert not it.refuses_connection(ATTACKER, at(seconds).monotonic)
        assert lengths == [300, 600, 1000, 1000]
        ban = offend(it, "scanner", 1, seconds=seconds + REMEMBERED)
        assert ban is not None
        assert ban.number == 1

    def test_what_a_banned_source_does_makes_no_second_ban(self) -> None:
        it = shield()
        assert offend(it, "scanner", 1) is not None
        assert offend(it, "scanner", 100) is None

    def test_shadow_says_it_and_does_nothing(self) -> None:
        it = shield(bans="shadow")
        ban = offend(it, "scanner", 1)
        assert ban is not None
        assert ban.shadow
        assert not it.refuses_connection(ATTACKER, at(0).monotonic)
        assert it.refuses_datagram(ATTACKER, INVITE, at(0).monotonic) is None
        it.apply(ShieldRules())
        assert it.bans.on(at(0).monotonic) == [], "nobody is banned for what was only said"

    def test_off_and_never(self) -> None:
        assert offend(shield(bans="off"), "scanner", 100) is None
        assert offend(shield(offences={**USUAL, "scanner": None}), "scanner", 100) is None

    def test_OVL_06_whom_the_policy_names_is_never_banned(self) -> None:
        it = shield()
        for offence in USUAL:
            assert offend(it, offence, 5000, host=CARRIER) is None
        assert it.refuses_datagram(CARRIER, b"\xff" * 5000, at(0).monotonic) is None
        assert offend(it, "scanner", 1) is not None
        it.apply(ShieldRules(never_ban=(CARRIER, "203.0.113.0/24")))
        assert not it.refuses_connection(ATTACKER, at(0).monotonic), "a new policy spares it"

    def test_OVL_06_one_customer_has_a_whole_64(self) -> None:
        it = shield()
        assert offend(it, "scanner", 1, host="2001:db8::1") is not None
        assert it.refuses_connection("2001:db8::ffff", at(0).monotonic)
        assert not it.refuses_connection("2001:db8:0:1::1", at(0).monotonic)
        assert offend(it, "scanner", 1, host=f"::ffff:{ATTACKER}") is not None
        assert it.refuses_connection(ATTACKER, at(0).monotonic)

    def test_unban_forgets_the_earlier_ones(self) -> None:
        it = shield()
        offend(it, "scanner", 1)
        offend(it, "scanner", 1, seconds=400.0)
        assert it.lift(ATTACKER) is not None
        assert not it.refuses_connection(ATTACKER, at(400).monotonic)
        ban = offend(it, "scanner", 1, seconds=401.0)
        assert ban is not None
        assert ban.number == 1

    def test_where_phones_are_known_it_takes_ten_times_as_much(self) -> None:
        it = shield()
        it.vouch(ATTACKER, at(0).monotonic)
        assert offend(it, "malformed", int(10 * PATIENCE_WITH_KNOWN) - 1) is None
        assert offend(it, "malformed", 1) is not None
        assert offend(it, "malformed", 10, seconds=KNOWN_FOR + 400.0) is not None, "not for ever"


class TestUnproven:
    def test_OVL_06_nobody_is_banned_for_what_came_in_its_name(self) -> None:
        it = shield()
        assert offend(it, "scanner", 10_000, proven=False) is None
        assert not it.refuses_connection(ATTACKER, at(0).monotonic)
        assert len(it.bans) == 0
        told = [it.refuses_datagram(ATTACKER, INVITE, at(0).monotonic) for _ in range(100)]
        assert told.count(None) == THROTTLED[1]
        assert told.count("throttled") == 100 - THROTTLED[1]

    def test_what_is_spoofed_fades_and_costs_a_known_phone_nothing(self) -> None:
        it = shield()
        offend(it, "malformed", 1000, proven=False)
        it.vouch(ATTACKER, at(0).monotonic)
        assert [it.refuses_datagram(ATTACKER, INVITE, at(0).monotonic) for _ in range(1000)] == [None] * 1000
        other = shield()
        offend(other, "malformed", 1000, proven=False)
        told = [other.refuses_datagram(ATTACKER, INVITE, at(2 * WINDOW).monotonic) for _ in range(100)]
        assert told == [None] * 100, "an hour of spoofing is over two minutes after it"

    def test_OVL_05_a_source_has_its_budget(self) -> None:
        it = shield(requests=10.0)
        told = [it.refuses_datagram(ATTACKER, INVITE, at(0).monotonic) for _ in range(100)]
        assert told.count(None) == 10 * AT_ONCE
        assert it.refuses_datagram("203.0.113.67", INVITE, at(0).monotonic) is None
        assert [it.refuses_datagram(ATTACKER, INVITE, at(1).monotonic) for _ in range(20)].count(None) == 10

    def test_OVL_05_all_strangers_together_have_one(self) -> None:
        it = shield()
        told = [it.refuses_datagram(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", INVITE, at(0).monotonic) for n in range(10_000)]
        assert told.count(None) == STRANGERS[1]
        assert told.count("crowded") == 10_000 - STRANGERS[1]
        it.vouch("198.51.100.1", at(0).monotonic)
        assert it.refuses_datagram("198.51.100.1", INVITE, at(0).monotonic) is None, "whom we know does not notice"
        assert it.refuses_datagram(CARRIER, INVITE, at(0).monotonic) is None

    def test_the_shape_comes_before_the_parser(self) -> None:
        it = shield()
        told = [it.refuses_datagram(ATTACKER, b"\x16\x03\x01" + bytes(100), at(0).monotonic) for _ in range(12)]
        assert told == ["shapeless"] * 10 + ["shapeless", "shapeless"]
        assert it.suspicion(source_key(ATTACKER), at(0).monotonic) >= 100.0


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (INVITE, True),
        (b"\r\n\r\n" + INVITE, True),
        (b"\r\n\r\n", True),
        (b"", True),
        (b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12), True),
        (b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"INVITE sip:100@192.0.2.1\r\nVia: SIP/2.0/UDP x\r\n\r\n", False),
        (b"\x80\x00" + bytes(160), False),
        (b"A SIP/2.0", False),
        (INVITE + bytes(LARGEST_OF_STRANGERS), False),
        (b"INVITE sip:" + b"a" * 3000 + b" SIP/2.0\r\n\r\n", False),
    ],
)
def test_shapes(data: bytes, good: bool) -> None:
    assert has_shape(data) == good


def test_OVL_05_memory_is_bounded_whatever_the_number_of_sources() -> None:
    """All tables full, and then some more."""
    tracemalloc.start()
    try:
        it = shield()
        for number in range(MAX_KNOWN + 1000):
            it.vouch(ipv4(10, number), at(0).monotonic)
        for number in range(MAX_OFFENDERS + 1000):
            it.offend(ipv4(11, number), "malformed", "connection", at(0))
            it.offend(ipv4(11, number), "wrong_password", "connection", at(0))
        for number in range(MAX_BANS + 1000):
            it.offend(ipv4(12, number), "scanner", "connection", at(0))
        for number in range(20_000):
            it.offend(ipv4(13, number), "scanner", None, at(0))
        assert (len(it.bans), len(it._known)) == (MAX_BANS, MAX_KNOWN)
        assert len(it._offenders) <= MAX_OFFENDERS
        assert tracemalloc.get_traced_memory()[0] < MEMORY_BOUND
    finally:
        tracemalloc.stop()


def ipv4(first: int, number: int) -> str:
    return f"{first}.{number >> 16}.{number >> 8 & 255}.{number & 255}"
