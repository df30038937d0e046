"""The media of a call: its relay, opened between two realms, told what both legs agreed on, closed in the end."""

from __future__ import annotations

from typing import Protocol

from media.api import Digit, MediaEvent, RelayPorts, RelayStats, Side
from sbc.call.context import Context
from sbc.call.digits import Dictation
from sbc.call.intrusions import Intrusion
from sbc.call.leg import Leg
from sbc.call.media import MediaWatch
from sbc.call.places import Places
from sbc.call.states import CallState
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.effects import CloseRelay, Log, OpenRelay, SendDigit, UpdateRelay
from sbc.frozen import replace
from sbc.policy.realms import Realm
from sbc.sdp.offer import MediaLeg
from sbc.sdp.sides import relay_sides
from sbc.sip.uri import format_host


class Relayed(Protocol):
    """The call, which hears of its relay."""

    @property
    def identifier(self) -> str: ...
    @property
    def state(self) -> CallState: ...
    @property
    def places(self) -> Places: ...

    def relay_ready(self, now: Now) -> None:
        """Its ports are known."""
        ...

    def relay_refused(self, cause: Cause, now: Now) -> None:
        """There will be none."""
        ...

    def relay_over(self, stats: RelayStats, now: Now) -> None:
        """It is closed; the final figures."""
        ...

    def release(self, cause: Cause, now: Now) -> None: ...

    def leg_on(self, side: Side) -> Leg | None: ...

    def hears_digits(self, side: Side) -> bool:
        """Whether the peer on that side may know what the other one types."""
        ...


class Relaying:
    """One relay at a time: a target in another realm gets another one. For the core it is the owner of them all."""

    def __init__(self, context: Context, call: Relayed) -> None:
        self._context = context
        self._call = call
        self._relay: str | None = None
        self._realms = ("", "")
        self._ports: RelayPorts | None = None
        self._opened = 0
        self._watch = MediaWatch()
        self.typed = False  # digits of one side were told to the other in other words
        self._dictations = {side: Dictation(context, call, side) for side in Side}

    @property
    def name(self) -> str | None:
        return self._relay if self._ports is not None else None

    @property
    def is_open(self) -> bool:
        return self._relay is not None and self._ports is not None

    # What the call wants

    def serves(self, realms: tuple[str, str]) -> bool:
        """Whether the relay there is will do between these."""
        return self.is_open and self._realms == realms

    def open(self, realms: tuple[str, str]) -> None:
        self._opened += 1
        self._relay = f"{self._call.identifier}-{self._opened}"
        self._realms = realms
        self._context.relays[self._relay] = self
        self._context.emit(OpenRelay(self._relay, *realms))

    def abandon(self) -> bool:
        """Another will be needed. Whether there was one."""
        if self._relay is None:
            return False
        if self._ports is not None:
            self._context.emit(CloseRelay(self._relay))
        self._relay = self._ports = None
        return True

    def listen(self, media: MediaLeg, realm: Realm, side: Side) -> None:
        """Tell peers of that side of the relay's port: behind 1:1 NAT the ports are the same, the host is not."""
        assert self._ports is not None
        address, port = self._ports.a if side is Side.A else self._ports.b
        if address != realm.relay.address:  # a new policy has moved the relay since the call began
            realm = self._context.snapshot.realms.get(realm.name, realm)
        media.listen((realm.relay_advertise, port), fingerprint=self._ports.fingerprint)

    def update(self, a: Leg | None, b: Leg | None, *, emergency: bool) -> None:
        """Do what the legs agreed on."""
        if self._relay is None or a is None or b is None:
            return
        self._watch.forget_silence()
        for leg in (a, b) if self._context.limits.counts_bandwidth else ():
            if leg.media.agreed is not None:
                self._call.places.carry(leg.side, leg.media.bits)
        hosts_a, hosts_b = (a.flow.remote[0],), (b.flow.remote[0],)
        side_a, side_b = relay_sides(a.media, b.media, latch_a=hosts_a, latch_b=hosts_b, all_digits=emergency)
        if self._call.state is not CallState.CONNECTED and early_media(b, emergency=emergency) == "listen":
            side_b = replace(side_b, send=False)
        self._context.emit(UpdateRelay(self._relay, side_a, side_b))

    def type(self, side: Side, digit: Digit) -> None:
        """To the peer on that side, as a telephone-event."""
        if self._relay is not None:
            self.typed = True
            self._context.emit(SendDigit(self._relay, side, digit))

    def close(self) -> None:
        """For good: `relay_over` follows, unless it is forgotten before."""
        assert self._relay is not None
        self._context.emit(CloseRelay(self._relay))

    def forget(self) -> None:
        """Nobody waits for the figures any more."""
        if self._relay is not None:
            self._context.relays.pop(self._relay, None)

    # What becomes of it

    def relay_opened(self, relay: str, ports: RelayPorts, now: Now) -> None:
        if relay != self._relay or self._call.state is CallState.ENDED:
            self._context.emit(CloseRelay(relay))
            return
        self._ports = ports
        self._call.relay_ready(now)

    def relay_failed(self, relay: str, reason: str, now: Now) -> None:
        cause = Cause(503, by="sbc", note=f"media: {reason}", out_of_service=True)
        if relay == self._relay and self._ports is not None:  # it is open, but does not do what it was told
            self._call.release(cause, now)
            return
        self._context.relays.pop(relay, None)
        if relay != self._relay or self._call.state is CallState.ENDED:
            return
        self._relay = None
        self._call.relay_refused(cause, now)

    def relay_closed(self, relay: str, stats: RelayStats, now: Now) -> None:
        self._context.relays.pop(relay, None)
        if relay == self._relay:
            self._call.relay_over(stats, now)

    def media_happened(self, event: MediaEvent, now: Now) -> None:
        if event.relay != self._relay or self._call.state is not CallState.CONNECTED:
            return
        if event.digit is not None:
            far = event.side.other
            leg = self._call.leg_on(far)
            if leg is not None and leg.party.media.digits == "info" and self._call.hears_digits(far):
                self.typed = True
                self._dictations[far].add(event.digit, now)
            return
        warning, cause = self._watch.hear(event)
        if warning is not None:
            where = self._intruder(event, now)
            self._context.emit(Log("warning", warning, {"call": self._call.identifier, "side": event.side.value, **where}))
        if cause is not None:
            self._call.release(cause, now)

    def _intruder(self, event: MediaEvent, now: Now) -> dict[str, str]:
        """Who sends from where the peer is not, remembered for who asks."""
        leg = self._call.leg_on(event.side)
        if event.source is None or leg is None or leg.dialog is None:
            return {}
        host, port = event.source
        self._context.intrusions.add(Intrusion(now.wall, host, port, self._call.identifier, leg.dialog.call_id, leg.party.name))
        return {"from": format_host(host, port)}


def early_media(callee: Leg, *, emergency: bool) -> str:
    """What is relayed before the answer; an emergency call is never kept from being heard."""
    return "both" if emergency else callee.party.media.early
