"""What becomes of a packet by its payload type, as a side's SideSpec says it."""

from __future__ import annotations

from typing import NamedTuple

from media.api import MediaError, SideSpec
from media.digits import LEAST_CLOCK, MOST_CLOCK
from media.g711 import TABLES


class Form(NamedTuple):
    """Of the packets with one second octet.

    second   the one that leaves, the marker bit kept
    clock    in Hz; 0: unknown
    table    what each octet of the payload becomes; empty: what it was
    digits   it is a telephone-event, to be reported and not sent on
    """

    second: int
    clock: int
    table: bytes = b""
    digits: bool = False


def forms(spec: SideSpec) -> dict[int, Form]:
    """By the second octet that arrives. Raises MediaError."""
    table = {}
    for arriving, leaving in (*spec.payload_types.items(), *((kind, kind) for kind in spec.reported)):
        if not (0 <= arriving < 128 and 0 <= leaving < 128):
            raise MediaError(f"payload type {arriving} -> {leaving} does not exist")
        rate = spec.clock_rates.get(arriving, 0)
        if not 0 <= rate < 1 << 32:
            raise MediaError(f"clock rate {rate} does not exist")
        law = spec.translate.get(arriving)
        octets, digits = TABLES[law] if law is not None else b"", arriving in spec.reported
        table[arriving] = Form(leaving, rate, octets, digits)
        table[arriving | 0x80] = Form(leaving | 0x80, rate, octets, digits)
    kind, clock = spec.events or (0, LEAST_CLOCK)
    if not (0 <= kind < 128 and LEAST_CLOCK <= clock <= MOST_CLOCK):
        raise MediaError(f"telephone-events of type {kind} and {clock} Hz do not exist")
    if not 0 <= spec.ssrc < 1 << 32:
        raise MediaError(f"SSRC {spec.ssrc} does not exist")
    return table
