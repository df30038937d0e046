"""Contract: opening, updating, closing; ports; events."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from media.api import EventKind, Interface, MediaError, MediaEvent, PortsExhausted, Side, SideSpec
from tests.unit.media.calls import Call
from tests.unit.media.packets import rtcp, rtp
from tests.unit.media.worlds import World

SMALL = {"near": Interface("127.0.0.2", 42000, 42003), "away": Interface("127.0.0.3", 42000, 42999)}


class LifeOfARelay:
    def test_ports_are_even_and_on_the_interface(self, world: World) -> None:
        ports = world.open()
        assert (ports.a[0], ports.b[0]) == ("127.0.0.2", "127.0.0.3")
        assert ports.a[1] % 2 == ports.b[1] % 2 == 0
        assert 42000 <= ports.a[1] <= 42998
        assert 42000 <= ports.b[1] <= 42998

    def test_both_sides_on_one_interface(self, world: World) -> None:
        ports = world.open(a="near", b="near")
        assert ports.a != ports.b

    def test_what_is_open_cannot_be_opened_again(self, world: World) -> None:
        world.open()
        with pytest.raises(MediaError):
            world.engine.open("call", "near", "away")

    def test_unknown_names_are_errors(self, world: World) -> None:
        with pytest.raises(MediaError):
            world.engine.update("call", SideSpec(), SideSpec())
        with pytest.raises(MediaError):
            world.engine.stats("call")
        with pytest.raises(MediaError):
            world.engine.close("call")
        with pytest.raises(MediaError):
            world.engine.open("call", "near", "elsewhere")

    def test_a_relay_that_could_not_open_leaves_nothing_behind(self, make_world: Callable[[], World]) -> None:
        world = make_world()
        world.begin(SMALL | {"away": Interface("127.0.0.3", 42000, 42001)})
        world.open("one")
        for _ in range(5):
            with pytest.raises(PortsExhausted):
                world.open("two")
        world.begin(SMALL)
        world.open("two")  # the second port of `near` is still clean
        world.end()

    def test_address_of_another_host(self, make_world: Callable[[], World]) -> None:
        world = make_world()
        world.begin({"near": Interface("192.0.2.1", 42000, 42999)})
        if type(world).__name__ != "FakeWorld":
            with pytest.raises(MediaError):
                world.open(a="near", b="near")
        world.end()

    def test_an_interface_by_name(self, make_world: Callable[[], World]) -> None:
        world = make_world()
        world.begin(SMALL | {"away": Interface("no.such.host.invalid", 42000, 42999)})
        if type(world).__name__ != "FakeWorld":
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                with pytest.raises(MediaError) as raised:
                    world.open()
                assert not isinstance(raised.value, PortsExhausted)
            assert len(os.listdir("/proc/self/fd")) == before
        world.end()

    def test_a_range_without_a_pair_of_ports(self, world: World) -> None:
        with pytest.raises(MediaError):
            world.engine.provide({"near": Interface("127.0.0.2", 42001, 42002)})
        world.open()  # the interfaces are as before

    def test_a_bad_spec_changes_nothing(self, world: World) -> None:
        call = Call(world)
        for bad in (
            SideSpec(remote=("bob.example", 4000)),
            SideSpec(remote=("::1", 4000)),
            SideSpec(remote=("127.0.0.1", 0)),
            SideSpec(remote_rtcp=("127.0.0.1", 70000)),
            SideSpec(remote=("127.0.0.1", 1 << 40)),
            SideSpec(dscp=64),
            SideSpec(latch_from=("127.0.0.0/8",)),
            SideSpec(latch_from=("127.0.0.1\0",)),
            SideSpec(latch_from=tuple(f"127.0.0.{number}" for number in range(7))),
            SideSpec(payload_types={8: 128}),
            SideSpec(payload_types={8: 1 << 70}),
            SideSpec(payload_types={8: 8}, clock_rates={8: -8000}),
            SideSpec(payload_types={8: 8}, clock_rates={8: 1 << 32}),
            SideSpec(payload_types={8: 8}, clock_rates={8: 1 << 70}),
        ):
            with pytest.raises(MediaError):
                world.engine.update("call", SideSpec(), bad)
        assert call.from_alice(rtp(1)).packet == rtp(1)

    def test_relays_do_not_mix(self, world: World) -> None:
        call = Call(world)
        other = world.open("other")
        carol, dave = world.peer("127.0.0.12"), world.peer("127.0.0.13")
        codecs = {8: 8}
        world.engine.update(
            "other", SideSpec(remote=carol.address, payload_types=codecs), SideSpec(remote=dave.address, payload_types=codecs)
        )
        call.from_alice(rtp(1))
        carol.send(rtp(2), other.a)
        assert world.expect(dave)[0].packet == rtp(2)
        assert call.bob.pending() == []
        world.engine.close("other")
        assert call.from_alice(rtp(2)).packet == rtp(2)

    def test_close_gives_the_final_figures(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        final = world.engine.close("call")
        assert (final.a.packets_received, final.b.packets_sent) == (1, 1)
        with pytest.raises(MediaError):
            world.engine.stats("call")

    def test_RTP_09_released_ports_rest_before_the_next_call(self, make_world: Callable[[], World]) -> None:
        world = make_world()
        world.begin(SMALL)
        first = world.open("one").a
        world.engine.close("one")
        assert world.open("two").a != first
        with pytest.raises(PortsExhausted):
            world.open("three")  # too early even under pressure
        world.advance(2.0)
        assert world.open("three").a == first
        world.end()

    def test_ports_of_other_processes_are_passed_over(self, make_world: Callable[[], World]) -> None:
        world = make_world()
        world.begin(SMALL)
        world.occupy(("127.0.0.2", 42001))  # the RTCP neighbour alone is enough
        assert world.open("one").a == ("127.0.0.2", 42002)
        with pytest.raises(PortsExhausted):
            world.open("two")
        world.end()

    def test_relays_survive_new_interfaces(self, world: World) -> None:
        call = Call(world)
        world.engine.provide({"other": Interface("127.0.0.4", 42000, 42999)})
        assert call.from_alice(rtp(1)).packet == rtp(1)
        with pytest.raises(MediaError):
            world.engine.open("two", "near", "away")
        world.engine.close("call")

    def test_an_unchanged_interface_keeps_its_quarantine(self, make_world: Callable[[], World]) -> None:
        world = make_world()
        world.begin(SMALL)
        first = world.open("one").a
        world.engine.close("one")
        world.begin(dict(SMALL))
        assert world.open("two").a != first
        world.end()

    def test_shutdown_closes_everything(self, make_world: Callable[[], World]) -> None:
        before = len(os.listdir("/proc/self/fd"))
        world = make_world()
        world.begin()
        for number in range(20):
            world.open(str(number))
        world.engine.shutdown()
        with pytest.raises(MediaError):
            world.engine.stats("0")
        with pytest.raises(MediaError):
            world.engine.open("late", "near", "away")
        world.end()
        assert len(os.listdir("/proc/self/fd")) == before

    def test_first_packet_once_a_side(self, world: World) -> None:
        call = Call(world)
        for sequence in range(3):
            call.from_alice(rtp(sequence))
        world.turn()
        assert world.events == [MediaEvent("call", Side.A, EventKind.FIRST_PACKET)]
        call.from_bob(rtp(1))
        world.until(lambda: call.events(EventKind.FIRST_PACKET) == [Side.A, Side.B])

    def test_events_come_from_outside_the_methods_and_may_call_them(self, world: World) -> None:
        call = Call(world)
        world.engine.on_event(lambda event: closed.append(world.engine.close(event.relay)))
        closed: list[object] = []
        call.alice.send(rtp(1), call.ports.a)
        world.until(lambda: len(closed) == 1)

    def test_no_event_of_a_closed_relay(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0}, b={"silence": 5.0})

        def hang_up(event: MediaEvent) -> None:
            world.events.append(event)
            world.engine.close(event.relay)

        world.engine.on_event(hang_up)
        world.advance(6)
        world.until(lambda: len(world.events) == 1)
        world.turn()
        assert call.events(EventKind.SILENCE) == [Side.A]

    def test_no_event_of_a_closed_relay_under_the_same_name(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0}, b={"silence": 5.0})

        def call_again(event: MediaEvent) -> None:
            world.events.append(event)
            world.engine.close(event.relay)
            world.open(event.relay)

        world.engine.on_event(call_again)
        world.advance(6)
        world.until(lambda: len(world.events) == 1)
        world.turn()
        assert call.events(EventKind.SILENCE) == [Side.A]

    def test_RTP_08_silence_is_reported_once(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0})
        call.from_alice(rtp(1))
        world.turn()
        world.advance(4.9)
        assert call.events(EventKind.SILENCE) == []
        world.advance(0.2)
        world.advance(60)
        assert call.events(EventKind.SILENCE) == [Side.A]

    def test_RTP_08_silence_after_new_speech_is_new(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0})
        world.advance(6)
        call.from_alice(rtp(1))
        world.turn()
        world.advance(4)
        assert call.events(EventKind.SILENCE) == [Side.A]
        world.advance(2)
        assert call.events(EventKind.SILENCE) == [Side.A, Side.A]

    def test_rtcp_is_a_sign_of_life(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0})
        world.advance(4)
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        world.turn()
        world.advance(4)
        assert call.events(EventKind.SILENCE) == []

    def test_an_update_that_changes_nothing_does_not_put_silence_off(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0})
        world.advance(4)
        call.change()
        world.advance(1.1)
        assert call.events(EventKind.SILENCE) == [Side.A]

    def test_silence_off_on_hold_starts_anew_afterwards(self, world: World) -> None:
        call = Call(world, a={"silence": 5.0})
        world.advance(4)
        call.change(a={"silence": None})
        world.advance(60)
        call.change(a={"silence": 5.0})
        world.advance(4)
        assert call.events(EventKind.SILENCE) == []
        world.advance(2)
        assert call.events(EventKind.SILENCE) == [Side.A]

    def test_RTP_06_TMD_17_a_peer_that_is_sent_nothing_is_kept_in_reach(self, world: World) -> None:
        call = Call(world, b={"send": False})
        call.alice.send(rtp(1), call.ports.a)
        world.until(lambda: call.stats.a.packets_received == 1)
        world.advance(14.9)
        assert call.alice.pending() == []
        world.advance(0.2)
        assert world.expect(call.alice) == [(b"", call.ports.a)]
        assert call.bob.pending() == [], "nobody has been heard there"
        world.advance(15.1)
        world.expect(call.alice)
        call.from_bob(rtp(1))
        world.advance(10)
        assert call.alice.pending() == [], "speech does it as well"
        assert call.stats.a.packets_sent == 1

    def test_RTP_06_what_keeps_the_way_open_is_no_error(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        call.alice.send(b"", call.ports.a)
        call.from_alice(rtp(2))
        stats = call.stats.a
        assert (stats.packets_received, stats.malformed, stats.latched) == (2, 0, call.alice.address)
