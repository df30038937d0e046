"""Who sent a call on, in both of the headers that tell it: Diversion and History-Info, one from the other (RFC 7544)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from sbc.call.neutral import ANONYMOUS, neutral, numbered
from sbc.policy.snapshot import Party
from sbc.sip.fields.diversion import Diversion
from sbc.sip.fields.history_info import MAX_DEPTH, HistoryEntry, Index
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import parse_number
from sbc.sip.uri import Uri, unescape

# RFC 7544 s6.2 (causes of RFC 4458), and back; what is not there is "unknown", 404
CAUSE_OF_REASON: Mapping[str, int] = {"unconditional": 302, "user-busy": 486, "no-answer": 408, "deflection": 480, "unavailable": 503}
REASON_OF_CAUSE: Mapping[int, str] = {cause: reason for reason, cause in CAUSE_OF_REASON.items()} | {487: "deflection"}
UNKNOWN_CAUSE = 404
HISTORY_HEADERS = ("reason", "privacy")  # of the URI; all others may name anything (RFC 7044 s5)


def history_of(diversions: tuple[Diversion, ...], called: str) -> tuple[HistoryEntry, ...]:
    """The same told in History-Info: the first who diverted is its first entry, the number called now its last.

    A Diversion that stands for several leaves a gap in the indexes (RFC 7544 s5). No diversion, no history.
    """
    if not diversions:
        return ()
    entries: list[HistoryEntry] = []
    index: Index = (1,)
    before: Diversion | None = None
    targets = [(each.address, each) for each in reversed(diversions)]
    for address, diversion in (*targets, (NameAddr("", numbered(called)), None)):
        uri = _with_headers(address.uri)
        if before is not None:
            cause = CAUSE_OF_REASON.get(before.reason, UNKNOWN_CAUSE)
            uri = uri.with_(params=(*uri.params, ("cause", str(cause))))
        if diversion is not None and diversion.private and uri.host == "":
            uri = uri.with_(headers="Privacy=history")
        came_from = entries[-1].index if entries else ()
        entries.append(HistoryEntry(NameAddr(address.display, uri), index, "mp" if came_from else None, came_from))
        index = (*index, *[1] * (diversion.counter if diversion is not None else 1))[:MAX_DEPTH]
        before = diversion
    return tuple(entries)


def diversions_of(history: tuple[HistoryEntry, ...]) -> tuple[Diversion, ...]:
    """The same told in Diversion: every entry that was left for another user, the latest on top (RFC 7544 s6)."""
    found = []
    for entry, target in pairwise(history):
        cause = _cause(entry, target)
        if cause is None:
            continue
        counter = max(1, len(target.index) - len(entry.index))
        address = NameAddr(entry.address.display, entry.address.uri.with_(headers="", params=_without_cause(entry.address.uri)))
        privacy = "full" if entry.private else "off"
        found.append(Diversion(address, REASON_OF_CAUSE.get(cause, "unknown"), counter, privacy))
    return tuple(reversed(found))


def _cause(entry: HistoryEntry, target: HistoryEntry) -> int | None:
    """Why `entry` was left for `target`; None: that was no diversion, only the way to a user's contact."""
    told = target.address.uri.param("cause")  # RFC 4458: of the URI it was sent on to
    if told is not None and told.isascii() and told.isdigit():
        return parse_number(told[:4], 9999)
    for reason in entry.reasons:
        if reason.protocol.upper() == "SIP" and reason.cause is not None:
            return reason.cause
    return UNKNOWN_CAUSE if target.how == "mp" else None


def _without_cause(uri: Uri) -> tuple[tuple[str, str | None], ...]:
    return tuple([item for item in uri.params if item[0] != "cause"])


def continued(history: tuple[HistoryEntry, ...], called: str) -> tuple[HistoryEntry, ...]:
    """The history down to the number called now. Its entry is missing when somebody on the way wrote none: then the index
    has a zero for the gap (RFC 7044 s10.3).
    """
    if not history:
        return ()
    last = history[-1]
    target = NameAddr("", numbered(called))
    if last.address.uri.user == target.uri.user:
        return history
    index = (*last.index, 0, 1)
    return (*history, HistoryEntry(target, index, "np", last.index)) if len(index) <= MAX_DEPTH else history


def neutral_diversions(diversions: Iterable[Diversion], party: Party) -> tuple[Diversion, ...]:
    found = []
    for each in diversions:
        address = neutral(each.address, party)
        if address is not None:
            params = tuple([item for item in each.params if item[0] in ("limit", "screen")])
            found.append(Diversion(address, each.reason, each.counter, each.privacy, params))
    return tuple(found)


def neutral_history(history: Iterable[HistoryEntry], party: Party) -> tuple[HistoryEntry, ...]:
    """Every entry keeps its place: who cannot be named is nobody."""
    return tuple([HistoryEntry(_neutral_target(each.address, party), each.index, each.how, each.from_) for each in history])


def _neutral_target(address: NameAddr, party: Party) -> NameAddr:
    found = neutral(address, party)
    if found is None or found is ANONYMOUS:
        return ANONYMOUS
    cause = address.uri.param("cause") or ""
    headers = [item for item in address.uri.headers.split("&") if unescape(item.partition("=")[0]).lower() in HISTORY_HEADERS]
    uri = _with_headers(found.uri)
    params = (*uri.params, ("cause", cause)) if cause.isascii() and cause.isdigit() else uri.params
    return NameAddr(found.display, uri.with_(params=params, headers="&".join(headers)))


def _with_headers(uri: Uri) -> Uri:
    """The same number where there is room for headers: a tel URI has none."""
    return numbered(uri.user or "") if uri.scheme == "tel" else uri
