"""What of an offer reaches the other side, and why the rest does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sbc.errors import SipError
from sbc.explain.account import NO, OK, Phase
from sbc.explain.rules import Rules
from sbc.policy.snapshot import Party
from sbc.sdp.codecs import read_codecs
from sbc.sdp.model import Codec, Media, Session
from sbc.sdp.parse import parse_session
from sbc.sdp.selection import NOT_NAMED, let_through, stripped_of
from sbc.sip.message import Request
from sbc.sip.multipart import sdp_of

DTLS = "UDP/TLS/"


@dataclass(frozen=True, slots=True)
class Stream:
    kind: str
    codecs: tuple[Codec, ...]
    keys: str  # "sdes", "dtls" or "none"
    refused: bool


def streams_of(request: Request) -> list[Stream] | None:
    """Of an offer, in its order; None: there is none, or nobody could read it."""
    try:
        body = sdp_of(request)
        session = parse_session(body) if body else None
    except SipError:
        return None
    return [_stream(session, media) for media in session.media] if session is not None else None


def media_phase(rules: Rules, received: Request, sent: Request | None, caller: Party, callee: Party | None) -> Phase:
    offered = streams_of(received)
    told = streams_of(sent) if sent is not None else None
    if offered is None:
        text = "the call came without an offer" + ("; ours names all that may be" if told else "; the callee makes one")
        return Phase("media", text, rules.of_party(callee, "early_offer") if told and callee else None, facts=_facts(offered, told))
    lines = [f"offered: {_told(each)}" for each in offered]
    if told is None or callee is None:
        lines += [_why_not(rules, codec, caller, None) for stream in offered for codec in stream.codecs]
        why = rules.media(caller, "codecs")
        return Phase("media", "nothing of the offer goes on", why, tuple(filter(None, lines)), _facts(offered, told), NO)
    kept = next((each for each in told if not each.refused), None)
    lines += _dropped(rules, offered, kept, caller, callee)
    before = {codec.key for stream in offered for codec in stream.codecs}
    lines += [f"{codec.name}: translated for {callee.name}" for codec in (kept.codecs if kept else ()) if codec.key not in before]
    text = f"{callee.name} is offered {_told(kept)}" if kept is not None else "no stream is left"
    return Phase("media", text, rules.media(callee, "codecs"), tuple(lines), _facts(offered, told), OK if kept else NO)


def _dropped(rules: Rules, offered: list[Stream], kept: Stream | None, caller: Party, callee: Party) -> list[str]:
    if kept is None:
        return []
    here = {codec.key for codec in kept.codecs}
    lines = []
    for stream in offered:
        if stream.kind != kept.kind:
            lines.append(f"{stream.kind}: not relayed")
        else:
            lines += [_why_not(rules, codec, caller, callee) for codec in stream.codecs if codec.key not in here]
    return lines


def _why_not(rules: Rules, codec: Codec, caller: Party, callee: Party | None) -> str:
    ways = [(caller, "offers_from", caller.media.offers_from)]
    if callee is not None:
        ways.append((callee, "offers_to", callee.media.offers_to))
    for party, key, way in ways:
        if not let_through((codec,), party.media, way):
            ((_, why),) = stripped_of((codec,), (), party.media, way)
            place = rules.media(party, "codecs" if why == NOT_NAMED else key)
            return f"{codec.name}: {why} of {party.name}'s media {party.media.name} ({place})"
    return f"{codec.name}: dropped" if callee is not None else ""


def _stream(session: Session, media: Media) -> Stream:
    names, parameters = _numbered(media, "rtpmap"), _numbered(media, "fmtp")
    codecs = read_codecs(media, names, parameters) if media.kind == "audio" else ()
    keyed = "dtls" if media.protocol.upper().startswith(DTLS) else "sdes" if "SAVP" in media.protocol.upper() else "none"
    if (keyed == "none" and media.first("fingerprint")) or session.first("fingerprint"):
        keyed = "dtls"
    return Stream(media.kind, codecs, keyed, media.port == 0)


def _numbered(media: Media, name: str) -> Mapping[str, str]:
    parts = [value.strip().partition(" ") for value in media.all(name)]
    return {number: text.strip() for number, _, text in parts}


def _told(stream: Stream) -> str:
    what = ", ".join(codec.name for codec in stream.codecs) if stream.kind == "audio" else stream.kind
    keys = {"none": "RTP", "sdes": "SRTP with keys in the description (SDES)", "dtls": "SRTP with keys by DTLS"}[stream.keys]
    return f"{what or 'nothing known'}; {keys if stream.kind == 'audio' else 'T.38'}"


def _facts(offered: list[Stream] | None, told: list[Stream] | None) -> dict[str, Any]:
    kept = next((each for each in told or () if not each.refused), None)
    return {
        "offered_codecs": [codec.name for stream in offered or () for codec in stream.codecs],
        "codecs": [codec.name for codec in kept.codecs] if kept is not None else [],
        "keys": kept.keys if kept is not None else None,
        "media": kept.kind if kept is not None else None,
    }
