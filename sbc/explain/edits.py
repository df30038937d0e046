"""What the callee's request says otherwise than the caller's did, header by header."""

from __future__ import annotations

from typing import Any

from sbc.errors import ParseError
from sbc.explain.account import Phase, Rule
from sbc.explain.rules import Rules
from sbc.policy.snapshot import Party, Trunk
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request

# Each leg has its own: what stands there says nothing of the policy.
OF_EACH_LEG = frozenset({
    *("via", "call-id", "cseq", "contact", "max-forwards", "content-length", "content-type", "record-route", "route"),
    *("authorization", "proxy-authorization", "allow", "supported", "session-expires", "min-se", "session-id"),
})  # fmt: skip
WITH_TAGS = frozenset(("from", "to"))


def edits_phase(rules: Rules, received: Request, sent: Request, caller: Party, callee: Party | None) -> Phase:
    before, after = _rows(received), _rows(sent)
    lines = [f"  {received.uri}" if str(received.uri) == str(sent.uri) else f"- {received.uri}\n+ {sent.uri}"]
    removed: list[tuple[str, str]] = []
    added: list[tuple[str, str]] = []
    for name in dict.fromkeys((*before, *after)):
        here, there = before.get(name, []), after.get(name, [])
        lines += [f"  {name}: {value}" for value in here if value in there]
        removed += [(name, value) for value in here if value not in there]
        added += [(name, value) for value in there if value not in here]
        lines += [f"- {name}: {value}" for value in here if value not in there]
        lines += [f"+ {name}: {value}" for value in there if value not in here]
    flat = tuple([part for line in lines for part in line.split("\n")])
    text = f"{len(removed)} rows fewer, {len(added)} more" if removed or added else "no header is changed"
    editors = (_editor(rules, caller, "headers_in"), _editor(rules, callee, "headers_out"))
    shown = (*[f"edited by {rule}" for rule in editors if rule is not None], *flat)
    return Phase("edits", f"{text} (Via, Call-ID and the like are each leg's own)", None, shown, _facts(received, sent, removed, added))


def _editor(rules: Rules, party: Party | None, key: str) -> Rule | None:
    if party is None or party.edits is None:
        return None
    rule = rules.at("trunks", party.name, key) if isinstance(party, Trunk) else rules.of_party(party)
    return rule if rule.place is not None else None


def _facts(received: Request, sent: Request, removed: list[tuple[str, str]], added: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "request_uri": [str(received.uri), str(sent.uri)],
        "removed": [list(row) for row in removed],
        "added": [list(row) for row in added],
    }


def rows_of(request: Request) -> list[tuple[str, str]]:
    """Names and values, without the tags of From and To, which mean nothing to anybody else."""
    return [(name.spelling, _without_tag(value) if name.lower() in WITH_TAGS else value) for name, value in request.headers.pairs()]


def _rows(request: Request) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in rows_of(request):
        if name.lower() not in OF_EACH_LEG:
            found.setdefault(name, []).append(value)
    return found


def _without_tag(value: str) -> str:
    try:
        return str(NameAddr.parse(value).with_tag(""))
    except ParseError:
        return value
