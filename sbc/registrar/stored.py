"""Bindings as text that outlives the process, and back: JSON, times by the calendar."""

from __future__ import annotations

import json

from sbc.clock import Now
from sbc.errors import ParseError
from sbc.flow import TRANSPORTS, Flow
from sbc.registrar.binding import Binding, Upstream, unconnected
from sbc.sip.fields.contact import Contact


class Unreadable(ValueError):
    """Not written by this version, or not by us."""


def text_of(bindings: list[Binding], now: Now) -> str:
    return json.dumps([_plain(binding, now) for binding in bindings], separators=(",", ":"))


def bindings_of(text: str, now: Now) -> list[Binding]:
    """Those that have not expired; connections are gone. Raises Unreadable."""
    try:
        found = [_binding(each, now) for each in json.loads(text)]
    except (ParseError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(repr(error)) from error
    return [unconnected(binding) for binding in found if binding.expires_at > now.monotonic]


def _plain(binding: Binding, now: Now) -> dict[str, object]:
    flow = binding.flow
    return {
        "contact": str(binding.contact.address),
        "flow": [flow.realm, flow.transport, flow.local, flow.remote],
        "until": round(now.wall + binding.expires_at - now.monotonic, 3),
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "path": binding.path,
        "outbound": binding.outbound,
        "lost": binding.lost,
        "upstream": None if binding.upstream is None else _plain_upstream(binding.upstream, now),
    }


def _plain_upstream(upstream: Upstream, now: Now) -> dict[str, object]:
    return {
        "token": upstream.token,
        "trunk": upstream.trunk,
        "call_id": upstream.call_id,
        "cseq": upstream.cseq,
        "until": round(now.wall + upstream.expires_at - now.monotonic, 3),
        "refresh": round(now.wall + upstream.refresh_at - now.monotonic, 3),
        "absorbed": upstream.absorbed,
        "credentials": upstream.credentials,
        "service_route": upstream.service_route,
        "told": upstream.told,
    }


def _binding(plain: dict[str, object], now: Now) -> Binding:
    return Binding(
        contact=Contact.parse(_text(plain["contact"])),
        flow=_flow(plain["flow"]),
        expires_at=_until(plain["until"], now),
        call_id=_text(plain["call_id"]),
        cseq=_whole(plain["cseq"]),
        path=_texts(plain["path"]),
        outbound=plain["outbound"] is True,
        lost=plain["lost"] is True,
        upstream=None if plain["upstream"] is None else _upstream(plain["upstream"], now),
    )


def _upstream(plain: object, now: Now) -> Upstream:
    if not isinstance(plain, dict):
        raise ValueError("no registration elsewhere")
    return Upstream(
        token=_text(plain["token"]),
        trunk=_text(plain["trunk"]),
        call_id=_text(plain["call_id"]),
        cseq=_whole(plain["cseq"]),
        expires_at=_until(plain["until"], now),
        refresh_at=_until(plain["refresh"], now),
        absorbed=_whole(plain["absorbed"]),
        credentials=_text(plain["credentials"]),
        service_route=_texts(plain["service_route"]),
        told=_pairs(plain["told"]),
    )


def _flow(plain: object) -> Flow:
    if not isinstance(plain, list):
        raise ValueError("no flow")
    realm, transport, local, remote = plain
    return Flow(_text(realm), TRANSPORTS[_text(transport)], _address(local), _address(remote))


def _address(plain: object) -> tuple[str, int]:
    if not isinstance(plain, list):
        raise ValueError("no address")
    host, port = plain
    return _text(host), _whole(port)


def _until(plain: object, now: Now) -> float:
    if not isinstance(plain, (int, float)):
        raise ValueError("no time")
    return float(plain) - now.wall + now.monotonic


def _text(plain: object) -> str:
    if not isinstance(plain, str):
        raise ValueError("no text")
    return plain


def _texts(plain: object) -> tuple[str, ...]:
    if not isinstance(plain, list):
        raise ValueError("no list")
    return tuple([_text(each) for each in plain])


def _pairs(plain: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(plain, list):
        raise ValueError("no list")
    return tuple([(_text(name), _text(value)) for name, value in plain])


def _whole(plain: object) -> int:
    if not isinstance(plain, int):
        raise ValueError("no number")
    return plain
