"""Nobody shall flood somebody else with our answers: over UDP a source that has proved nothing gets no more octets than it sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sbc.flow import Flow
from sbc.sip.message import Request, Response

T = TypeVar("T")

ROOM_FOR_RECEIVED = len(";received=255.255.255.255") + len("65535") + 1  # what the top Via gains on its way back


def not_longer(request: Request, flow: Flow, rows: Sequence[T], answer: Callable[[Sequence[T]], Response]) -> Response | None:
    """The answer with as many of `rows` as there is room for, the last of them first; None: not even one fits.

    Of several challenges the strongest is the one that old phones do not know: the last stays longest.
    """
    size = None if flow.reliable else len(request.encode())
    while rows:
        response = answer(rows)
        if size is None or len(response.encode()) + ROOM_FOR_RECEIVED <= size:
            return response
        rows = rows[1:]
    return None
