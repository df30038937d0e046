"""What a phone hears, whichever phone it is."""

from __future__ import annotations

from typing import Protocol

from tests import tones
from tests.interop.namespaces import Namespace
from tests.interop.wait import until

ALICE = 440.0  # Hz, what she plays
CARRIER = 1000.0
SPOILT = 2  # tenths of a second at the edges of a piece that are neither tone nor silence


class Ears(Protocol):
    @property
    def host(self) -> Namespace: ...

    def heard(self, *frequencies: float) -> list[float | None]:
        """The tones of all calls, one after the other; see tests.tones.heard."""

    def pieces(self) -> int:
        """How often sound began."""


def hears(phone: Ears, tone: float, seconds: float = 1.0) -> None:
    """From now on `phone` hears that much of `tone`, and nothing of its own."""
    before = tones.seconds_of(phone.heard(ALICE, CARRIER), tone)

    def enough() -> bool:
        return tones.seconds_of(phone.heard(ALICE, CARRIER), tone) >= before + seconds

    until(enough, seconds + 5.0, f"{phone.host.name} does not hear {seconds:g} s of {tone:g} Hz")
    heard = phone.heard(ALICE, CARRIER)
    assert ALICE + CARRIER - tone not in heard
    assert heard.count(None) <= SPOILT * phone.pieces()
