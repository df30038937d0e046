"""What tells of a NAT, or of a clock that is wrong: the peer's answer says how it sees us."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sbc.call.context import is_private
from sbc.doctor.finding import Finding, good, note, wrong
from sbc.doctor.reach import Answered, Reached
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Trunk
from sbc.sip.message import Response

TOLERATED = 60.0  # seconds between the clocks: what signatures of callers allow (RFC 8224 s4.1)


def told(realm: Realm, trunk: Trunk, reached: Reached) -> Iterator[Finding]:
    """The addresses we tell the peer, against those it can see; and the time."""
    hosts = {server.address[0] for server in reached.servers} | {network.partition("/")[0] for network in trunk.accept_from}
    public = sorted(host for host in hosts if is_private(host) is False)
    for host in sorted({listener.advertise for listener in realm.listeners} | {realm.relay_advertise}):
        if public and is_private(host) and any((":" in each) == (":" in host) for each in public):
            change = (
                f"set 'advertise' of realm {realm.name} to our public address, else there will be no audio and no request within a call"
            )
            yield wrong(f"the peer is at {public[0]}, a public address, and is told that we are at {host}, a private one", change)
    for answer in reached.answers:
        yield from _seen(realm, answer)
    if reached.answers:
        yield _clock(reached.answers)


def _seen(realm: Realm, answer: Answered) -> Iterator[Finding]:
    via, flow = answer.response.via, answer.flow
    who = f"{answer.server.transport} {answer.server.address[0]}"
    if via.received is not None and via.received != via.host:
        change = f"a NAT is between: set 'advertise: {via.received}' in realm {realm.name} (now: {realm.advertise or 'none'})"
        yield wrong(f"{who} sees our requests come from {via.received}, and is told that we are at {via.host}", change)
    elif via.received is not None or via.rport is not None:
        yield good(f"{who} sees us where we say that we are: {via.host}")
    else:
        yield note(f"{who} does not say in its Via how it sees us, so that a NAT could not be looked for")
    if via.rport is not None and via.rport != flow.local[1]:
        change = "calls from the peer need the signalling and media ports forwarded to us unchanged"
        yield note(f"{who} sees port {via.rport} where we sent from {flow.local[1]}: a NAT changes ports", change)


def _clock(answers: list[Answered]) -> Finding:
    for answer in answers:
        date = _date(answer.response)
        if date is None:
            continue
        apart = (datetime.now(UTC) - date).total_seconds()
        if abs(apart) > TOLERATED:
            ahead = "ahead of" if apart > 0 else "behind"
            what = f"our clock is {abs(apart):.0f} s {ahead} that of {answer.server.address[0]}, by the Date of its answer"
            return wrong(what, "is it ours? look at `timedatectl`, and have it set by NTP")
        return good(f"our clock agrees with that of {answer.server.address[0]}, by the Date of its answer")
    return note("the clock could not be compared: no answer has a Date")


def _date(response: Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.first("Date") or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
