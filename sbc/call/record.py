"""The call record: one per attempt, answered or not, with times to the millisecond (ITU-T Q.825 in spirit, JSON in form)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from media.api import LinkStats, RelayStats, SideStats
from sbc.call.causes import q850_of
from sbc.call.decisions import ATTEMPTS, LONGEST, Decision, Decisions, Step
from sbc.call.quality import MODEL, scores, verdict
from sbc.call.selected import selected
from sbc.call.words import Cause
from sbc.effects import Effect, WriteRecord
from sbc.flow import Flow
from sbc.policy.plans import kind_of
from sbc.policy.snapshot import Party, Trunk
from sbc.sdp.offer import MediaLeg
from sbc.sdp.relay import is_translated
from sbc.sip.status import REASONS
from sbc.sip.uri import format_host

RECORD_VERSION = 1
SHORTEST_SPEECH_MS = 1000  # an answered call may end before anybody has said a word


NOT_SPEECH = frozenset({"telephone-event", "cn", "red", "t38"})


@dataclass(slots=True)
class Times:
    """Seconds since the epoch; None: never happened."""

    began: float
    progressed: float | None = None
    answered: float | None = None
    ended: float | None = None


@dataclass(slots=True)
class LegFacts:
    party: Party
    flow: Flow
    call_id: str
    media: MediaLeg | None = None
    reported: dict[str, object] | None = None  # by the peer, of the quality
    shows: str | None = None  # instead of the caller, by the route: "nobody", or a number
    signed: dict[str, object] | None = None  # who answers for the caller; None: nobody was to

    def speech(self) -> str:
        """The codec agreed on for speech; empty when there is none."""
        names = self.media.agreed.names if self.media and self.media.agreed else ()
        return next((name for name in names if name.lower() not in NOT_SPEECH), "")

    def as_json(self) -> dict[str, object]:
        agreed = self.media.agreed if self.media else None
        return {
            "trunk" if isinstance(self.party, Trunk) else "user": self.party.name,
            "realm": self.flow.realm,
            "transport": self.flow.transport,
            "peer": format_host(*self.flow.remote),
            "call_id": self.call_id,
            "codecs": agreed.names if agreed else [],
            "srtp": agreed.send_keys.suite.value if agreed and agreed.send_keys else None,
            "reported": self.reported,
            "shows": self.shows,
            "signed": self.signed,
        }


@dataclass(slots=True)
class Facts:
    """Collected while the call goes on, by the call alone."""

    id: str
    times: Times
    caller: str
    called: str
    dialled: str  # as the caller sent it, before the dial plan
    a: LegFacts
    b: LegFacts | None = None
    route: str | None = None
    route_line: str | None = None
    emergency: bool = False
    caller_said: str | None = None  # the number in From, for which the policy may show another
    identified_by: str | None = None  # what has proved whose call it is; None: nobody called, somebody was transferred
    stir: dict[str, object] | None = None  # what came of verifying who calls; None: nobody looked
    asserted: str | None = None  # who the caller is, as trusted or proved, also of one who hides it
    transferred_by: str | None = None
    attempts: list[dict[str, object]] = field(default_factory=list)
    digits_translated: bool = False
    offer: dict[str, object] | None = None  # what became of its codecs
    step: Step = "allowed"

    def select(self) -> None:
        """What the codecs of the offer have come to."""
        self.offer = selected(self.a.media, self.b.media, self.a.party.name, self.b.party.name) if self.b is not None else None

    def take_reports(self, reported: Mapping[str, dict[str, object]]) -> None:
        """What the peers said of the quality, by side."""
        self.a.reported = reported.get("a")
        if self.b is not None:
            self.b.reported = reported.get("b")

    def translated(self) -> list[str]:
        """What one side got in other words than the other said it."""
        a, b = self.a.media, self.b.media if self.b is not None else None
        laws = a is not None and b is not None and is_translated(a.agreed, b.agreed)
        return ["g711"] * laws + ["digits"] * self.digits_translated


def recorded(decisions: Decisions, facts: Facts, cause: Cause, released_by: str, stats: RelayStats | None) -> Effect:
    """The record of a call that is over; what was refused, and not given up by the caller, is remembered."""
    if facts.times.answered is None and cause.status >= 300 and released_by != "a":
        decisions.add(refused_call(facts, cause))
    return WriteRecord(record_of(facts, cause, released_by, stats))


def record_of(facts: Facts, cause: Cause, released_by: str, stats: RelayStats | None) -> dict[str, object]:
    """`released_by`: "a", "b" or "sbc"."""
    times = facts.times
    if facts.offer is None:
        facts.select()
    ended = times.ended if times.ended is not None else times.began
    kind = kind_of(facts.called)
    return {
        "version": RECORD_VERSION,
        "id": facts.id,
        "began": timestamp(times.began),
        "progressed": timestamp(times.progressed),
        "answered": timestamp(times.answered),
        "ended": timestamp(ended),
        "post_dial_delay_ms": milliseconds(times.began, times.progressed or times.answered),
        "ring_ms": milliseconds(times.progressed, times.answered or (ended if times.progressed else None)),
        "duration_ms": milliseconds(times.answered, ended) or 0,
        "caller": facts.caller,
        "caller_said": facts.caller_said if facts.caller_said != facts.caller else None,
        "asserted": facts.asserted,
        "identified_by": facts.identified_by,
        "stir": facts.stir,
        "called": facts.called,
        "dialled": facts.dialled,
        "country": kind.country or None if kind is not None else None,
        "number_type": kind.type if kind is not None else None,
        "emergency": facts.emergency,
        "transferred_by": facts.transferred_by,
        "translated": facts.translated(),
        "offer": facts.offer,
        "route": facts.route,
        "route_line": facts.route_line,
        "released_by": released_by,
        "sip_status": cause.status,
        "sip_reason": cause.reason or REASONS.get(cause.status, ""),
        "q850": q850_of(cause),
        "note": cause.note or None,
        "attempts": facts.attempts,
        "a": leg_json(facts.a, times, stats.a if stats else None, stats.b if stats else None),
        "b": leg_json(facts.b, times, stats.b if stats else None, stats.a if stats else None) if facts.b else None,
    }


def refused_call(facts: Facts, cause: Cause) -> Decision:
    step = facts.step
    if step == "target" and cause.by == "sbc" and not facts.attempts:
        step = "proof" if facts.stir else "media"  # neither what the caller offers nor who it is has got as far as a target
    elif step == "target" and cause.by == "sbc" and cause.status == 488:
        step = "media"
    return Decision(
        facts.times.began,
        step,
        "INVITE",
        facts.a.flow.realm,
        facts.a.flow.transport,
        facts.a.flow.remote[0],
        facts.a.flow.remote[1],
        facts.a.call_id[:LONGEST],
        cause.status,
        (cause.reason or REASONS.get(cause.status, ""))[:LONGEST],
        cause.note[:LONGEST],
        facts.a.party.name,
        facts.identified_by or "",
        facts.id,
        facts.caller[:LONGEST],
        facts.called[:LONGEST],
        facts.route or "",
        facts.route_line or "",
        tuple(facts.attempts[-ATTEMPTS:]),
    )


def leg_json(facts: LegFacts, times: Times, stats: SideStats | None, far: SideStats | None) -> dict[str, object]:
    """A leg, with what was heard from its peer. `far`: the other side's."""
    leg = facts.as_json()
    if stats is None or far is None:
        return leg | {"media": None}
    by_dtls = {"srtp": stats.suite.value} if stats.suite is not None else {}
    return leg | by_dtls | {"media": heard_json(stats) | judged_json(stats, far, facts.speech(), times)}


