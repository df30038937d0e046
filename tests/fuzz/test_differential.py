"""The same packets at the same times to the rules in Python and the rules in C: what leaves, what is counted and what is reported is
the same, octet by octet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.api import (
    KEYPAD,
    Address,
    Digit,
    Dtls,
    EventKind,
    Follow,
    Interface,
    Keys,
    Law,
    MediaError,
    MediaEvent,
    RelayStats,
    Role,
    Side,
    SideSpec,
    Suite,
)
from media.fake import FakeEngine
from media.keys import SUITES, Outbound, Refused
from media.relay import MOST_PACKETS
from sbc.frozen import replace
from tests.fuzz.driven import HOSTS, PORT, DrivenRelay, Sent
from tests.unit.media.packets import event, keys, rtcp, rtp

HOURS = 1000.0  # the clock at the beginning
KNOWN = sorted(SUITES)
NETWORKS = {Side.A: "10.0.0.{}", Side.B: "2001:db8::{}"}
BY_DTLS = Dtls(Role.PASSIVE, ("sha-256 00",))
FAX = b"\0\1\2\xc0\x11\0\0"
BYE = b"\x81\xcb\0\1\0\0\0\7"
PADDED = b"\xa0\xc9\0\2\0\0\0\7\0\0\0\4"
REPORTS = (
    *(rtcp(), rtcp(1), rtcp(7), BYE, PADDED, BYE + PADDED, b"\x80\xcd\0\1\0\0\0\7" * 2),
    # not well formed: padded before the end, without room for what it reports, longer than it is, of another version
    *(PADDED + BYE, b"\x80\xc8\0\1\0\0\0\7", b"\x90\xc9\0\7" + bytes(28), BYE + BYE[:6], BYE + b"\0" + BYE[1:]),
)


def place(side: Side, random: Random) -> Address:
    """Few hosts and ports, so that they meet."""
    return NETWORKS[side].format(random.choice((1, 1, 1, 2, 3))), random.choice((4000, 4000, 4000, 4002))


class Play:
    """Both engines, the peers and their keys, and the steps that can be taken."""

    def __init__(self) -> None:
        self.fake = FakeEngine()
        self.fake.now = HOURS
        self.fake.provide({side: Interface(HOSTS[side], PORT, PORT + 1) for side in Side})
        self.fake.open("call", *Side)
        self.events: set[tuple[Side, str]] = set()
        self.digits: list[tuple[Side, str, int]] = []
        self.fake.on_event(self.hear)
        self.native = DrivenRelay(HOURS)
        self.specs = {side: SideSpec(payload_types={8: 8, 101: 96}, clock_rates={8: 8000, 101: 8000}) for side in Side}
        self.senders: dict[Keys, Outbound] = {}
        self.former: dict[Side, Keys | None] = dict.fromkeys(Side)
        self.sequences: dict[tuple[Side, int], int] = {}
        self.made: list[tuple[Side, bool, Address, bytes]] = []
        for side in Side:
            self.specs[side] = replace(self.specs[side], remote=self.usual(side), remote_rtcp=self.usual(side, 1))
        self.specs[Side.A] = replace(self.specs[Side.A], reported=(101,), one_stream=True, ssrc=5)
        self.specs[Side.B] = replace(self.specs[Side.B], events=(101, 8000), ssrc=0x7FFF0001)
        self.update()
        self.steps: tuple[Callable[[Random], None], ...] = (
            *(self.speak,) * 8,
            *(self.type, self.type, self.type, self.hear_of_a_digit, self.hear_of_a_digit),
            *(self.report_much,) * 4,
            *(self.report, self.report, self.speak_strangely, self.litter, self.spoil, self.spoil),
            *(self.repeat, self.repeat, self.change, self.change, self.wait, self.wait, self.flood, self.wander),
        )

    def hear(self, event: MediaEvent) -> None:
        if event.digit is None:
            self.events.add((event.side, event.kind))
        else:
            assert event.kind is EventKind.DIGIT
            self.digits.append((event.side, event.digit.key, event.digit.duration))

    def usual(self, side: Side, further: int = 0) -> Address:
        return NETWORKS[side].format(1), 4000 + further

    # Both engines

    def update(self) -> bool:
        outcomes = []
        for update in (lambda a, b: self.fake.apply("call", a, b), self.native.update):
            try:
                update(self.specs[Side.A], self.specs[Side.B])
                outcomes.append("done")
            except MediaError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1]
        self.compare()
        return outcomes[0] == "done"

    def receive(self, side: Side, packet: bytes, source: Address, *, is_rtcp: bool) -> None:
        self.fake.receive("call", side, packet, source if side is Side.A else (*source, 0, 0), rtcp=is_rtcp)
        assert self.native.receive(side, packet, source, rtcp=is_rtcp) == self.left()

    def left(self) -> list[Sent]:
        return [(sent.side, sent.rtcp, sent.packet, sent.destination[:2]) for sent in self.fake.take_sent()]

    def compare(self) -> None:
        assert_same(self.native.stats(), self.fake.stats("call"))
        assert self.native.take_events() == self.events
        assert self.native.take_digits() == sorted(self.digits, key=lambda digit: digit[0])
        self.events.clear()
        self.digits.clear()

    # Steps

    def deliver(self, side: Side, packet: bytes, random: Random, *, is_rtcp: bool, source: Address | None = None) -> None:
        source = source or (place(side, random) if random.random() < 0.1 else self.usual(side, is_rtcp))
        self.made = [*self.made[-15:], (side, is_rtcp, source, packet)]
        self.receive(side, packet, source, is_rtcp=is_rtcp)
        self.compare()

    def sealed(self, side: Side, packet: bytes, random: Random, *, is_rtcp: bool) -> bytes:
        """As the peer would send it, mostly."""
        spec = self.specs[side]
        own = spec.rtcp_keys[0] if is_rtcp and spec.rtcp_keys else spec.receive_keys
        chosen = random.choice((own,) * 8 + (self.former[side], keys(99), None))
        if chosen is None or chosen.suite not in SUITES:
            return packet
        sender = self.senders.setdefault(chosen, Outbound(chosen))
        try:
            return sender.rtcp(packet) if is_rtcp else sender.rtp(packet)
        except Refused:
            return packet

    def speak(self, random: Random) -> None:
        side, ssrc = random.choice(list(Side)), random.choice((1, 1, 1, 2, 3))
        ahead = random.choice((1,) * 12 + (2, 3, 0, -1, -2, -99, -101, 127, 129, 2999, 3000, 3001, 20000, 32768, 40000, 65535))
        sequence = self.sequences[side, ssrc] = self.sequences.get((side, ssrc), random.choice((0, 65530, 30000))) + ahead
        payload = random.randbytes(random.choice((0, 1, 20, 160, 160, 1300)))
        if self.specs[side].udptl and random.random() < 0.9:
            self.deliver(side, FAX, random, is_rtcp=False)
            return
        packet = rtp(sequence, payload_type=random.choice((8, 8, 8, 101, 9)), marker=random.random() < 0.2, ssrc=ssrc, payload=payload)
        self.deliver(side, self.sealed(side, packet, random, is_rtcp=False), random, is_rtcp=random.random() < 0.02)

    def type(self, random: Random) -> None:
        """Packets of telephone-events, as a peer sends them, mostly."""
        side, ssrc = random.choice(list(Side)), random.choice((1, 1, 2))
        if self.specs[side].udptl:
            return
        began = random.choice((0, 0, 160, 8000, 65535, 65535, 65855, 0xFFFFFF00))
        for step in range(1, random.choice((2, 3, 5))):
            self.sequences[side, ssrc] = sequence = self.sequences.get((side, ssrc), 0) + random.choice((1, 1, 1, 2, -1))
            duration, end = random.choice((160 * step, 65535)), random.random() < 0.4
            packet = event(sequence, began, random.choice((1, 1, 2, 15, 16)), duration, end=end, marker=random.random() < 0.4, ssrc=ssrc)
            packet = packet[: random.choice((16, 16, 16, 16, 15))]
            self.deliver(side, self.sealed(side, packet, random, is_rtcp=False), random, is_rtcp=False)

    def hear_of_a_digit(self, random: Random) -> None:
        side, digit = random.choice(list(Side)), Digit(random.choice(KEYPAD), random.choice((0, 100, 160, 161, 5000, 70000)))
        for _ in range(random.choice((1, 1, 2, 40))):
            self.fake.send_digit("call", side, digit)
            assert self.native.send_digit(side, digit) == self.left()
        self.compare()
        for _ in range(random.choice((2, 3, 12))):
            self.fake.advance(0.02)
            assert self.native.advance_to(self.fake.now) == self.left()
        self.compare()

    def speak_strangely(self, random: Random) -> None:
        """Padding, CSRC list, header extension, right or not."""
        side, sequence = random.choice(list(Side)), random.randrange(65536)
        first = 0x80 | random.choice((0x20, 0x10, 0x30, 0x0F, 0x01))
        payload = random.randbytes(random.choice((0, 4, 8, 60, 70)))
        if first & 0x10:
            payload = random.randbytes(4 * (first & 15)) + b"\xbe\xde\0" + bytes((random.choice((0, 1, 2, 200)),)) + payload
        if first & 0x20:
            payload += bytes((random.choice((0, 1, 4, 255)),))
        packet = bytes((first,)) + rtp(sequence, ssrc=4, payload=payload)[1:]
        self.deliver(side, self.sealed(side, packet, random, is_rtcp=False), random, is_rtcp=False)

    def report(self, random: Random) -> None:
        side = random.choice(list(Side))
        packet = self.sealed(side, random.choice(REPORTS), random, is_rtcp=True)
        self.deliver(side, packet, random, is_rtcp=not self.specs[side].rtcp_mux if random.random() < 0.8 else random.random() < 0.5)

    def report_much(self, random: Random) -> None:
        """Compound packets full of SSRCs: those that arrive, those that leave, others."""
        side, packets = random.choice(list(Side)), b""
        for _ in range(random.choice((1, 2, 3))):
            words = [random.choice((1, 1, 2, 5, 0x7FFF0001, 0x12345678, 0x01000002, 0x07000001, 0x05000003)) for _ in range(14)]
            kind, count = random.choice((200, 201, 202, 203, 204, 205, 206, 207, 207, 208)), random.choice((0, 0, 1, 1, 2, 31))
            size = random.choice((0, 1, 2, 3, 6, 7, 12, 13, 14))
            if kind == 207 and random.random() < 0.5:
                words[1:4], size = [random.choice((0x01000002, 0x06000002, 0x07000008)), words[1], random.getrandbits(32)], 12
            packets += struct.pack(f"!BBH{size}I", 0x80 | count, kind, size, *words[:size])
        packet = self.sealed(side, packets, random, is_rtcp=True)
        self.deliver(side, packet, random, is_rtcp=not self.specs[side].rtcp_mux)

    def litter(self, random: Random) -> None:
        first = random.choice((b"", b"\x80", b"\x80\x08", b"\x80\xc8", b"\x90\x08", b"\0\x01"))
        size = random.choice((0, 1, 6, 11, 12, 40, 1501 - len(first), 1499))
        self.deliver(random.choice(list(Side)), first + random.randbytes(size), random, is_rtcp=random.random() < 0.5)

    def spoil(self, random: Random) -> None:
        if not self.made:
            return
        side, is_rtcp, source, packet = random.choice(self.made)
        changed = bytearray(packet)
        for _ in range(random.randrange(3)):
            if changed:
                changed[random.randrange(len(changed))] = random.randrange(256)
        self.deliver(side, bytes(changed[: random.choice((len(changed), len(changed), 30))]), random, is_rtcp=is_rtcp, source=source)

    def repeat(self, random: Random) -> None:
        """The same once more, or what was late: from there or elsewhere."""
        if self.made:
            side, is_rtcp, source, packet = random.choice(self.made)
            self.deliver(side, packet, random, is_rtcp=is_rtcp, source=source if random.random() < 0.7 else place(side, random))

    def change(self, random: Random) -> None:
        specs = dict(self.specs)
        side = random.choice(list(Side))
        known = random.choice(KNOWN)
        suite = known if random.random() < 0.98 else Suite.AES_256_CM_HMAC_SHA1_80
        mki, lifetime = random.choice((b"", b"", b"\1", b"\0\0\0\1")), random.choice((None, 1, 3))
        key = None if random.random() < 0.2 else replace(keys(random.randrange(3), suite), mki=mki, lifetime=lifetime)
        changes: list[dict[str, Any]] = [
            {"receive_keys": key},
            {"receive_keys": key},
            {"send_keys": key},
            {"remote": None if random.random() < 0.2 else place(side, random)},
            {"remote_rtcp": None if random.random() < 0.2 else place(side, random)},
            {"latch_from": tuple(place(random.choice((side, side, side.other)), random)[0] for _ in range(random.randrange(4)))},
            {"rtcp_mux": random.random() < 0.5},
            {"dtls": random.choice((None, BY_DTLS, BY_DTLS)), "rtcp_keys": (keys(random.randrange(3), known), keys(3, known))},
            {"rtcp_keys": random.choice((None, (keys(random.randrange(3), known), keys(4, known))))},
            {"send": random.random() < 0.7},
            {"follow": random.choice(list(Follow))},
            {"follow": random.choice(list(Follow))},
            {"silence": random.choice((None, 1.0, 5.0))},
            {"payload_types": random.choice(({}, {8: 8}, {8: 127, 9: 8, 101: 0}, {72: 72, 8: 72}))},
            {"clock_rates": random.choice(({}, {8: 8000, 9: 48000}, {8: 1}, {101: 48000, 102: 8000}))},
            {"translate": random.choice(({}, {8: Law.MU}, {8: Law.A, 9: Law.MU, 60: Law.A}))},
            {"reported": random.choice(((), (101,), (101,), (101, 102), (8,)))},
            {"events": random.choice((None, (96, 8000), (101, 48000), (127, 192000), (128, 8000), (101, 7999)))},
            {"ssrc": random.choice((1, 5, 0xFFFFFFFF, 0x12345678, 1 << 32)), "one_stream": random.random() < 0.6},
            {"one_stream": True, "ssrc": 0x7FFF0001},
        ]
        if random.random() < 0.1:
            fax = not self.specs[side].udptl
            for each in Side:
                speech = {} if fax else {8: 8}
                plain: dict[str, Any] = {"translate": {}, "reported": (), "events": None, "one_stream": False} if fax else {}
                bare = replace(self.specs[each], udptl=fax, receive_keys=None, send_keys=None, dtls=None, payload_types=speech, **plain)
                self.specs[each] = bare
        elif not self.specs[side].udptl:
            if (chosen := random.choice(changes)).keys() == {"receive_keys"}:
                self.former[side] = self.specs[side].receive_keys
            before = self.specs[side]
            self.specs[side] = replace(before, **chosen)
            if suite not in SUITES and key in chosen.values():
                self.specs[side] = before  # only one of the two has it
        for each, spec in self.specs.items():
            if spec.dtls is None or spec.rtcp_mux:
                self.specs[each] = replace(spec, rtcp_keys=None)
        if not self.update():
            self.specs = specs

    def wait(self, random: Random) -> None:
        self.fake.advance(random.choice((0.02, 0.02, 0.3, 0.5, 1.0, 2.0, 6.0, 16.0)))
        assert self.native.advance_to(self.fake.now) == self.left()
        self.compare()

    def wander(self, random: Random) -> None:
        """A NAT gives a peer another address, or somebody pretends that."""
        side, ssrc = random.choice(list(Side)), random.choice((1, 1, 1, 2))
        self.fake.advance(random.choice((0.9, 1.0, 1.1, 5.0)))
        assert self.native.advance_to(self.fake.now) == self.left()
        self.compare()
        sequence = self.sequences[side, ssrc] = self.sequences.get((side, ssrc), 0) + random.choice((1, 1, 1, 2, 0, 2999, 3000))
        packet = self.sealed(side, rtp(sequence, ssrc=ssrc), random, is_rtcp=False)
        for _ in range(random.choice((1, 1, 2))):
            self.deliver(side, packet, random, is_rtcp=False, source=place(side, random))

    def flood(self, random: Random) -> None:
        """As many packets as make it one, more or less: mostly too few."""
        side = random.choice(list(Side))
        times = random.choice((20, 20, 20, MOST_PACKETS + 1))
        for sequence in range(times):
            packet = FAX if self.specs[side].udptl else rtp(sequence, ssrc=5)
            self.receive(side, packet, self.usual(side), is_rtcp=False)
        self.compare()


def assert_same(native: RelayStats, fake: RelayStats) -> None:
    for ours, theirs in ((native.a, fake.a), (native.b, fake.b)):
        # Rounding apart: the two compute the wrap of the clock in different ways.
        assert ours.jitter_ms == pytest.approx(theirs.jitter_ms, rel=1e-6, abs=1e-3)
        assert replace(ours, jitter_ms=0.0) == replace(theirs, jitter_ms=0.0)


@settings(max_examples=max(20, settings().max_examples // 10))
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1 << 32)), max_size=100))
def test_both_engines_do_the_same(script: list[tuple[int, int]]) -> None:
    play = Play()
    try:
        for what, seed in script:
            play.steps[what % len(play.steps)](Random(seed))
    finally:
        final = play.native.close()
    assert_same(final, play.fake.close("call"))


@pytest.mark.parametrize("seed", range(6))
def test_both_engines_do_the_same_for_long(seed: int) -> None:
    random = Random(seed)
    play = Play()
    try:
        for _ in range(1000):
            random.choice(play.steps)(random)
    finally:
        play.native.close()
