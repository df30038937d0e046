"""What is signed of a call that leaves us (RFC 8224 s6.1): who answers for its caller, when nothing of the INVITE changes any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sbc.call.bridge import Invitation
from sbc.call.context import Context
from sbc.clock import Now
from sbc.effects import Sign
from sbc.errors import SipError
from sbc.identity.passport import Passport, read
from sbc.identity.signature import Signature, ToSign
from sbc.identity.verdict import FRESH_S, MAX_HEADERS, Verstat
from sbc.policy.snapshot import Party, Trunk
from sbc.sip.fields.date import date_of, seconds_of
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.signed_identity import SignedIdentity
from sbc.sip.message import Request
from sbc.sip.names import DATE, IDENTITY, P_ASSERTED_IDENTITY
from sbc.sip.uri import Uri

_SHORTEST = 3  # digits that two spellings of a number have in common at least


def to_sign(request: Request, invitation: Invitation, caller: Party | None, callee: Party, now: Now) -> ToSign | str | None:
    """Of an INVITE as it will be sent from one party to the other. None: nothing, and that is as it should be; text: why nothing.

    A call that somebody has signed already keeps that and needs no more, unless it is sent on: then whoever sent it on says so (div).
    """
    if not isinstance(callee, Trunk) or callee.sign == "no" or caller is None or caller.headers.attest == "no" or invitation.urgent:
        return None
    shown = _shown(request, invitation)
    number = shown[0] if shown else ""
    called = _canonical(request.uri, (invitation.called,))
    if not number or not called:
        return "it shows no number of its caller" if not number else "what is called is no number"
    date = seconds_of(request.headers.first(DATE) or "")
    if date is not None and abs(now.wall - date) > FRESH_S:  # "MUST NOT" be signed (RFC 8224 s6.1 step 3)
        return "its Date is of another time"
    reached = _reached(_passports(request), number)
    if called in reached:
        return None
    iat = int(now.wall)
    for before in reversed(reached):
        if f"+{before}" in invitation.diverted or caller.headers.own(f"+{before}"):
            if invitation.said.verstat.startswith(Verstat.FAILED):
                return "what was signed of it is not valid"
            return ToSign(caller.name, "", number, called, iat, before)
    return ToSign(caller.name, attestation(caller, callee, shown), number, called, iat)


def attestation(caller: Party, callee: Trunk, shown: Sequence[str]) -> str:
    """A: every number it shows is its own. B: only the customer is known. C: who brings it answers for others. No more than allowed."""
    if all(caller.headers.own(f"+{number}") for number in shown):
        by_the_facts = "A"
    else:
        by_the_facts = "C" if caller.headers.trusted else "B"
    return max(by_the_facts, caller.headers.attest, callee.sign)


def ask(context: Context, asked: ToSign, told: Callable[[Signature, Now], None]) -> None:
    question = context.ids.tag()
    context.signatures[question] = told
    context.emit(Sign(question, asked))


def signed_rows(request: Request, asked: ToSign, signature: Signature) -> tuple[tuple[str, str], ...]:
    """What comes of it in the INVITE. The signature covers Date, which there has to be (RFC 8224 s6.1 step 3)."""
    if not signature.identity:
        return ()
    date = () if DATE in request.headers else ((DATE, date_of(asked.iat)),)
    return (*date, (IDENTITY, signature.identity))


def as_json(asked: ToSign | str, signature: Signature | None) -> dict[str, object]:
    """For the call record."""
    if isinstance(asked, str) or signature is None:
        return {"ppt": None, "attest": None, "origid": None, "diverted": None, "problem": asked}
    done = bool(signature.identity)
    return {
        "ppt": asked.ppt if done else None,
        "attest": signature.attest,
        "origid": signature.origid,
        "diverted": (asked.diverted or None) if done else None,
        "problem": signature.problem or None,
    }


def _shown(request: Request, invitation: Invitation) -> tuple[str, ...]:
    """The caller's numbers. The first is the one a verifier will read: of P-Asserted-Identity, else of From."""
    known = (invitation.caller, *[(each.uri.user or "").partition(";")[0] for each in invitation.said.identities])
    try:
        asserted = parse_identities(request.headers.all(P_ASSERTED_IDENTITY))
    except SipError:
        asserted = ()
    uris = (*[each.uri for each in asserted], request.from_.uri)
    return tuple([number for uri in uris if (number := _canonical(uri, known))])


def _canonical(uri: Uri, known: Iterable[str]) -> str:
    """The number without its plus. One that is sent as a peer wants to have it is one of the `known`, which are global; "" otherwise."""
    sent = (uri.user or "").partition(";")[0]
    digits = sent.lstrip("+")
    if not (digits.isascii() and digits.isdigit()):
        return ""
    if sent.startswith("+"):
        return digits
    short = digits.lstrip("0")
    for number in known:
        if number.startswith("+") and len(short) >= _SHORTEST and (number.endswith(short) or digits.endswith(number[1:])):
            return number[1:]
    return ""


def _passports(request: Request) -> list[Passport]:
    found = []
    for text in request.headers.all(IDENTITY)[:MAX_HEADERS]:
        try:
            found.append(read(SignedIdentity.parse(text).token))
        except SipError:  # nothing that could be said more about
            continue
    return found


def _reached(passports: Sequence[Passport], caller: str) -> list[str]:
    """Whom they say this caller calls, and where that was sent on to, one after the other."""
    reached = dict.fromkeys([number for each in passports if each.ppt in (None, "shaken") and each.orig == caller for number in each.dest])
    diversions = [each for each in passports if each.ppt == "div"]
    for _ in diversions:
        for each in diversions:
            if each.diverted in reached:
                reached.update(dict.fromkeys(each.dest))
    return list(reached)
