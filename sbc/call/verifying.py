"""What a call does with proofs of who calls: asks about them, tells what came of it, refuses if the policy insists (RFC 8224 s6.2)."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.bridge import Invitation
from sbc.call.context import Context
from sbc.call.leg import Leg
from sbc.call.neutral import numbered
from sbc.call.signing import passports_of, reached_by
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.effects import Verify
from sbc.errors import ParseError, SipError
from sbc.frozen import replace
from sbc.identity.parties import party as named
from sbc.identity.verdict import MAX_HEADERS, Claimed, Failure, Verdict, Verstat
from sbc.policy.decide import dialled, normalise
from sbc.policy.snapshot import Party, Trunk
from sbc.sip.fields.date import seconds_of
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.reason import Reason
from sbc.sip.grammar import quote
from sbc.sip.message import Request
from sbc.sip.names import DATE, IDENTITY, P_ASSERTED_IDENTITY
from sbc.sip.uri import Uri


def claimed(request: Request, party: Party) -> Claimed | None:
    """What is to be verified of an INVITE of `party`; None: nothing, by its policy."""
    if not isinstance(party, Trunk) or party.verify == "no":
        return None
    caller = _canonical(request.from_.uri, party)
    before = _sent_on(request, party, caller)
    try:
        asserted = parse_identities(request.headers.all(P_ASSERTED_IDENTITY)) if not before else ()
    except ParseError:
        asserted = ()
    date = request.headers.first(DATE)
    return Claimed(
        tuple(request.headers.all(IDENTITY)[:MAX_HEADERS]),
        tuple([_canonical(each.uri, party) for each in asserted]) or (caller,),
        before or _canonical(request.to.uri, party),
        before or _canonical(request.uri, party),
        seconds_of(date) if date is not None else None,
        request.call_id,
    )


def ask(context: Context, asked: Claimed, patience: float, told: Callable[[Verdict, Now], None]) -> None:
    question = context.ids.tag()
    context.proofs[question] = told
    context.emit(Verify(question, asked, patience))


def with_verdict(invitation: Invitation, verdict: Verdict, party: Party) -> Invitation:
    """The caller's number with our verdict, instead of what was said before. Of another one, which a policy shows, it says nothing.

    Where `party` sends a call on, and it is proved who has called it, that is the caller, and not `party`.
    """
    said, claim = invitation.said, invitation.claimed
    if claim is not None and verdict.verstat == Verstat.PASSED and _is_sent_on(invitation.caller, claim, party):
        said = replace(said, identities=(NameAddr("", numbered(invitation.caller)),))

    def told(number: str) -> str:
        return verdict.verstat.value if claim is not None and number[1:] in claim.callers else ""

    identities = []
    for identity in said.identities:
        number = (identity.uri.user or "").partition(";")[0]
        shown = numbered(number, told(number), identity.uri.scheme) if number.startswith("+") else identity.uri
        identities.append(replace(identity, uri=shown))
    said = replace(said, identities=tuple(identities), verstat=told(invitation.caller))
    return replace(invitation, said=said, claimed=None)


def refusal(leg: Leg, verdict: Verdict) -> Cause | None:
    """Why this call is not to be. Whether it is or not, the caller's side hears what was wrong if the policy says so (RFC 9410)."""
    party, failure = leg.party, verdict.refusal
    if not isinstance(party, Trunk):
        return None
    if party.verify_reasons and not verdict.late:
        leg.reasons = tuple(dict.fromkeys([_told(each) for each in verdict.failures]))
    if failure is None or party.verify != "require":
        return None
    return Cause(failure.status, failure.reason, by="sbc", note=failure.detail)


def _told(failure: Failure) -> str:
    which = (("ppi", quote(failure.ppi)),) if failure.ppi else ()  # "RECOMMENDED" where there are several (RFC 9410 s4)
    return str(Reason("STIR", failure.status, failure.reason, which))


def as_json(verdict: Verdict) -> dict[str, object]:
    """For the call record."""
    return {
        "verstat": verdict.verstat.value,
        "attest": verdict.attest,
        "origid": verdict.origid,
        "signer": verdict.signer,
        "diverted": list(verdict.diverted),
        "name": verdict.name,
        "late": verdict.late,
        "replayed": verdict.replayed,
        "failures": [f"{each.status} {each.reason}: {each.detail}" for each in verdict.failures],
    }


def _sent_on(request: Request, party: Party, caller: str) -> str:
    """Who was called before `party` sent the call on: a number of its own that what was signed of this caller leads to. "": nobody."""
    if party.headers.trusted or party.headers.own(f"+{caller}"):
        return ""
    reached = reached_by(passports_of(request), caller)
    return next((number for number in reversed(reached) if party.headers.own(f"+{number}")), "")


def _is_sent_on(caller: str, claim: Claimed, party: Party) -> bool:
    known = party.headers
    return not known.trusted and caller[1:] in claim.callers and not known.own(caller) and known.own(f"+{claim.called}")


def _canonical(uri: Uri, party: Party) -> str:
    """A number as the dial plan of `party` makes it a global one, without its plus."""
    try:
        number = normalise(party, dialled(uri))
    except SipError:
        return named(uri)
    return number[1:] if number.startswith("+") else named(uri)
