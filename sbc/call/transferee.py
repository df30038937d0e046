"""Legs that change from one call into another: stand-ins speak for them in the new call until they are over there.

A transfer is a new call whose caller's side is the party that stays (`Transferee`). A leg that is taken over from another
call is its callee's side (`Takeover`): in attended transfers, and for an INVITE that replaces a leg (RFC 3891).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.api import Side
from sbc.call.callee import Target
from sbc.call.change import GLARE
from sbc.call.leg import Leg
from sbc.call.media import media_leg
from sbc.call.reports import Reports
from sbc.call.states import CallState
from sbc.call.words import Answered, Asked, Cause, Changed, Named, Offered, Progressed, Referred, Released, Settled, Word
from sbc.clock import Now
from sbc.frozen import replace
from sbc.sdp.offer import Description, Direction
from sbc.sdp.sides import fit_together
from sbc.sip.timers import Timer

if TYPE_CHECKING:
    from sbc.call.call import Call

# RFC 3326 s3.1: to the phone that rang it is no missed call
PICKED_UP = Cause(200, reasons=('SIP;cause=200;text="Call completed elsewhere"',), by="sbc", note="picked up")
INTRODUCTIONS = 5  # tries to tell a party of its new peer, when its own changes cross ours
INTRODUCE_AGAIN_S = 2.1  # as the owner of a Call-ID waits after 491 (RFC 3261 s14.1)


class Transferee(Leg):
    """Stands for `leg` of the call `old` while `new` looks for somebody to connect it with."""

    def __init__(self, new: Call, old: Call, leg: Leg, reports: Reports | None) -> None:
        media = media_leg(new.context, leg.party, leg.realm)
        super().__init__(new.context, Side.A, leg.party, leg.realm, leg.flow, new.session, media, new.hear)
        # Whoever transfers has mostly put the other on hold first; the new peer shall not begin on hold
        self.described = replace(leg.described, direction=Direction.SENDRECV) if leg.described else None
        self._new = new
        self._old: Call | None = old
        self._leg = leg
        self._reports = reports
        self._left: tuple[Leg, Cause] | None = None  # the referrer hung up and left the rest to us

    def tell(self, word: Word, now: Now) -> None:
        match word:
            case Progressed(status):
                self._report(status, now)
            case Answered(description, said):
                assert description is not None
                self._leg.connected.learn(said, self._leg.sent_by.host)
                self._hand_over(description, now)
            case Released(cause):
                self._fail(cause, now)
            case Changed() | Offered():  # the callee has changed its mind before it answered, and tells so again when it does
                self.say(Settled(None, GLARE), now)
            case Settled() | Named():
                pass
            case _:
                raise AssertionError(f"{word!r} to a party on its way")

    def left(self, leg: Leg, cause: Cause, now: Now) -> bool:
        """Somebody hung up in the old call. True: it has to wait, the transfer goes on."""
        if leg is self._leg:
            self.call_over(now)
            return False
        self._left = (leg, cause)
        return True

    def call_over(self, now: Now) -> None:
        """Nobody is left to be connected."""
        self._old = None
        self._new.release(Cause(487, by="sbc", note="transfer given up"), now)

    def _hand_over(self, description: Description, now: Now) -> None:
        old, self._old = self._old, None
        assert old is not None
        self._report(200, now)
        place = old.let_go(self._leg, now)
        self._new.adopt(self._leg, Side.A, place)
        self._new.introduction = Introduction(self._new, description)
        self._new.introduction.begin(now)

    def _fail(self, cause: Cause, now: Now) -> None:
        self._report(max(cause.status, 300), now)
        old, self._old = self._old, None
        if old is not None:
            old.successor = None
            if self._left is not None:
                old.hear(self._left[0], Released(self._left[1]), now)

    def _report(self, status: int, now: Now) -> None:
        if self._reports is not None:
            self._reports.say(status, now)


class Takeover(Leg):
    """Stands for `leg` of the call `old` in the call `new`, until the peer there has agreed to talk to somebody else."""

    def __init__(self, new: Call, old: Call, leg: Leg) -> None:
        media = media_leg(new.context, leg.party, leg.realm)
        super().__init__(new.context, Side.B, leg.party, leg.realm, leg.flow, new.session, media, new.hear)
        assert leg.dialog is not None
        self.target = Target(leg.party, leg.dialog.remote_target, leg.flow, leg.party.timers)
        self.call_id = leg.dialog.call_id
        self._new = new
        self._old = old
        self._leg = leg
        self._side = leg.side  # in the old call
        self._under_way = False
        self._wanted = True
        self._left: tuple[Leg, Cause] | None = None

    def begin(self, far: Description | None, now: Now) -> None:
        """Ask the peer; `far` is whom it will talk to."""
        if self._leg.ended or self._leg.owner is not self._old:  # while our relay was opened
            self.hear(self, Released(Cause(603, by="sbc", note="the dialog to replace is over")), now)
            return
        if self._old.successor is not None:
            self.hear(self, Released(Cause(491, by="sbc", note="already on its way")), now)
            return
        self._under_way = True
        self._old.successor = self
        self._leg.hear = self._hear
        self._new.anchor(self._leg, Side.B)
        self._leg.media.rekey()
        self._leg.connected.learn(self._new.invitation.said, self._leg.sent_by.host)
        self._leg.tell(Changed(far), now)

    def abandon(self, cause: Cause, now: Now) -> None:
        """The new call wants it no more: everything as it was."""
        if self._under_way:
            self._wanted = False
            self._leg.tell(Settled(None, Cause(487, by="sbc")), now)

    def left(self, leg: Leg, cause: Cause, now: Now) -> bool:
        """The party that is to be replaced hung up: it was about to be told to."""
        self._left = (leg, cause)
        return True

    def call_over(self, now: Now) -> None:
        self._under_way = False
        self._leg.hear = self._old.hear
        self.hear(self, Released(Cause(603, by="sbc", note="the call to be taken over has ended")), now)

    def _hear(self, leg: Leg, word: Word, now: Now) -> None:
        match word:
            case Settled(_, None) if self._wanted:
                self._take(now)
            case Settled(_, None):  # it crossed our CANCEL
                self._give_back(now)
                other = self._old.other(leg)
                if not leg.ended:
                    leg.tell(Changed(other.described), now)
            case Settled(_, refused):
                assert refused is not None
                self._give_back(now)
                self.hear(self, Released(refused), now)
            case Released(cause):
                self._left = None  # both are gone
                self._give_back(now)
                self.hear(self, Released(cause), now)
                self._old.hear(leg, word, now)
            case Asked() | Referred():
                word.reply(Cause(491, by="sbc", note="on its way into another call"), now)
            case _:  # what it changed meanwhile is in what it agreed to
                pass

    def _take(self, now: Now) -> None:
        self._under_way = False
        place = self._old.let_go(self._leg, now)
        self._new.adopt(self._leg, Side.B, place)
        self._new.hear(self._leg, Answered(self._leg.described), now)

    def _give_back(self, now: Now) -> None:
        self._under_way = False
        self._leg.hear = self._old.hear
        self._old.successor = None
        self._old.anchor(self._leg, self._side)
        if self._left is not None:
            self._old.hear(self._left[0], Released(self._left[1]), now)


class Pickup(Takeover):
    """Of a call that still rings (RFC 3891 s3): the caller, `leg`, gets the answer of who picks it up, and nobody else rings any more."""

    def __init__(self, new: Call, old: Call, leg: Leg, *, early_only: bool) -> None:
        super().__init__(new, old, leg)
        self._early_only = early_only

    def begin(self, far: Description | None, now: Now) -> None:
        leg, old, new = self._leg, self._old, self._new
        if not leg.ended and leg.owner is old and old.state is CallState.CONNECTED:  # answered while our relay was opened
            if self._early_only:
                self.hear(self, Released(Cause(486, by="sbc", note="the dialog to replace is answered")), now)
            else:
                super().begin(far, now)
            return
        if leg.ended or leg.owner is not old or old.state not in (CallState.DIALLING, CallState.RINGING):
            self.hear(self, Released(Cause(603, by="sbc", note="the dialog to replace is over")), now)
            return
        if far is None or leg.offer is None or not fit_together(leg.offer, far):
            self.hear(self, Released(Cause(488, by="sbc", note="no codec in common")), now)
            return
        place = old.let_go(leg, now, PICKED_UP)
        leg.renew()  # whatever it was told so far, it will hear somebody else
        new.adopt(leg, Side.B, place)
        leg.tell(Answered(far), now)
        if not leg.ended:
            new.hear(leg, Answered(leg.described), now)


class Introduction:
    """Tells the caller's side of a call whom it talks to now: it had another peer before."""

    __slots__ = ("_call", "_description", "_timer", "_tries")

    def __init__(self, call: Call, description: Description) -> None:
        self._call = call
        self._description = description
        self._tries = 0
        self._timer: Timer | None = None

    def begin(self, now: Now) -> None:
        assert self._call.a is not None
        self._timer = None
        self._tries += 1
        self._call.a.tell(Changed(self._description), now)

    def settled(self, word: Settled, now: Now) -> None:
        """What the party says to it. Changes that cross are tried again; another refusal ends the call."""
        if word.refused is None:
            self._call.introduction = None
        elif word.refused.status == 491 and self._tries < INTRODUCTIONS:
            self._timer = self._call.context.timers.start(now.monotonic + INTRODUCE_AGAIN_S, self.begin)
        else:
            self._call.introduction = None
            self._call.release(Cause(488, by="sbc", note=f"no new peer wanted: {word.refused.status}"), now)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
