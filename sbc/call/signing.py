"""What is signed of a call that leaves us (RFC 8224 s6.1): who answers for its caller, when nothing of the INVITE changes any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sbc.call.bridge import Invitation
from sbc.call.context import Context
from sbc.call.neutral import as_written
from sbc.clock import Now
from sbc.effects import Sign
from sbc.errors import SipError
from sbc.identity.passport import Passport, compact, read
from sbc.identity.signature import Signature, ToSign
from sbc.identity.verdict import FRESH_S, MAX_HEADERS, Verstat
from sbc.policy.snapshot import NumberTable, Party, Trunk
from sbc.sip.fields.date import date_of, seconds_of
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.reason import parse_reasons
from sbc.sip.fields.signed_identity import SignedIdentity
from sbc.sip.grammar import find_param, unquote
from sbc.sip.message import Request, Response
from sbc.sip.names import DATE, IDENTITY, P_ASSERTED_IDENTITY, REASON
from sbc.sip.uri import Uri

_LONGEST = 100  # characters of what somebody else says in our records


def to_sign(request: Request, invitation: Invitation, caller: Party | None, callee: Party, now: Now) -> ToSign | str | None:
    """Of an INVITE as it will be sent from one party to the other. None: nothing, and that is as it should be; text: why nothing.

    A call that somebody has signed already keeps that and needs no more, unless it is sent on: then whoever sent it on says so (div).
    """
    if not isinstance(callee, Trunk) or callee.sign == "no" or caller is None or caller.headers.attest == "no" or invitation.urgent:
        return None
    shown = _shown(request, invitation, callee)
    number = shown[0] if shown else ""
    called = _called(request, invitation, callee)
    if not number or not called:
        return "it shows no number of its caller" if not number else "what is called is no number"
    date = seconds_of(request.headers.first(DATE) or "")
    if date is not None and abs(now.wall - date) > FRESH_S:  # "MUST NOT" be signed (RFC 8224 s6.1 step 3)
        return "its Date is of another time"
    reached = reached_by(passports_of(request), number)
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
    if all(number and caller.headers.own(f"+{number}") for number in shown):
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


def doubted(facts: dict[str, object], rows: Iterable[tuple[str, str]], response: Response) -> dict[str, object]:
    """With what the called side says is wrong with our signature (RFC 9410), and not with that of somebody before us."""
    ours = compact(next((value for name, value in rows if name == IDENTITY), ""))
    try:
        reasons = parse_reasons(response.headers.all(REASON))
    except SipError:
        return facts
    for reason in reasons:
        which = compact(unquote(find_param(reason.params, "ppi") or ""))
        if reason.protocol.upper() == "STIR" and which in ("", ours):
            return facts | {"problem": f"{reason.cause or ''} {reason.text[:_LONGEST]}".strip()}
    return facts


def _shown(request: Request, invitation: Invitation, callee: Party) -> tuple[str, ...]:
    """The caller's numbers. The first is the one a verifier will read: of P-Asserted-Identity, else of From.

    One that is written as neither is, in E.164 or as `callee` has its numbers, is somebody's we do not know: "".
    """
    known = (invitation.caller, *[(each.uri.user or "").partition(";")[0] for each in invitation.said.identities])
    presents = callee.headers.presents
    written = _written(known, presents.callers if presents is not None else ())
    try:
        asserted = parse_identities(request.headers.all(P_ASSERTED_IDENTITY))
    except SipError:
        asserted = ()
    numbers = [_number(uri, written) for uri in (*[each.uri for each in asserted], request.from_.uri)]
    return tuple([number for number in numbers if number is not None])


def _called(request: Request, invitation: Invitation, callee: Party) -> str:
    """The number that is called; "" when it is none."""
    presents = callee.headers.presents
    return _number(request.uri, _written((invitation.called,), presents.called if presents is not None else ())) or ""


def _written(numbers: Iterable[str], table: NumberTable) -> dict[str, str]:
    """Global numbers, without their plus, by how they look to a peer."""
    return {as_written(number, table): number[1:] for number in numbers if number.startswith("+")}


def _number(uri: Uri, written: Mapping[str, str]) -> str | None:
    """The number without its plus, whole: that one ends as another does means nothing. None: a name."""
    sent = (uri.user or "").partition(";")[0]
    digits = sent.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return None
    return digits if sent != digits else written.get(sent, "")


def passports_of(request: Request) -> list[Passport]:
    """What was signed of it so far, true or not."""
    found = []
    for text in request.headers.all(IDENTITY)[:MAX_HEADERS]:
        try:
            found.append(read(SignedIdentity.parse(text).token))
        except SipError:  # nothing that could be said more about
            continue
    return found


def reached_by(passports: Sequence[Passport], caller: str) -> list[str]:
    """Whom they say this caller calls, and where that was sent on to, one after the other."""
    reached = dict.fromkeys([number for each in passports if each.ppt in (None, "shaken") and each.orig == caller for number in each.dest])
    diversions = [each for each in passports if each.ppt == "div"]
    for _ in diversions:
        for each in diversions:
            if each.diverted in reached:
                reached.update(dict.fromkeys(each.dest))
    return list(reached)
