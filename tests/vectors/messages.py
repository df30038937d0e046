"""The message vectors, and what becomes of one on its way in: parsed, then looked at as a user agent does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sbc.errors import SipError
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.validate import KNOWN_METHODS, check_request, check_response

VECTORS = Path(__file__).parent
SUPPORTED = frozenset({"timer", "100rel", "replaces"})


def index(folder: str, key: str = "messages") -> dict[str, dict[str, Any]]:
    """The entries of a folder's index by file name."""
    entries = json.loads((VECTORS / folder / "index.json").read_text())[key]
    return {entry["file"]: entry for entry in entries}


def octets(folder: str, file: str) -> bytes:
    return (VECTORS / folder / file).read_bytes()


def request(folder: str, file: str) -> Request:
    message = parse_datagram(octets(folder, file))
    assert isinstance(message, Request)
    return message


def response(folder: str, file: str) -> Response:
    message = parse_datagram(octets(folder, file))
    assert isinstance(message, Response)
    return message


def outcome(data: bytes) -> tuple[str, SipError | None]:
    """ "accept", "reject" or "discard", and the error behind the latter two."""
    try:
        message = parse_datagram(data)
    except Malformed as error:
        return ("reject" if error.request else "discard"), error
    try:
        if isinstance(message, Response):
            check_response(message)
        else:
            check_request(message, methods=KNOWN_METHODS, supported=SUPPORTED)
    except SipError as error:
        return ("discard" if isinstance(message, Response) else "reject"), error
    return "accept", None


def answer_to(error: SipError, data: bytes) -> Response:
    """The answer that goes out for an error, read as its receiver would."""
    request = error.request if isinstance(error, Malformed) else parse_datagram(data)
    assert isinstance(request, Request)
    return Response.answer(request, error.status, error.reason, to_tag="ours", headers=error.headers)