def attempt_of(party: Party, cause: Cause, server: Flow | None) -> dict[str, object]:
    """One of `attempts` that failed. `server`: it got that far."""
    attempt: dict[str, object] = {"target": party.name, "status": cause.status}
    if server is not None:
        attempt["server"] = server_of(server)
    return {**attempt, "note": cause.note} if cause.note else attempt


def server_of(flow: Flow) -> str:
    """Where an attempt went: `TCP 192.0.2.7:5060`."""
    return f"{flow.transport} {format_host(*flow.remote)}"


def heard_json(stats: SideStats) -> dict[str, object]:
    """What was heard from this side's peer and sent to it; figures never measured are absent, not zero."""
    linked = {"link": link_json(stats.link)} if stats.link is not None else {}
    return {
        "packets_received": stats.packets_received,
        "octets_received": stats.octets_received,
        "packets_sent": stats.packets_sent,
        "octets_sent": stats.octets_sent,
        "rtcp_received": stats.rtcp_received,
        "rtcp_sent": stats.rtcp_sent,
        "lost": stats.lost if stats.packets_received else None,
        "jitter_ms": round(stats.jitter_ms, 2) if stats.packets_received else None,
        "wrong_source": stats.wrong_source,
        "stranger": format_host(*stats.stranger) if stats.stranger else None,
        "srtp_auth_failed": stats.srtp_auth_failed,
        "replayed": stats.replayed,
        "malformed": stats.malformed,
        "payload_type_mismatch": stats.payload_type_mismatch,
        "over_rate": stats.over_rate,
        "stun_refused": stats.stun_refused,
        "reordered": stats.reordered,
        "duplicates": stats.duplicates,
        "rtt_ms": _rounded(stats.rtt_ms, 1),
        "reported_lost": stats.reported_lost,
        "reported_jitter_ms": _rounded(stats.reported_jitter_ms, 2),
        "source_changes": stats.source_changes,
        "source": f"{stats.latched[0]}:{stats.latched[1]}" if stats.latched else None,
        **linked,
    }


def link_json(link: LinkStats) -> dict[str, object]:
    """How the link to the side's site was."""
    return {
        "remote": link.remote,
        "connections": link.connections,
        "rtt_ms": link.rtt_ms,
        "window": link.window,
        "lost": link.lost,
        "late": link.late,
        "queue_ms": link.queue_ms,
    }


def judged_json(stats: SideStats, far: SideStats, codec: str, times: Times) -> dict[str, object]:
    """What is to be thought of it; a verdict only where there was time for speech."""
    spoke = times.answered is not None and (milliseconds(times.answered, times.ended) or 0) >= SHORTEST_SPEECH_MS
    found = scores(stats, far, codec)
    listening, conversational = found or (None, None)
    return {
        "verdict": verdict(stats, far) if spoke else None,
        "mos_lq": _rounded(listening, 2),
        "mos_cq": _rounded(conversational, 2),
        "mos_model": MODEL if found else None,
    }


def _rounded(figure: float | None, digits: int) -> float | None:
    return None if figure is None else round(figure, digits)


def timestamp(seconds: float | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if seconds is None:
        return None
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{_to_the_second(whole)}.{thousandths:03d}Z"


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def milliseconds(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else max(0, round((end - start) * 1000))
