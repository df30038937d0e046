"""Who is banned, for how long, and who was: each ban of a source is twice as long as the one before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

from sbc.clock import Now
from sbc.frozen import frozen, replace
from sbc.shield.offences import Offence

MAX_BANS = 10_000  # kept, some 0.5 KiB each; a botnet of more gets its oldest one forgiven
REMEMBERED = 86_400.0  # seconds after its end that a ban makes the next one longer

Proof = Literal["connection", "digest"]


@frozen
class Ban:
    """since, until: monotonic seconds; at: of `since`, since the epoch. number: which of this source. counts: what it did."""

    source: str
    why: Offence
    score: float
    counts: Mapping[Offence, int]
    proof: Proof
    since: float
    until: float
    at: float
    number: int
    shadow: bool = False

    def left(self, now: float) -> float:
        return max(0.0, self.until - now)

    @property
    def may_be_an_office(self) -> bool:
        """All it did was to try wrong passwords of accounts that exist: perhaps phones that nobody has told the new one."""
        return self.counts.keys() <= {"wrong_password"}


class Bans:
    """The latest ban of each source, those that are over among them."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: OrderedDict[str, Ban] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def at(self, source: str, now: float) -> Ban | None:
        """The ban that is on."""
        ban = self._of.get(source)
        return ban if ban is not None and ban.until > now else None

    def last(self, source: str) -> Ban | None:
        return self._of.get(source)

    def impose(
        self, source: str, why: Offence, score: float, counts: Mapping[Offence, int], proof: Proof, first: float, longest: float, now: Now
    ) -> Ban:
        """`first`: seconds of a first ban; `longest`: of any."""
        number = self.earlier(source, now.monotonic) + 1
        seconds = min(longest, first * 2.0 ** min(number - 1, 30))
        since = now.monotonic
        ban = Ban(source, why, score, dict(counts), proof, since, since + seconds, now.wall, number)
        self._of.pop(source, None)
        self._of[source] = ban
        if len(self._of) > MAX_BANS:
            self._of.popitem(last=False)
        return ban

    def restore(self, ban: Ban) -> None:
        """It was imposed by an earlier process of ours."""
        if len(self._of) < MAX_BANS:
            self._of[ban.source] = ban

    def remembered(self, now: float) -> list[Ban]:
        """Those that are on, or make the next one longer; the oldest first."""
        return [ban for ban in self._of.values() if now - ban.until < REMEMBERED]

    def shadow(self, ban: Ban) -> Ban:
        """It is only said."""
        self._of[ban.source] = shadow = replace(ban, shadow=True)
        return shadow

    def earlier(self, source: str, now: float) -> int:
        """How many bans count against it."""
        last = self._of.get(source)
        return last.number if last is not None and now - last.until < REMEMBERED else 0

    def lift(self, source: str) -> Ban | None:
        """It is forgiven altogether: its next ban is a first one."""
        return self._of.pop(source, None)

    def on(self, now: float) -> list[Ban]:
        """Those that are on, the latest first."""
        return [ban for ban in reversed(self._of.values()) if ban.until > now]
