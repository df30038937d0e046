"""A call: a table of what follows when one of its two legs says one of the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from media.api import RelayStats, Side
from sbc.call.attempts import Attempts
from sbc.call.bridge import Invitation
from sbc.call.callee import CalleeLeg, Target
from sbc.call.caller import CallerLeg
from sbc.call.causes import refusal_to_caller, status_of
from sbc.call.change import GLARE
from sbc.call.context import SUPPORTED, SUPPORTED_UNRELIABLE, Context
from sbc.call.digits import is_typed
from sbc.call.health import server_answered
from sbc.call.info import carries_digits, may_hear
from sbc.call.lasting import Lasting
from sbc.call.leg import Leg
from sbc.call.media import media_leg
from sbc.call.places import Places
from sbc.call.presenting import as_told
from sbc.call.record import Facts, LegFacts, recorded, server_of
from sbc.call.relaying import Relaying, early_media
from sbc.call.reserving import between, widen
from sbc.call.session_ids import SessionIds
from sbc.call.states import BEFORE_CONNECTED, CallState
from sbc.call.successor import Successor, Transferring
from sbc.call.transferee import Introduction, Takeover
from sbc.call.verifying import as_json, ask, refusal, with_verdict
from sbc.call.words import Answered, Asked, Cause, Changed, Named, Offered, Progressed, Referred, Released, Settled, Word
from sbc.clock import Now
from sbc.effects import Log
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.frozen import replace
from sbc.identity.verdict import Verdict
from sbc.policy.limits import Reservation
from sbc.policy.snapshot import Party, Route, Snapshot
from sbc.sip.timers import Timer
from sbc.sip.transactions import ServerTransaction

RELAY_FIGURES_WITHIN_S = 1.0  # then the record is written without them: it must not be forgotten
NO_LONGER_WANTED = Cause(487, by="sbc")
TRANSFERRED = Cause(200, by="sbc", note="transferred")


class Call:
    """Built once the caller is known and allowed; `begin` starts it, `ended` is called when nothing of it is left."""

    __deletable__ = ["_attempts", "_relaying"]  # noqa: RUF012 - read by the compiler of the core, not at run time

    def __init__(
        self,
        context: Context,
        snapshot: Snapshot,
        route: Route,
        invitation: Invitation,
        facts: Facts,
        reservation: Reservation | None,
        transfers: Transferring,
        ended: Callable[[Call], None],
    ) -> None:
        self.context = context
        self.snapshot = snapshot  # edits, codecs and routes: the policy the call began with
        self.route = route
        self.invitation = invitation
        self.facts = facts
        self.state = CallState.SCREENED
        self.a: Leg | None = None
        self.b: Leg | None = None
        self.successor: Successor | None = None
        self.takeover: Takeover | None = None  # the callee's side is a leg of another call
        self.introduction: Introduction | None = None
        self.grants: set[str] = set()  # parties that a party of this call has told how to replace it
        self._transfers = transfers
        self._ended = ended
        self.session = SessionIds(context.ids)
        self.places = Places(context.limits, reservation)
        self.target: Target | None = None  # of the attempt under way
        self._attempts = Attempts(self)
        self._relaying = Relaying(context, self)
        self.lasting = Lasting(context)
        self._timer: Timer | None = None  # ring time, then the wait for the relay's figures
        self._outcome: tuple[Cause, str] | None = None

    def begin(self, party: Party, transaction: ServerTransaction, flow: Flow, now: Now) -> None:
        """Take the caller's INVITE; every way on from here ends in a record."""
        realm = self.snapshot.realms[party.realm]
        media = media_leg(self.context, party, realm)
        self.facts.a.media = media
        self.a = leg = CallerLeg(self.context, party, realm, flow, transaction, self.session, media, self.hear, now)
        leg.owner = self
        transaction.user = leg
        try:
            leg.begin(transaction.request, now)
        except SipError as error:
            self.refuse(now, Cause(error.status, error.reason, headers=error.headers, by="sbc", note=str(error)))

    def begin_for(self, leg: Leg, now: Now) -> None:
        """The same for a party that has been in another call so far; `leg` speaks for it."""
        self.a = leg
        self._find(leg, Offered(leg.described), now)

    def flow_closed(self, now: Now) -> None:
        """The caller's connection is gone. A call that is connected goes on: media does not need it."""
        if self.a is not None:
            self.a.flow_closed(now)

    def hear(self, leg: Leg, word: Word, now: Now) -> None:
        """A leg speaks. Legs of attempts that were given up are not listened to any more."""
        if leg is not self.a and leg is not self.b:
            return
        action = TABLE.get((self.state, leg.side, type(word)))
        if action is not None:
            action(self, leg, word, now)
        elif self.state is not CallState.ENDED:
            facts: dict[str, object] = {"call": self.facts.id, "state": self.state.value, "word": type(word).__name__}
            self.context.emit(Log("warning", "unexpected word", facts))

    # Finding a callee

    def _find(self, leg: Leg, word: Offered, now: Now) -> None:
        crowded = widen(self.context, self.places, leg, self.route, self.facts, now)
        if crowded is not None:
            self.refuse(now, crowded)
            return
        claim = self.invitation.claimed
        if claim is not None and self.snapshot.identity is not None:
            ask(self.context, claim, self.snapshot.identity.patience, self._verified)
        elif self.takeover is not None:
            self._attempts.only(self.takeover.target, now)
        else:
            self._attempts.next(now)

    def _verified(self, verdict: Verdict, now: Now) -> None:
        """Somebody trustworthy stands for the caller, or not."""
        if self.state is CallState.ENDED or self.a is None:
            return
        self.facts.stir = as_json(verdict)
        self.invitation = with_verdict(self.invitation, verdict, self.a.party)
        cause = refusal(self.a, verdict)
        if cause is None:
            self._find(self.a, Offered(self.a.described), now)
        else:
            self.refuse(now, cause)

    def prepare(self, target: Target, now: Now) -> None:
        """It is the next to be dialled: a relay between the two realms; kept when the attempt before used the same."""
        assert self.a is not None
        self.target = target
        realms = (self.a.realm.name, target.party.realm)
        if self._relaying.serves(realms):
            self._dial(now)
            return
        if self._relaying.abandon():
            self.a.renew()
        self._relaying.open(realms)

    @property
    def identifier(self) -> str:
        return self.facts.id

    @property
    def relay(self) -> str | None:
        """The one its media goes through; None while there is none."""
        return self._relaying.name

    def relay_ready(self, now: Now) -> None:
        self._dial(now)

    def relay_refused(self, cause: Cause, now: Now) -> None:
        self.refuse(now, cause)

    def _dial(self, now: Now) -> None:
        assert self.a is not None and self.target is not None
        if self.takeover is not None:
            self._take_over(self.takeover, now)
            return
        target = self.target
        realm = self.snapshot.realms[target.party.realm]
        media = media_leg(self.context, target.party, realm)
        self.anchor(self.a, Side.A)
        self._relaying.listen(media, realm, Side.B)
        self.b = leg = CalleeLeg(self.context, target, realm, self.session, media, self.hear)
        leg.owner, leg.across, self.a.across = self, self.a.party, target.party
        self.facts.b = leg.facts
        self.state = CallState.DIALLING
        if self._timer is None:  # all servers of one party share its time
            self._timer = self.context.timers.start(now.monotonic + self.route.ring_for, self._ring_over)
        try:
            # An offer in a reliable 1xx has to be answered by the caller: one who cannot must not be the reason for it
            supported = SUPPORTED if self.a.answers_early else SUPPORTED_UNRELIABLE
            leg.dial(as_told(self.invitation, self.route, target.party), self.a.offer, supported, now)
        except SipError as error:
            self._attempts.failed(Cause(error.status, error.reason, headers=error.headers, by="sbc", note=str(error)), now)

    def _take_over(self, leg: Takeover, now: Now) -> None:
        assert self.a is not None
        self.anchor(self.a, Side.A)
        self.b = leg
        self.facts.b = LegFacts(leg.party, leg.flow, leg.call_id)
        self.state = CallState.DIALLING
        self._timer = self.context.timers.start(now.monotonic + self.route.ring_for, self._ring_over)
        leg.begin(self.a.offer, now)

    # While it rings

    def _progress(self, leg: Leg, word: Progressed, now: Now) -> None:
        assert self.a is not None
        self.state = CallState.RINGING
        if self.facts.times.progressed is None:
            self.facts.times.progressed = now.wall
        if word.description is not None and early_media(leg, emergency=self.route.emergency) == "none" and self.a.offer is not None:
            # Without a description a 183 would be silence: 180 has the caller's phone ring (RFC 3960 s3.2)
            word = replace(word, status=180, reason="", description=None)
        self.a.tell(word, now)
        if word.description is not None:
            self._update_relay()

    def _ring_over(self, now: Now) -> None:
        self._attempts.failed(Cause(408, by="sbc", note="not answered in time"), now)

    def _refused_by_callee(self, leg: Leg, word: Released, now: Now) -> None:
        self._attempts.refused(leg, word, now)

    def _abandon(self, leg: Leg, word: Released, now: Now) -> None:
        """The caller hung up while it rang."""
        self.drop_attempt(now, word.cause)
        cause = word.cause if word.cause.status >= 300 else replace(word.cause, status=487)  # BYE in an early dialog
        self._end(cause, "a" if word.cause.by == "peer" else "sbc", now)

    # Connected

    def _connect(self, leg: Leg, word: Answered, now: Now) -> None:
        assert self.a is not None and self.b is not None
        self._stop_timer()
        server_answered(self.context, leg.flow)
        self.context.outcomes.answered(leg.party, leg.flow, now)
        self.state = CallState.CONNECTED
        self.facts.attempts.append({"target": self.b.party.name, "status": 200, "server": server_of(self.b.flow)})
        if self.facts.times.progressed is None:
            self.facts.times.progressed = now.wall
        self.a.tell(word, now)
        if self.state is not CallState.CONNECTED:  # the caller could not be given the answer: nobody pays for this call
            return
        self.facts.times.answered = now.wall
        for each in (self.a, self.b):
            self.context.voice_reports.watch(self.facts.id, each)
        self._update_relay()
        self.facts.select()
        parties = (self.a.party, self.b.party, *self.places.payers())
        self.lasting.begin(parties, self.route, between(self.facts), self._too_long, now)

    def _too_long(self, now: Now) -> None:
        self.release(Cause(200, by="sbc", note="longest_call reached"), now)

    # Changes, from the first early dialog on

    def _change(self, leg: Leg, word: Changed, now: Now) -> None:
        if word.description is None or word.patience == "none":
            self._update_relay()
        if word.description is not None:
            self._ask_far(leg, word, now)

    def _ask_far(self, leg: Leg, word: Changed | Offered, now: Now) -> None:
        far = self._far_if_any(leg)
        waits = not isinstance(word, Changed) or word.patience != "none"
        if waits and (far is None or self.successor is not None or self.introduction is not None):  # nobody, or on its way elsewhere
            leg.tell(Settled(None, GLARE), now)
        elif far is not None:
            far.tell(word, now)

    def _rename(self, leg: Leg, word: Named, now: Now) -> None:
        far = self._far_if_any(leg)
        if far is not None:
            far.tell(word, now)

    def _settled(self, leg: Leg, word: Settled, now: Now) -> None:
        far = self._far_if_any(leg)
        if self.introduction is not None and leg is self.a:
            self.introduction.settled(word, now)
        elif far is not None:
            far.tell(word, now)
        if word.refused is None:
            self._update_relay()

    def _hang_up(self, leg: Leg, word: Released, now: Now) -> None:
        if self.successor is not None and self.successor.left(leg, word.cause, now):
            return
        self.other(leg).tell(word, now)
        self._end(word.cause, leg.side.value if word.cause.by == "peer" else "sbc", now)

    def _pass_on(self, leg: Leg, word: Asked, now: Now) -> None:
        """What both parties may say and hear crosses; the far side's policy counts as much as the near one's."""
        far = self.other(leg)
        digit = is_typed(leg, far, word)
        refused = may_hear(far.party, word) if digit is None else None
        if refused is not None:
            word.reply(refused, now)
        elif carries_digits(word) and not self.hears_digits(far.side):
            word.reply(Cause(200, by="sbc"), now)  # who types them need not know who listens
        elif digit is not None:
            self._relaying.type(far.side, digit)
            word.reply(Cause(200, by="sbc"), now)
        else:
            far.tell(word, now)

    def _refer(self, leg: Leg, word: Referred, now: Now) -> None:
        self._transfers.refer(self, leg, word, now)

    def _nobody_there(self, leg: Leg, word: Asked | Referred, now: Now) -> None:
        word.reply(Cause(480, by="sbc", note="nobody there to ask"), now)

    def release(self, cause: Cause, now: Now) -> None:
        """End both sides for a reason of our own, in any state."""
        if self.state is CallState.ENDED:
            return
        if self.state is CallState.CONNECTED:
            assert self.a is not None and self.b is not None
            self.a.tell(Released(cause), now)
            self.b.tell(Released(cause), now)
            self._end(cause, "sbc", now)
        else:
            self.refuse(now, cause)

    def leg_on(self, side: Side) -> Leg | None:
        return self.a if side == Side.A else self.b

    def hears_digits(self, side: Side) -> bool:
        near, far = self.leg_on(side.other), self.leg_on(side)
        return near is not None and far is not None and (self.route.emergency or far.party.media.hears_digits_of(near.party.media))

    def _far_if_any(self, leg: Leg) -> Leg | None:
        """Between two targets the caller is alone."""
        return self.b if leg is self.a else self.a

    # Legs that come and go

    def other(self, leg: Leg) -> Leg:
        """The leg on the other side of one of ours."""
        far = self._far_if_any(leg)
        assert far is not None
        return far

    def let_go(self, leg: Leg, now: Now, cause: Cause = TRANSFERRED) -> Reservation | None:
        """`leg` goes on in another call, with its place; what is left of this one ends."""
        self.successor = None
        place = self.places.take(leg.side)
        self.other(leg).tell(Released(cause), now)
        self._end(cause, "sbc", now)
        return place

    def adopt(self, leg: Leg, side: Side, place: Reservation | None) -> None:
        """`leg`, for which a stand-in has spoken so far, is one of ours."""
        self.session.take(leg.session, leg.side, side)
        leg.side, leg.owner, leg.hear, leg.session = side, self, self.hear, self.session
        self.anchor(leg, side)
        if side is Side.A:
            self.a = leg
            leg.media.rekey()
        else:
            self.b = leg
            assert self.facts.b is not None
            self.facts.b.media = leg.media
        leg.across, self.other(leg).across = self.other(leg).party, leg.party
        self.places.give(side, place)

    def anchor(self, leg: Leg, side: Side) -> None:
        """Our media address on that leg is the one of our relay."""
        self._relaying.listen(leg.media, leg.realm, side)

    # Media

    def _update_relay(self) -> None:
        self._relaying.update(self.a, self.b, emergency=self.route.emergency)

    def relay_over(self, stats: RelayStats, now: Now) -> None:
        if self._outcome is not None:
            self._write(stats, now)

    # The end

    def drop_attempt(self, now: Now, cause: Cause = NO_LONGER_WANTED) -> None:
        """CANCEL whatever is under way; from now on the leg speaks to nobody."""
        self._stop_timer()
        b, self.b = self.b, None
        if b is not None:
            b.abandon(cause, now)
            if self.a is not None:  # whatever it wanted of this callee, it will not get
                self.a.tell(Settled(None, GLARE), now)
        self.places.release(Side.B)

    def refuse(self, now: Now, cause: Cause | None = None) -> None:
        """For that reason, or the best of what the targets said."""
        assert self.a is not None
        self.drop_attempt(now)
        cause = cause or self._attempts.cause
        cause = cause if cause.status >= 300 else replace(cause, status=status_of(cause))
        self.a.tell(Released(refusal_to_caller(cause, self.a.party)), now)
        self._end(cause, "b" if cause.by == "peer" else "sbc", now)

    def _end(self, cause: Cause, released_by: str, now: Now) -> None:
        """Entered once, from everywhere: nothing is forgotten, nothing leaks."""
        assert self.state is not CallState.ENDED
        self.state = CallState.ENDED
        self.facts.times.ended = now.wall
        self.lasting.stop()
        if self.a is not None and self.a.early:
            self.facts.times.answered = None  # by the callee, but the caller never heard of it
        self._stop_timer()
        if self.introduction is not None:
            self.introduction.stop()
        if self.successor is not None:
            successor, self.successor = self.successor, None
            successor.call_over(now)
        self.places.release_all()
        self._outcome = (cause, released_by)
        if not self._relaying.is_open:
            self._write(None, now)
            return
        self._timer = self.context.timers.start(now.monotonic + RELAY_FIGURES_WITHIN_S, self._write_without_figures)
        self._relaying.close()

    def _write_without_figures(self, now: Now) -> None:
        self._relaying.forget()
        self._write(None, now)

    def _write(self, stats: RelayStats | None, now: Now) -> None:
        assert self._outcome is not None
        outcome, self._outcome = self._outcome, None
        self._stop_timer()
        self.facts.digits_translated = self._relaying.typed
        self.facts.take_reports(self.context.voice_reports.reported(self.facts.id, now) or {})
        self.context.emit(recorded(self.context.decisions, self.facts, *outcome, stats))
        self._ended(self)
        self.takeover = self.introduction = None
        self.a = self.b = None  # they know us: without the cycle, memory is free at once
        del self._relaying, self._attempts

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


