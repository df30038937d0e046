"""Transfers (RFC 3515, RFC 3891, RFC 5589): passed to the other party, or performed here on the account of who asks for them."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.bridge import Invitation
from sbc.call.call import Call
from sbc.call.caller import CallerLeg
from sbc.call.charging import Placed, number_meant, place_call
from sbc.call.context import Context
from sbc.call.crossing import NOTHING, Said, referred_by_rows
from sbc.call.info import may_hear
from sbc.call.leg import Leg
from sbc.call.neutral import user_part
from sbc.call.record import Facts, LegFacts, Times, recorded
from sbc.call.reports import Reports
from sbc.call.reserving import between, way_of
from sbc.call.states import CallState
from sbc.call.transferee import Pickup, Takeover, Transferee
from sbc.call.words import Asked, Cause, Referred
from sbc.clock import Now
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.frozen import frozen, replace
from sbc.policy.decide import dialled, route
from sbc.policy.snapshot import Party
from sbc.sip.fields.refer_to import ReferTo
from sbc.sip.fields.replaces import Replaces
from sbc.sip.message import Request
from sbc.sip.names import JOIN, REPLACES
from sbc.sip.uri import Uri


@frozen
class Found:
    """A leg of ours, its call, and the leg on the other side. `early_only`: not if it is answered."""

    call: Call
    leg: Leg
    far: Leg
    early_only: bool = False

    @property
    def is_ringing(self) -> bool:
        return self.call.state is not CallState.CONNECTED


class Transfers:
    """`admit` lists a call that nobody's INVITE began, `ended` is told when nothing of it is left."""

    def __init__(self, context: Context, admit: Callable[[Call, Flow], None], ended: Callable[[Call], None]) -> None:
        self._context = context
        self._admit = admit
        self._ended = ended

    def refer(self, call: Call, leg: Leg, word: Referred, now: Now) -> None:
        """`leg` wants its far side to be connected with somebody else."""
        try:
            party = self._as_of_now(leg.party)
            if party.services.transfers != "pass" or word.refer_to.replaces is not None:
                self._context.tap.cut(call.facts.id)
            if party.services.transfers == "pass":
                self._pass(call, leg, party, word, now)
            elif call.successor is not None or call.introduction is not None:
                raise SipError("another transfer of this call", status=491, reason="Request Pending")
            elif word.refer_to.replaces is not None:
                self._join(call, leg, word, self._own_dialog(word.refer_to.replaces, leg), now)
            else:
                self._dial(call, leg, party, word, now)
        except SipError as error:
            self._refuse(call, leg, word, error, now)

    def replaced(self, party: Party, request: Request, identifier: str) -> Found | None:
        """What an INVITE of `party` replaces, by the table of RFC 3891 s3; None: nothing. `far` of it goes on with the new caller.

        `identifier`: of the new call.

        Raises SipError: 400, 403, 481, 486, 603, and 491 when it is already being moved.
        """
        rows = request.headers.all(REPLACES)
        if not rows:
            return None
        self._context.tap.cut(identifier)
        if len(rows) > 1 or JOIN in request.headers:
            raise ParseError("Replaces more than once, or with Join")
        replaces = Replaces.parse(rows[0])
        found = self._find(replaces)
        if found is None or (found.is_ringing and not (found.leg is found.call.b and isinstance(found.far, CallerLeg))):
            # The second: "an early dialog that was not initiated by this UA"
            raise SipError("no dialog to replace", status=481, reason="Call/Transaction Does Not Exist")
        if party.services.transfers == "refuse" or (party.name != found.leg.party.name and party.name not in found.call.grants):
            raise SipError(f"{party.name} may not replace a call of {found.leg.party.name}", status=403, reason="Forbidden")
        if found.far.ended:
            raise SipError("nobody is left there", status=603, reason="Decline")
        if found.is_ringing and found.far.offer is None:
            raise SipError("the caller waits for an offer", status=488, reason="Not Acceptable Here")
        if replaces.early_only and not found.is_ringing:
            raise SipError("the dialog to replace is answered", status=486, reason="Busy Here")
        if found.call.successor is not None or found.call.introduction is not None:
            raise SipError("the dialog to replace is being moved", status=491, reason="Request Pending")
        self._context.tap.cut(found.call.facts.id)
        return replace(found, early_only=replaces.early_only)

    def _as_of_now(self, party: Party) -> Party:
        """A transfer is a new call: by the policy of today, whatever the call began with. Raises SipError 403."""
        snapshot = self._context.snapshot
        known: Party | None = snapshot.trunks.get(party.name) or snapshot.users.get(party.name)
        if known is None or known.services.transfers == "refuse":
            raise SipError(f"{party.name} may not transfer any more", status=403, reason="Forbidden")
        return known

    # Which dialog

    def _find(self, replaces: Replaces) -> Found | None:
        """By the identifiers of the leg to be replaced; or by those the far side knows, which name the leg that stays.

        Raises SipError 603 for one that is over. None: it is none of ours, or alone.
        """
        dialogs = self._context.dialogs
        named = dialogs.get((replaces.call_id, replaces.to_tag))
        if isinstance(named, Leg) and named.knows(replaces.from_tag):
            return self._found(named)
        named = dialogs.get((replaces.call_id, replaces.from_tag))
        if isinstance(named, Leg) and named.knows(replaces.to_tag):
            found = self._found(named)
            return Found(found.call, found.far, found.leg) if found is not None else None
        return None

    @staticmethod
    def _found(leg: Leg) -> Found | None:
        call = leg.owner
        if not isinstance(call, Call) or leg.ended or leg not in (call.a, call.b):
            raise SipError("the dialog to replace is over", status=603, reason="Decline")
        return Found(call, leg, call.other(leg)) if call.a is not None and call.b is not None else None

    def _own_dialog(self, replaces: Replaces, referrer: Leg) -> Found:
        """Another answered call of whoever transfers. Raises SipError 404: not 481, which would end the dialog of the REFER."""
        try:
            found = self._find(replaces)
        except SipError:
            found = None
        if found is None or found.is_ringing or found.leg is referrer or found.far.owner is referrer.owner:
            raise SipError("no other call", status=404, reason="Not Found")
        if found.leg.party.name != referrer.party.name:
            raise SipError("no other call of theirs", status=404, reason="Not Found")
        if found.call.successor is not None or found.call.introduction is not None or found.far.ended:
            raise SipError("the other call is being moved", status=491, reason="Request Pending")
        self._context.tap.cut(found.call.facts.id)
        return found

    # Passed

    def _pass(self, call: Call, leg: Leg, party: Party, word: Referred, now: Now) -> None:
        """The far party gets a REFER to a number at our own address: its call will come by here, as one of its own."""
        far = call.other(leg)
        replaces = None
        if word.refer_to.replaces is not None:
            found = self._own_dialog(word.refer_to.replaces, leg)
            dialog = found.far.dialog
            assert dialog is not None
            replaces = Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag, word.refer_to.replaces.early_only)
            found.call.grants.add(far.party.name)
            number = number_of(found.call, found.far)
        else:
            number = number_meant(self._context.snapshot, party, word.refer_to.uri)
            if route(self._context.snapshot, party, number) is None:
                raise SipError("no route", status=404, reason="Not Found")
        uri = Uri.sip(user_part(number), far.sent_by.host, far.sent_by.port, word.refer_to.uri.params)
        rows = (("Refer-To", str(ReferTo(uri, replaces))), *referred_by_rows(word.referred_by, far.party, far.sent_by.host))
        asked = Asked("REFER", word.max_forwards, rows, b"", word.reply)
        refused = may_hear(far.party, asked)
        if refused is not None:
            raise SipError(refused.note, status=refused.status, reason="Forbidden")
        assert far.dialog is not None
        before = far.dialog.local_cseq
        far.tell(asked, now)
        if far.dialog.local_cseq != before:
            far.reported.expect(far.dialog.local_cseq, word.cseq)

    # Performed

    def _dial(self, call: Call, leg: Leg, party: Party, word: Referred, now: Now) -> None:
        """Blind: call the target as the referrer would, for the party that stays."""
        stays = call.other(leg)
        number = number_meant(self._context.snapshot, party, word.refer_to.uri)
        if not word.max_forwards:
            raise SipError("no hops left", status=483, reason="Too Many Hops")
        placed = self._place(call, leg, party, number, now)
        facts = self._facts(call, leg, word, number, now)
        facts.route, facts.route_line = placed.route.name, placed.route.line
        invitation = invitation_for(call, stays, number, word)
        new = Call(self._context, self._context.snapshot, placed.route, invitation, facts, None, self, self._ended)
        new.places.charge(party, placed.reservation)
        new.places.give_route(placed.on_route)
        self._begin(new, call, leg, word, now)

    def _join(self, call: Call, leg: Leg, word: Referred, found: Found, now: Now) -> None:
        """Attended: the far sides of two calls of the referrer talk to each other."""
        number = number_of(found.call, found.far)
        facts = self._facts(call, leg, word, number, now)
        facts.route, facts.route_line = found.call.facts.route, found.call.facts.route_line
        invitation = invitation_for(call, call.other(leg), number, word)
        new = Call(self._context, call.snapshot, found.call.route, invitation, facts, None, self, self._ended)
        ends = between(facts)
        new.places.charge(leg.party, self._context.limits.reserve_exempt(leg.party, "from", ends))  # one place instead of the two it has
        new.places.give_route(self._context.limits.reserve_route_exempt(new.route, ends))
        new.takeover = Takeover(new, found.call, found.far)
        self._begin(new, call, leg, word, now)

    def _begin(self, new: Call, call: Call, leg: Leg, word: Referred, now: Now) -> None:
        word.reply(Cause(202, headers=(("Refer-Sub", "false"),) if word.silent else ()), now)
        stays = call.other(leg)
        reports = None if word.silent else Reports(leg, word.cseq, word.max_forwards, now)
        transferee = Transferee(new, call, stays, reports)
        call.successor = transferee
        self._admit(new, stays.flow)
        new.begin_for(transferee, now)

    def _place(self, call: Call, leg: Leg, party: Party, number: str, now: Now) -> Placed:
        """The referrer is about to leave: its place in the old call does not count against the new one."""
        held = call.places.take(leg.side)
        if held is not None:
            self._context.limits.release(held)
        try:
            return place_call(self._context, self._context.snapshot, party, between(call.facts, number), now)
        finally:
            again = self._context.limits.reserve_exempt(leg.party, way_of(leg.side), between(call.facts))
            call.places.give(leg.side, self._context.limits.carry(again, held.bits if held is not None else 0))

    def _refuse(self, call: Call, leg: Leg, word: Referred, error: SipError, now: Now) -> None:
        """What was refused is recorded: this is how toll fraud begins."""
        self._context.tap.cut(call.facts.id)  # a second record of one call
        word.reply(Cause(error.status, error.reason, by="sbc", note=str(error)), now)
        facts = self._facts(call, leg, word, dialled(word.refer_to.uri), now)
        facts.times.ended = now.wall
        cause = Cause(error.status, error.reason, by="sbc", note=f"transfer: {error}")
        self._context.emit(recorded(self._context.decisions, facts, cause, "sbc", None))

    def _facts(self, call: Call, leg: Leg, word: Referred, number: str, now: Now) -> Facts:
        stays = call.other(leg)
        assert stays.dialog is not None
        return Facts(
            id=self._context.ids.tag(),
            times=Times(now.wall),
            caller=number_of(call, stays),
            called=number,
            dialled=dialled(word.refer_to.uri),
            a=LegFacts(stays.party, stays.flow, stays.dialog.call_id, stays.media),
            transferred_by=leg.party.name,
        )


def takeover_of(new: Call, found: Found) -> Takeover:
    """What has the far leg of `found` talk to the caller of `new` instead."""
    if found.is_ringing:
        return Pickup(new, found.call, found.far, early_only=found.early_only)
    return Takeover(new, found.call, found.far)


def number_of(call: Call, leg: Leg) -> str:
    """The number or name of the party on that leg; "" when it has none."""
    return call.facts.caller if leg is call.a else call.facts.called


def invitation_for(call: Call, leg: Leg, number: str, word: Referred) -> Invitation:
    """A call to `number` on behalf of the party on that leg, with its own number and its wish for privacy, and who asked for it."""
    known = call.invitation
    if leg is call.a:
        said = known.said
        kept = Said(said.identities, said.hidden, said.anonymous, said.privacy, said.verstat) if said is not NOTHING else NOTHING
        told = replace(kept, referred_by=word.referred_by) if word.referred_by is not None else kept
        invitation = replace(known, called=number, service=None, max_forwards=word.max_forwards, said=told)
        return replace(invitation, priority="", urgent=False, bodies=())
    told = Said(referred_by=word.referred_by) if word.referred_by is not None else NOTHING
    return Invitation(call.facts.called, "", False, number, None, known.secure, word.max_forwards, None, told)
