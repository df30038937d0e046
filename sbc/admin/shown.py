"""Answers as people read them. What peers have sent is shown as text and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sbc.call.record import timestamp
from sbc.recording.ladder import printable

Shown = dict[str, Any]
PIPED_WIDTH = 220  # columns where there is no terminal that would say

FIGURES = (
    ("packets received", "packets_received"),
    ("packets sent", "packets_sent"),
    ("lost", "lost"),
    ("jitter ms", "jitter_ms"),
    ("round trip ms", "rtt_ms"),
    ("lost, says the peer", "reported_lost"),
    ("from", "source"),
    ("dropped: wrong source", "wrong_source"),
    ("the last of it from", "stranger"),
    ("dropped: not authentic", "srtp_auth_failed"),
    ("dropped: payload type", "payload_type_mismatch"),
    ("verdict", "verdict"),
    ("MOS listening", "mos_lq"),
    ("MOS conversation", "mos_cq"),
)


def console() -> Console:
    screen = Console(highlight=False, markup=False, emoji=False)
    return screen if screen.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PIPED_WIDTH)


def calls(answer: Shown) -> RenderableType:
    table = _table("call", "since", "for", "state", "from → to", "parties", "codec", "caller heard", "callee heard")
    now = time.time()
    for call in answer["calls"]:
        a, b, media = call["a"], call["b"], call["media"] or {}
        _row(
            table,
            call["id"],
            _clock(call["began"]),
            _span(now - (call["answered"] or call["began"])),
            call["state"] + (" EMERGENCY" if call["emergency"] else ""),
            f"{call['caller'] or '?'} → {call['called']}",
            f"{a['party']} → {b['party'] if b else '?'}",
            _both(a["speech"], b["speech"] if b else ""),
            _judged(media.get("a")),
            _judged(media.get("b")),
        )
    return Group(table, _line(_more(len(answer["calls"]), answer["matching"], answer["total"], "call")))


def call(answer: Shown) -> RenderableType:
    it = answer["call"]
    a, b, media = it["a"], it["b"], it["media"] or {}
    answered = f", answered {_clock(it['answered'])} ({_span(time.time() - it['answered'])})" if it["answered"] else ""
    dialled = f" (dialled {it['dialled']})" if it["dialled"] != it["called"] else ""
    head = [
        f"call {it['id']}: {it['state']} since {timestamp(it['began'])}{answered}",
        f"{it['caller'] or '?'} → {it['called']}{dialled}, route {it['route'] or 'none'}{', EMERGENCY' if it['emergency'] else ''}",
    ]
    legs = _table("", "caller", "callee")
    for name, of in (
        ("party", lambda leg: f"{leg['kind']} {leg['party']}"),
        ("realm", lambda leg: leg["realm"]),
        ("signalling", lambda leg: f"{leg['transport']} {leg['peer']} (we: {leg['ours']})"),
        ("Call-ID", lambda leg: leg["call_id"]),
        ("codecs", lambda leg: ", ".join(leg["codecs"]) or "not agreed on yet"),
    ):
        _row(legs, name, *[of(leg) if leg else "" for leg in (a, b)])
    _row(legs, "keys", *[_keys(leg, media.get(side)) for side, leg in (("a", a), ("b", b))])
    for title, key in FIGURES if media else ():
        _row(legs, title, *[_figure(media[side][key]) for side in ("a", "b")])
    tried = [_attempt(each) for each in it["attempts"]]
    return Group(*map(_line, head), legs, *map(_line, tried))


def registrations(answer: Shown) -> RenderableType:
    table = _table("account", "contact", "from", "realm", "expires in", "state", "registrar")
    for each in answer["registrations"]:
        _row(
            table,
            f"{each['kind']} {each['account']}",
            each["contact"],
            f"{each['transport']} {each['source']}",
            each["realm"],
            _span(each["expires_in"]),
            each["state"],
            each["registrar"] or "we",
        )
    last = _line(_more(len(answer["registrations"]), answer["matching"], answer["total"], "registration"))
    return Group(table, last, *([_line(""), _registrations_out(answer["out"])] if answer["out"] else []))


def _registrations_out(rows: list[Shown]) -> RenderableType:
    table = _table("ours at trunk", "server", "state", "since", "expires in", "last answer", "next REGISTER in")
    now = time.time()
    for each in rows:
        expires, following = each["expires_at"], each["next_at"]
        _row(
            table,
            each["trunk"],
            each["server"],
            each["state"],
            _clock(each["since"]),
            "" if expires is None else _span(expires - now),
            each["last"],
            "" if following is None else _span(following - now),
        )
    return table


def trunks(answer: Shown) -> RenderableType:
    table = _table("trunk", "realm", "reached at", "registration", "health", "calls", "limits", "link", "servers", "last failures")
    for each in answer["trunks"]:
        _row(
            table,
            each["name"],
            each["realm"],
            each["peer"] or (f"site {each['site']}" if each["site"] else "where it registers" if each["registration"] else "nowhere"),
            each["registration"] or "none",
            each["health"],
            str(each["calls"]),
            _full(each["limits"]) or "none",
            _link(each.get("link")),
            "\n".join(_server(server) for server in each["servers"]),
            "\n".join(_failure(failure) for failure in each["failures"]),
        )
    return Group(table, _line(_more(len(answer["trunks"]), answer["matching"], answer["total"], "trunk")))


WHATS = {
    "calls": "calls",
    "calls_from": "calls from it",
    "calls_to": "calls to it",
    "bandwidth": "bandwidth",
    "new_calls": "new calls at once",
    "new_calls_from": "new calls from it at once",
    "new_calls_to": "new calls to it at once",
    "requests": "requests at once",
}


def limits(answer: Shown) -> RenderableType:
    table = _table("limits", "counted for", "what", "now", "highest", "limit", "refused")
    for each in answer["limits"]:
        most = _amount(each, "most") + (f", {_rate(each['rate'])}" if each["rate"] else "")
        figures = (_amount(each, "now"), _amount(each, "highest"), most, str(each["refused"]))
        _row(table, each["limit"], each["scope"], WHATS.get(each["what"], each["what"]), *figures)
    return Group(table, _line(_more(len(answer["limits"]), answer["matching"], answer["total"], "limit")))


def _rate(per_second: float) -> str:
    """As somebody would write it."""
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3600)):
        if per_second * seconds >= 0.999:
            return f"{per_second * seconds:.6g}/{unit}"
    return f"{per_second * 86400:.6g}/d"


def _amount(state: Shown, key: str) -> str:
    """A number; of bits per second as the policy has it."""
    value: int = state[key]
    if state["what"] != "bandwidth" or not value:
        return str(value)
    unit, size = ("G", 10**9) if value >= 10**9 else ("M", 10**6) if value >= 10**6 else ("k", 1000)
    return f"{value / size:.4g}{unit}"


def _full(limits: list[Shown]) -> str:
    """What a trunk has of its limits, one a line."""
    return "\n".join(f"{_amount(each, 'now')} of {_amount(each, 'most')} {WHATS.get(each['what'], each['what'])}" for each in limits)


def bans(answer: Shown) -> RenderableType:
    table = _table("source", "since", "for", "why", "did", "proof", "which", "dropped")
    for each in answer["bans"]:
        _row(
            table,
            each["source"] + (" (only said)" if each["shadow"] else ""),
            _clock(each["at"]),
            _span(each["left"]),
            each["meaning"],
            _did(each["counts"]),
            each["proof"],
            f"{each['number']}.",
            "" if each["dropped"] is None else str(each["dropped"]),
        )
    mode = {"on": "", "shadow": "; shadow: nobody is kept out", "off": "; bans are off in the policy"}[answer["mode"]]
    return Group(table, _line(_more(len(answer["bans"]), answer["matching"], answer["total"], "ban") + mode))


def source(answer: Shown) -> RenderableType:
    lines = [
        f"{answer['source']}: {answer['standing']}: {answer['because']}",
        f"score {answer['score']} of 100" + (f": {_did(answer['counts'])}" if answer["counts"] else ""),
        f"in its name, unproven: {answer['suspicion']} of 100",
    ]
    ban = answer["ban"]
    if ban is not None:
        until = f"for {_span(ban['left'])} more" if ban["left"] else "over"
        lines.append(f"ban {ban['number']} at {timestamp(ban['at'])}, {until}: {ban['meaning']} ({_did(ban['counts'])})")
        if ban["dropped"] is not None:
            lines.append(f"the kernel has dropped {ban['dropped']} packets of it")
    return Group(*map(_line, lines))


def _did(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def why(answer: Shown) -> RenderableType:
    told = [line for each in answer["refusals"] for line in _refusal(each)]
    for source in answer["strangers"]:
        last = source["last"]
        often = f"{source['count']} requests since {timestamp(source['since'])}, the last of them:"
        told += [f"stranger at {last['source']}: {often}", *_refusal(last)]
    told += [_intrusion(each) for each in answer["intrusions"]]
    if not told:
        remembered = answer["total"]
        others = "1 refusal is" if remembered == 1 else f"{remembered} refusals are"
        told = [f"nothing is remembered of that; {others}. Calls that were answered, or given up, are no refusals"]
    return Group(*map(_line, told))


STEPS = {
    "who": "who is it",
    "allowed": "is it allowed to",
    "number": "which number is that",
    "caller": "may it show that caller",
    "limits": "how many are there already",
    "route": "where to",
    "proof": "is the caller authentic",
    "target": "will somebody take it",
    "media": "what can both speak",
}


def _refusal(it: Shown) -> list[str]:
    whose = f"{it['party']} ({it['by']})" if it["by"] else it["party"] or "nobody we know"
    numbers = f" {it['caller'] or '?'} → {it['called']}" if it["called"] else ""
    answer = f"{it['status']} {it['reason']}".strip() if it["status"] else "no answer"
    where = f"{it['transport']} {it['source']}:{it['port']} in realm {it['realm']}"
    lines = [
        f"{timestamp(it['at'])} {it['method']}{numbers} of {whose}, {where}: {answer}",
        f"    {STEPS.get(it['step'], it['step'])}? {it['note'] or 'no'}",
    ]
    if it["route"]:
        lines.append(f"    by route {it['route']} ({it['line']})")
    lines += [f"    {_attempt(each)}" for each in it["attempts"]]
    return [*lines, f"    call {it['id']}, Call-ID {it['call_id']}" if it["id"] else f"    Call-ID {it['call_id']}"]


def _intrusion(it: Shown) -> str:
    where = f"{it['source']} port {it['port']}"
    return f"{timestamp(it['at'])} media from {where} in the place of {it['party']}, dropped: call {it['id']}, Call-ID {it['call_id']}"


TABLES: Mapping[str, Callable[[Shown], RenderableType]] = {
    "calls": calls,
    "call": call,
    "registrations": registrations,
    "limits": limits,
    "trunks": trunks,
    "bans": bans,
    "source": source,
    "unban": source,
    "why": why,
}


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(Text(column), overflow="fold", no_wrap=column in ("call", "since", "for", "expires in"))
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*[Text("\n".join(map(printable, cell.split("\n")))) for cell in cells])


def _line(text: str) -> Text:
    return Text(printable(text), overflow="fold")


def _more(shown: int, matching: int, total: int, what: str) -> str:
    if not total:
        return f"no {what}s"
    of = "" if matching == total else f" that match, of {total}"
    more = f"; {matching - shown} more are not shown (--limit)" if matching > shown else ""
    return f"{matching} {what}{'' if matching == 1 else 's'}{of}{more}"


def _clock(seconds: float) -> str:
    """UTC, as in logs and records."""
    return (timestamp(seconds) or "")[11:19] + "Z"


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _both(a: str, b: str) -> str:
    return a if a == b or not b else f"{a} → {b}" if a else b


def _judged(figures: Shown | None) -> str:
    if figures is None or figures["verdict"] is None:
        return ""
    score = figures["mos_cq"] or figures["mos_lq"]
    return str(figures["verdict"]) + (f" {score:.1f}" if score else "")


def _keys(leg: Shown | None, figures: Shown | None) -> str:
    if leg is None:
        return ""
    suite = figures["suite"] if figures else leg["suite"]
    return f"{leg['keying']} {suite}".strip() or "none (RTP)"


def _figure(value: object) -> str:
    return "" if value is None else str(value)


def _attempt(attempt: Mapping[str, object]) -> str:
    return "tried " + " ".join(str(attempt[key]) for key in ("target", "server", "status", "note") if attempt.get(key))


def _link(link: Shown | None) -> str:
    """Of a trunk at a linked site."""
    if link is None:
        return ""
    if not link["connections"]:
        return "not connected"
    times = f"round trip {link['rtt_ms']:g} ms, window {link['window'] // 1024} KiB"
    return f"{link['remote']}\n{times}\n{link['lost']} lost, {link['late']} too late, waits {link['queue_ms']:g} ms"


def _server(server: Shown) -> str:
    left = f" tried last for {_span(server['shunned_for'])}" if server["shunned_for"] else ""
    return f"{server['server']} {server['state']} {server['status']} {_clock(server['at'])}{left}"


def _failure(failure: Shown) -> str:
    return " ".join(filter(None, (_clock(failure["at"]), str(failure["status"]), failure["note"])))