# (state, who speaks, word) -> what follows. Each action takes the word of its own row, hence Any.
TABLE: Mapping[tuple[CallState, Side, type[Word]], Callable[[Call, Leg, Any, Now], None]] = {
    (CallState.SCREENED, Side.A, Offered): Call._find,
    (CallState.SCREENED, Side.A, Changed): Call._change,
    (CallState.SCREENED, Side.A, Settled): Call._settled,
    (CallState.SCREENED, Side.A, Released): Call._abandon,
    (CallState.DIALLING, Side.A, Changed): Call._change,
    (CallState.DIALLING, Side.A, Settled): Call._settled,
    (CallState.DIALLING, Side.A, Released): Call._abandon,
    (CallState.DIALLING, Side.B, Progressed): Call._progress,
    (CallState.DIALLING, Side.B, Answered): Call._connect,
    (CallState.DIALLING, Side.B, Released): Call._refused_by_callee,
    (CallState.RINGING, Side.A, Changed): Call._change,
    (CallState.RINGING, Side.A, Settled): Call._settled,
    (CallState.RINGING, Side.A, Released): Call._abandon,
    (CallState.RINGING, Side.B, Progressed): Call._progress,
    (CallState.RINGING, Side.B, Changed): Call._change,
    (CallState.RINGING, Side.B, Settled): Call._settled,
    (CallState.RINGING, Side.B, Answered): Call._connect,
    (CallState.RINGING, Side.B, Released): Call._refused_by_callee,
    (CallState.CONNECTED, Side.A, Offered): Call._ask_far,
    (CallState.CONNECTED, Side.A, Changed): Call._change,
    (CallState.CONNECTED, Side.A, Settled): Call._settled,
    (CallState.CONNECTED, Side.A, Asked): Call._pass_on,
    (CallState.CONNECTED, Side.B, Asked): Call._pass_on,
    (CallState.CONNECTED, Side.A, Referred): Call._refer,
    (CallState.CONNECTED, Side.B, Referred): Call._refer,
    **{(state, side, Named): Call._rename for state in (*BEFORE_CONNECTED, CallState.CONNECTED) for side in Side},
    **{(state, side, word): Call._nobody_there for state in BEFORE_CONNECTED for side in Side for word in (Asked, Referred)},
    (CallState.CONNECTED, Side.A, Released): Call._hang_up,
    (CallState.CONNECTED, Side.B, Offered): Call._ask_far,
    (CallState.CONNECTED, Side.B, Changed): Call._change,
    (CallState.CONNECTED, Side.B, Settled): Call._settled,
    (CallState.CONNECTED, Side.B, Released): Call._hang_up,
}
