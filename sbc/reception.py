"""Every request that is no retransmission comes by here: in a dialog or new, who is it, may they, where to.

The order identify → normalise → limit → route is fixed: a number normalised after routing is how `00449…` slips past
a block on `+449`.
"""

from __future__ import annotations

from functools import partial

from sbc.call.abilities import methods_of
from sbc.call.bodies import LOCATION
from sbc.call.bridge import Invitation, asserted_number, breadth_left, invitation_of
from sbc.call.call import Call
from sbc.call.causes import cause_of_request, status_told
from sbc.call.context import DIALOG_METHODS, SUPPORTED, Context, DialogUser
from sbc.call.crossing import check_privacy
from sbc.call.decisions import Step, refused_request
from sbc.call.editing import heard, sending
from sbc.call.errand import Errand
from sbc.call.identities import caller_number, screened
from sbc.call.leg import Leg
from sbc.call.message import check_size, event_of
from sbc.call.neutral import is_anonymous
from sbc.call.peers import Vouched
from sbc.call.presenting import masked
from sbc.call.priority import OPTION, allowed_priority, with_priority
from sbc.call.record import Facts, LegFacts, Times, recorded
from sbc.call.subscriptions import Subscriptions
from sbc.call.transfer import Transfers, number_of, takeover_of
from sbc.call.verifying import claimed
from sbc.call.voice_reports import accepted, is_for_us
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.doorkeeper import Doorkeeper
from sbc.effects import Offended, Vouch
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.frozen import replace
from sbc.helpline import Helpline
from sbc.policy.decide import (
    Admitted,
    account_name,
    check_called,
    dialled,
    is_at,
    may_register,
    normalise,
    route,
    trunk_at,
)
from sbc.policy.snapshot import Party, Route, Trunk, User
from sbc.registrar.bindings import Bindings
from sbc.registrar.carriers import Carriers, number_called
from sbc.registrar.register import BULK_OPTION, OPTIONS, Registration
from sbc.registrar.through import Through, called_by, route_of, tokens_of
from sbc.screening import (
    normalise_called,
    refuse_beyond,
    refuse_insecure,
    refuse_loop,
    refuse_too_many,
    refuse_when_draining,
    reserve_place,
    reserve_route,
    screen_caller,
)
from sbc.shield.bans import Proof
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, PROXY_AUTHORIZATION
from sbc.sip.transactions import ServerTransaction
from sbc.sip.validate import check_request, hops_left
from sbc.strangers import Strangers, answer_stateless

PROOFS = frozenset({AUTHORIZATION, PROXY_AUTHORIZATION})
MergeKey = tuple[str, str, int, str]  # Call-ID, From tag, CSeq number (RFC 3261 s8.2.2.2), number called

METHODS = frozenset({*DIALOG_METHODS, "REGISTER"})
EXTENSIONS = frozenset({"norefersub", "replaces", "timer", "100rel", "privacy"})  # the last: we are the privacy service (RFC 3323 s5)
NOWHERE = frozenset({404, 484})  # what whoever tries out numbers hears
OPTIONS_HEADERS = (
    ("Accept", "application/sdp"),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "en"),
    ("Supported", SUPPORTED),
)


class Reception:
    def __init__(self, context: Context, bindings: Bindings) -> None:
        self.calls: dict[Call, tuple[MergeKey, Flow]] = {}  # what it is listed under below
        self._context = context
        self._bindings = bindings
        tokens = tokens_of(context)
        self.carriers = Carriers(context, tokens)
        doorkeeper = Doorkeeper(context, bindings.all_at, self.carriers.caller)
        self._through = Through(context, bindings, tokens, doorkeeper.note_failure)
        self._admit_party = context.tap.answered(Helpline(context, doorkeeper).admit)
        self._strangers = Strangers(context, context.tap.answered(doorkeeper.may_answer))
        self._subscriptions = Subscriptions(context)
        self._transfers = Transfers(context, self._admit_transferred, self._ended)
        self._merged: dict[MergeKey, Call] = {}  # RFC 3261 s8.2.2.2
        self._on_connection: dict[Flow, set[Call]] = {}

    def receive_request(self, request: Request, flow: Flow, now: Now) -> None:
        if self._context.transactions.absorb(request, flow, now):
            return
        if request.method == "CANCEL":
            self._cancel(request, flow, now)
        elif request.to.tag:
            self._within_dialog(request, flow, now)
        elif request.method != "ACK":  # an ACK is never answered
            self._begin(request, flow, now)

    def receive_malformed(self, error: SipError, request: Request | None, flow: Flow, now: Now) -> None:
        """A stateless 400 (or what the error says) to whom we know; a stranger on UDP hears nothing (TRN-08)."""
        if request is None or request.method == "ACK":
            return
        trunk = trunk_at(self._context.snapshot, flow)
        name = trunk.name if trunk is not None else ""
        self._note_refused(request, flow, "allowed", (error.status, error.reason, f"malformed: {error}"), now, name)
        if flow.reliable or trunk is not None or self.carriers.knows(flow):
            answer_stateless(self._context, self._context.answer(request, error.status, error.reason, error.headers), request, flow)

    def restore(self, stored: tuple[tuple[str, str], ...], now: Now) -> None:
        """Who was registered with an earlier process."""
        self._bindings.restore(stored, partial(may_register, self._context.snapshot), now)
        self._through.restore(stored)

    def follow_policy(self, now: Now) -> None:
        """The context has a new one: who is registered that may not be, is no longer; nor are we where it says so."""
        self._bindings.keep(partial(may_register, self._context.snapshot), now)
        self.carriers.follow_policy(now)
        for call in tuple(self.calls):
            self._context.tap.within(call.facts.id, call.lasting.follow, now)

    def flows_in_use(self) -> frozenset[Flow]:
        """Those that calls and subscriptions go by."""
        legs = [leg for call in self.calls for leg in (call.a, call.b) if leg is not None]
        return frozenset([user.flow for user in (*legs, *self._context.dialogs.values())])

    def strays(self) -> tuple[Flow, ...]:
        """Connections of parties that the policy has no more, once their calls are over."""
        departed = self.departed()
        in_use = self.flows_in_use() if departed else frozenset()
        return tuple([flow for flow in departed if flow not in in_use])

    def departed(self) -> tuple[Flow, ...]:
        """Connections of parties that the policy has no more."""
        return tuple([each.flow for each in self._context.peers.proven() if not self._is_known(each)])

    def _is_known(self, vouched: Vouched) -> bool:
        snapshot, flow = self._context.snapshot, vouched.flow
        party = snapshot.trunks.get(vouched.name) or snapshot.users.get(vouched.name)
        if party is not None and party.realm == flow.realm:
            return True
        return self._bindings.at(flow) is not None or self.carriers.knows(flow)

    def flow_closed(self, flow: Flow, now: Now) -> None:
        self._context.closed.add(flow)
        self._context.peers.forget(flow.connection)
        self._context.transactions.flow_closed(flow)
        self._bindings.flow_closed(flow)
        self.carriers.flow_closed(flow, now)
        for call in tuple(self._on_connection.get(flow, ())):
            self._context.tap.within(call.facts.id, call.flow_closed, now)

    def release_all(self, cause: Cause, now: Now) -> None:
        for call in tuple(self.calls):
            self._context.tap.within(call.facts.id, partial(call.release, cause), now)
        self._subscriptions.release_all(now)

    # In a dialog

    def _cancel(self, request: Request, flow: Flow, now: Now) -> None:
        """200 to the CANCEL whenever it matches, whatever has become of the INVITE (RFC 3261 s9.2)."""
        invite = self._context.transactions.invite_to_cancel(request, flow)
        if invite is None and not self._context.transactions.cancels_too_late(request, flow):
            self._gone(request, flow, now)
            return
        transaction = self._context.transactions.server(request, flow, now, None)
        leg = invite.user if invite is not None else None
        tag = leg.local_tag if isinstance(leg, Leg) else self._tag_told(request)
        self._context.transactions.respond(transaction, Response.answer(request, 200, to_tag=tag), now)
        if isinstance(leg, Leg) and invite is not None and invite.last_status < 200:
            leg.cancel(cause_of_request(request), now)

    def _tag_told(self, cancel: Request) -> str:
        """The To tag the INVITE was answered with, which the CANCEL's answer SHOULD have, too (RFC 3261 s9.2)."""
        call = self._merged.get(merge_key(cancel))
        return call.a.local_tag if call is not None and call.a is not None else self._context.ids.tag()

    def _within_dialog(self, request: Request, flow: Flow, now: Now) -> None:
        user = self._context.dialogs.get((request.call_id, request.to.tag))
        if user is None or not self.speaks_for(user, flow):
            self._gone(request, flow, now)
            return
        self._context.trust(flow, user.party.name)
        request = heard(user.party, request)
        if isinstance(user.party, Trunk):
            self._context.relief.tell(user.party, request, now)
        try:
            if request.method != "ACK":
                check_request(request, methods=methods_of(user.party), supported=extensions_for(user.party), for_us=True)
            user.receive_request(request, flow, now)
        except SipError as error:
            answer_stateless(self._context, self._context.answer(request, error.status, error.reason, error.headers), request, flow)

    def speaks_for(self, user: DialogUser, flow: Flow) -> bool:
        """Tags may have leaked: only the dialog's own peer is obeyed, from where it was heard or is known to be.

        By the realm it is in, or the listener, which may be in a realm of another name by now.
        """
        if flow.realm != user.flow.realm and flow.local != user.flow.local:
            return False
        if flow.remote[0] == user.flow.remote[0] or self._bindings.holds(user.party.name, flow):
            return True
        if is_at(self._context.snapshot, user.party.name, flow):
            return True
        return isinstance(user.party, Trunk) and user.party.register_to is not None and self.carriers.is_at(user.party.name, flow)

    def _gone(self, request: Request, flow: Flow, now: Now) -> None:
        """481 to whom we know; tags are secrets, so a stranger who names a wrong one is guessing."""
        if request.method == "ACK":
            return
        if trunk_at(self._context.snapshot, flow) or self._bindings.at(flow) or self.carriers.knows(flow):
            answer_stateless(self._context, self._context.answer(request, 481), request, flow)
        else:
            self._strangers.turn_away(request, flow, now)

    # New requests

    def _begin(self, request: Request, flow: Flow, now: Now) -> None:
        realm = self._context.snapshot.realms.get(flow.realm)
        if realm is None or not self._context.listens(flow):  # open for calls that began there
            return
        who = self._admit_party(request, realm, flow, now)
        if isinstance(who, Response):
            self._strangers.accuse_scanner(request, flow)
            if who.status != 401 or request.headers.has_any(PROOFS):  # else it is about to prove it
                self._note_refused(request, flow, "who", (who.status, who.reason, "has not proved who it is"), now)
            answer_stateless(self._context, who, request, flow)
            return
        admitted = who.party if who is not None else None
        if admitted is not None:
            request = heard(admitted, request)
        known = admitted is not None or (request.method == "OPTIONS" and (self._bindings.at(flow) or self.carriers.knows(flow)))
        if not known:
            answer = self._context.snapshot.strangers.answer
            self._note_refused(request, flow, "who", (answer or 0, "", "nobody known is there"), now)
            self._strangers.turn_away(request, flow, now)
            return
        if request.method == "INVITE" and who is not None:
            self._context.tap.begin(who)
        if who is not None and who.by == "digest":
            self._context.emit(Vouch(flow))
        if admitted is None or request.method != "REGISTER" or admitted.register_at is None:  # else its registrar says whether
            self._context.trust(flow, admitted.name if admitted is not None else self._bindings.at(flow) or "", request.via)
        if isinstance(admitted, Trunk):
            self._context.relief.tell(admitted, request, now)
        values = admitted.timers if admitted is not None else None
        transaction = self._context.transactions.server(request, flow, now, None, values, sending(admitted))
        try:
            if request.method == "INVITE" and who is not None:
                self._invite(who, transaction, flow, now)
            else:
                supported = registrar_extensions(admitted) if request.method == "REGISTER" else extensions_for(admitted)
                check_request(request, methods=methods_for(admitted), supported=supported, for_us=True)
                refuse_beyond(self._context, admitted, request, flow, now)
                self._serve(admitted, transaction, flow, now)
        except SipError as error:
            status, reason = error.status, error.reason
            if request.method == "INVITE" and admitted is not None:
                status, reason = status_told(admitted, Cause(status, reason))
            elif admitted is not None:
                self._note_refused(request, flow, "allowed", (status, reason, str(error)), now, admitted.name)
            self._context.transactions.respond(transaction, self._context.answer(request, status, reason, error.headers), now)

    def _serve(self, party: Party | None, transaction: ServerTransaction, flow: Flow, now: Now) -> None:
        request = transaction.request
        if request.method == "OPTIONS":
            if party is not None:
                self._through.addressee(request, party, now)  # whoever asks about a flow that is gone hears so
            allow = ("Allow", ", ".join(sorted(methods_for(party))))
            self._respond(transaction, 200, (allow, *OPTIONS_HEADERS), now)
        elif request.method == "REGISTER" and party is not None:
            self._register(party, transaction, flow, now)
        elif request.method == "PUBLISH" and party is not None and is_for_us(request, party):
            self._take_report(party, transaction, now)
        elif request.method in ("MESSAGE", "PUBLISH", "SUBSCRIBE") and party is not None:
            self._pass_on(party, transaction, flow, now)
        elif request.method == "REFER":
            raise SipError("outside of a call nobody can be transferred", status=403, reason="Forbidden")
        else:  # BYE and the like without a dialog
            raise SipError(status=481, reason="Call/Transaction Does Not Exist")

    def _register(self, party: Party, transaction: ServerTransaction, flow: Flow, now: Now) -> None:
        if not isinstance(party, User) and party.registers is None:
            raise SipError(f"{party.name} is not allowed to register", status=403, reason="Forbidden")
        if transaction.request.to.uri.decoded_user != account_name(party):  # no third-party registration (RFC 3261 s10.2)
            raise SipError(f"{party.name} registers somebody else", status=403, reason="Forbidden")
        refuse_when_draining(self._context)
        if party.register_at is not None:
            self._through.register(party, transaction, flow, now)
            return
        registration = Registration(transaction.request, flow, self._context.snapshot.realms[flow.realm].terms)
        bindings = self._bindings.current(party.name, now)
        if registration.contacts != ():
            bindings = registration.applied(bindings, now)
            self._bindings.bind(party.name, bindings, now)
        self._respond(transaction, 200, registration.answer_rows(bindings, now), now)

    def _take_report(self, party: Party, transaction: ServerTransaction, now: Now) -> None:
        """Of the quality of a call."""
        refuse_too_many(self._context, party, now)
        told = self._context.voice_reports.take(party, transaction.request)
        if told is not None:
            self._context.emit(told)
        self._respond(transaction, 200, accepted(transaction.request, self._context.ids), now)

    def _pass_on(self, party: Party, transaction: ServerTransaction, flow: Flow, now: Now) -> None:
        """A request that is no call goes where a call to that number would go; emergency numbers are nothing special to it."""
        request = transaction.request
        refuse_loop(self._context, request)
        hops = hops_left(request)
        check_size(request)
        if request.method != "MESSAGE":
            event_of(request, party)
        meant = self._through.addressee(request, party, now)
        number = normalise(party, number_called(request, party)) if meant is None else called_by(request, meant[0])
        check_called(party, number)
        refuse_when_draining(self._context)
        refuse_too_many(self._context, party, now)
        chosen = route(self._context.snapshot, party, number) if meant is None else route_of(meant[0])
        if chosen is None:
            raise SipError("no route", status=404, reason="Not Found")
        caller = screened(party, request, caller_of(party, request))
        invitation = invitation_of(request, party, number, caller, hops, emergency=False)
        invitation = masked(self._with_ways(invitation, party, meant, flow, now), chosen)
        if request.method == "SUBSCRIBE":
            self._subscriptions.begin(chosen, invitation, party, flow, transaction, now)
        else:
            Errand(self._context, self._context.snapshot, chosen, invitation, transaction).begin(now)

    def _invite(self, who: Admitted, transaction: ServerTransaction, flow: Flow, now: Now) -> None:
        request, party = transaction.request, who.party
        number = number_called(request, party)
        facts = Facts(
            id=self._context.ids.tag(),
            times=Times(now.wall),
            caller=caller_of(party, request),
            called=number,
            dialled=number,
            a=LegFacts(party, flow, request.call_id),
            identified_by=who.by,
        )
        self._refuse_merged(request, party)
        try:
            bodies = (*party.headers.pass_bodies, LOCATION)
            check_request(request, methods=METHODS, supported=extensions_for(party), for_us=True, bodies=bodies)
            refuse_loop(self._context, request)
            hops = hops_left(request)
            breadth_left(request.headers)
            replaced = self._transfers.replaced(party, request, facts.id)
            meant = self._through.addressee(request, party, now) if replaced is None else None
            if meant is not None:
                facts.dialled = facts.called = called_by(request, meant[0])
                chosen: Route | None = route_of(meant[0])
            elif replaced is None:
                chosen = normalise_called(self._context, party, request.uri, facts)
            else:
                facts.called, chosen = number_of(replaced.call, replaced.far), replaced.call.route
            facts.step = "allowed"
            refuse_insecure(request, flow, facts)
            priority = ""
            if not facts.emergency:
                facts.step = "caller"
                check_privacy(request.headers)
                screen_caller(self._context, party, request, facts)
                priority = allowed_priority(request, party)
            facts.step = "limits"
            reservation = reserve_place(self._context, party, facts, now)
            chosen, on_route = reserve_route(self._context, party, facts, chosen, reservation, now, replaces=replaced is not None)
            facts.step = "target"
        except SipError as error:
            facts.times.ended = now.wall
            cause = Cause(error.status, error.reason, by="sbc", note=str(error))
            if error.status in NOWHERE and isinstance(party, User):
                proof: Proof | None = "connection" if flow.reliable else "digest" if who.by == "digest" else None
                self._context.emit(Offended(flow, "unroutable", proof, party.name))
            self._context.emit(recorded(self._context.decisions, facts, cause, "sbc", None))
            raise
        invitation = invitation_of(request, party, facts.called, facts.caller, hops, emergency=facts.emergency)
        facts.asserted = asserted_number(invitation.said)
        if not (facts.emergency or invitation.said.calls_back):  # who calls for help waits for nobody (STV-04)
            invitation = replace(invitation, claimed=claimed(request, party))
        invitation = self._with_ways(with_priority(invitation, priority), party, meant, flow, now)
        call = Call(self._context, self._context.snapshot, chosen, invitation, facts, reservation, self._transfers, self._ended)
        call.places.give_route(on_route)
        if replaced is not None:
            call.takeover = takeover_of(call, replaced)
        self._admit(call, merge_key(request), flow)
        call.begin(party, transaction, flow, now)

    def _with_ways(self, invitation: Invitation, party: Party, meant: tuple[str, str] | None, flow: Flow, now: Now) -> Invitation:
        """By the one flow a token has named, and to the network of the caller's registrar as that has told (RFC 3608)."""
        if meant is not None:
            invitation = replace(invitation, token=meant[1])
        if party.register_at is not None:
            home = self._bindings.service_route(party.name, flow, now)
            invitation = replace(invitation, home=party.register_at, home_route=home)
        return invitation

    def _refuse_merged(self, request: Request, party: Party) -> None:
        """482 for an INVITE that came by two ways (RFC 3261 s8.2.2.2): no attempt of its own.

        To two numbers it is two calls: a PBX or a core that forks one call to two phones behind us sends the same INVITE twice.
        Users are spared altogether.
        """
        if not isinstance(party, User) and merge_key(request) in self._merged:
            raise SipError("merged request", status=482, reason="Loop Detected")

    def _admit_transferred(self, call: Call, flow: Flow) -> None:
        self._admit(call, (call.facts.id, "", 0, ""), flow)

    def _admit(self, call: Call, key: MergeKey, flow: Flow) -> None:
        self.calls[call] = key, flow
        self._merged[key] = call
        if flow.reliable:
            self._on_connection.setdefault(flow, set()).add(call)

    def _ended(self, call: Call) -> None:
        """Nothing is left of the call: forget it everywhere."""
        key, flow = self.calls.pop(call)  # the flow it came by: its leg may have been heard on another since
        if self._merged.get(key) is call:
            del self._merged[key]
        if flow in self._on_connection:
            self._on_connection[flow].discard(call)
            if not self._on_connection[flow]:
                del self._on_connection[flow]

    def listed(self) -> int:
        """Entries of calls in the indexes beside `calls`, and subscriptions."""
        return len(self._merged) + len(self._on_connection) + len(self._subscriptions)

    # Answers

    def _respond(self, transaction: ServerTransaction, status: int, headers: tuple[tuple[str, str], ...], now: Now) -> None:
        self._context.transactions.respond(transaction, self._context.answer(transaction.request, status, headers=headers), now)

    def _note_refused(self, request: Request, flow: Flow, step: Step, answer: tuple[int, str, str], now: Now, party: str = "") -> None:
        self._context.decisions.add(refused_request(request, flow, now.wall, step, answer, party))


def methods_for(party: Party | None) -> frozenset[str]:
    """What may come outside of dialogs; None: somebody of whom all we know is that they are no stranger."""
    return METHODS if party is None else METHODS.union(methods_of(party), ("PUBLISH",))


def extensions_for(party: Party | None) -> frozenset[str]:
    """Option tags that may be required of us (RFC 3261 s8.2.2.3)."""
    return EXTENSIONS if party is None or not party.services.priorities else EXTENSIONS.union((OPTION,))


def registrar_extensions(party: Party | None) -> frozenset[str]:
    """The same of a REGISTER. Only the account of a PBX stands for more than one number (RFC 6140)."""
    return OPTIONS if party is None or isinstance(party, User) else OPTIONS.union((BULK_OPTION,))


def caller_of(party: Party, request: Request) -> str:
    """The caller's number or name; "" when From has none that could be passed on.

    A user is the account it has proved to be, or one of that one's numbers; a trunk answers for its own callers.
    """
    if isinstance(party, User):
        return "anonymous" if is_anonymous(request.from_.uri) else caller_number(request.headers, request.from_, party)
    try:
        return normalise(party, dialled(request.from_.uri))
    except SipError:
        return ""


def merge_key(request: Request) -> MergeKey:
    return request.call_id, request.from_.tag, request.cseq.number, dialled(request.uri)
