"""What a stranger may cost us. Pure: asked for each datagram and connection, told of each offence, it says who is banned.

The cheapest question comes first: banned, then the budget of the source, then the shape of the first octets; only then is a
message parsed, and only then is asked who sent it. Of a source that has not proved its address nothing is kept but counts in
sketches of one size, and nothing is done to it but to let it wait: whoever writes a carrier's address on its packets bans nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from sbc.clock import Now
from sbc.shield.bans import Ban, Bans, Proof
from sbc.shield.budgets import Budget, source_key
from sbc.shield.networks import Networks
from sbc.shield.offences import Offence
from sbc.shield.rules import ShieldRules
from sbc.shield.sketch import Sketch

WINDOW = 60.0  # seconds in which a whole score runs out: the minute that offences are counted in
BAN_AT = 100.0  # per cent of what is too much
_FULL = BAN_AT - 1e-6  # thirty times a thirtieth is a little less
PATIENCE_WITH_KNOWN = 10.0  # times as much from where somebody has proved who it is: one bad phone shall not ban its office
KNOWN_FOR = 3600.0  # seconds after the last proof; phones register more often
TOLD_AGAIN = 1800.0  # seconds after which a further proof is news once more, for whoever keeps a time of its own
MAX_KNOWN = 50_000  # addresses with phones behind them, some 150 octets each. Only a password, or we, can enter one
MAX_OFFENDERS = 10_000  # addresses that proved to be theirs and offended, 0.6 KiB each
MAX_SPARED = 4_096  # answers of the policy's list that are remembered
AT_ONCE = 4.0  # seconds of a source's budget that may come together: 400 REGISTERs of an office after a power cut
STRANGERS = (3000.0, 6000.0)  # datagrams a second, and at once, of all whom we do not know together: a third of a core
THROTTLED = (1.0, 4.0)  # of one unproven source that has offended: enough for a phone to register all the same
LARGEST_OF_STRANGERS = 16_384  # octets; INVITEs of browsers have 4,000, RFC 4475's longest message 4,600
SHORTEST = 20  # octets: "A sip:b SIP/2.0" and a line end, and there is more to come
_START_LINE = 2_000  # octets in which the version has to stand
_OTHERS = frozenset({b"", b"\r", b"\n", b"\0"})  # keep-alives, STUN, and line ends before a message (RFC 3261 s7.5)

# What all of this may come to at most; asserted by tests that fill it.
MEMORY_BOUND = 40 * 1024 * 1024

Refusal = Literal["banned", "throttled", "crowded", "shapeless"]


class Offender:
    """What a source that proved its address did lately."""

    __slots__ = ("at", "counts", "score")

    def __init__(self, at: float) -> None:
        self.score = 0.0
        self.at = at
        self.counts: dict[Offence, int] = {}


class Shield:
    """`key`: random octets. Until `apply` the rules are the usual ones."""

    def __init__(self, key: bytes) -> None:
        self.bans = Bans()
        self._key = key
        self._known: OrderedDict[str, float] = OrderedDict()  # source -> monotonic seconds until which it is
        self._offenders: OrderedDict[str, Offender] = OrderedDict()
        self._spared: dict[str, bool] = {}
        self._suspected = Sketch(key, BAN_AT / WINDOW)
        self._throttled = Sketch(key, THROTTLED[0])
        self._strangers = Budget(*STRANGERS)
        self.apply(ShieldRules())

    def apply(self, rules: ShieldRules) -> None:
        """From now on these count. Bans of whom the new rules spare are off."""
        self.rules = rules
        self._never = Networks(rules.never_ban)
        self._spared.clear()
        self._per_source = Sketch(self._key, rules.requests)
        for ban in self.bans.on(0.0):
            if self._never.has(ban.source) or rules.bans == "off" or ban.shadow != (rules.bans == "shadow"):
                self.bans.lift(ban.source)

    # Asked

    def refuses_datagram(self, host: str, data: bytes, now: float) -> Refusal | None:
        """Why this is not even parsed; None: it is. `now` in monotonic seconds."""
        source = source_key(host)
        if self.is_banned(source, now):
            return "banned"
        if self.is_known(source, now):
            return None
        if self._suspected.level(source, now) >= _FULL and self.rules.bans == "on":
            if not self._throttled.take(source, THROTTLED[1], now):
                return "throttled"
        elif not self._per_source.take(source, self.rules.requests * AT_ONCE, now):
            return "throttled"
        if not has_shape(data):
            self._suspect(source, "malformed", now)
            return "shapeless"
        return None if self._strangers.take("", now) else "crowded"

    def refuses_connection(self, host: str, now: float) -> bool:
        return self.is_banned(source_key(host), now)

    def is_banned(self, source: str, now: float) -> bool:
        ban = self.bans.at(source, now)
        return ban is not None and not ban.shadow

    def is_known(self, source: str, now: float) -> bool:
        """The policy names it, or somebody there has proved who it is within the last hour."""
        until = self._known.get(source)
        return (until is not None and until > now) or self.spares(source)

    def spares(self, source: str) -> bool:
        """Whether it is never banned, by the policy or because of what else is there."""
        known = self._spared.get(source)
        if known is None:
            known = self._never.has(source)
            if known:  # of others there may be any number
                if len(self._spared) >= MAX_SPARED:
                    self._spared.clear()
                self._spared[source] = True
        return known

    def score(self, source: str, now: float) -> float:
        """Per cent of a ban, of a source that proved its address; 0 for one that has done nothing."""
        offender = self._offenders.get(source)
        return _left(offender, now) if offender is not None else 0.0

    def suspicion(self, source: str, now: float) -> float:
        """The same of what came in its name without proof, at least: others may share the count."""
        return self._suspected.level(source, now)

    def counts(self, source: str) -> dict[Offence, int]:
        offender = self._offenders.get(source)
        return dict(offender.counts) if offender is not None else {}

    def known(self, now: float) -> list[str]:
        """Where somebody has proved who it is within the last hour."""
        return [source for source, until in self._known.items() if until > now]

    def known_until(self, source: str) -> float | None:
        return self._known.get(source)

    # Told

    def vouch(self, host: str, now: float) -> bool:
        """Somebody there has proved who it is. True: that is news, or has not been for a while."""
        source = source_key(host)
        before = self._known.pop(source, 0.0)
        self._known[source] = now + KNOWN_FOR
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return before <= now or (before - KNOWN_FOR) // TOLD_AGAIN != now // TOLD_AGAIN

    def offend(self, host: str, offence: Offence, proof: Proof | None, now: Now) -> Ban | None:
        """One of these came from there; `proof`: what shows that whoever sent it can hear us there. The ban it earned, if it did."""
        source = source_key(host)
        if self.rules.bans == "off" or self.rules.offences[offence] is None or self.spares(source):
            return None
        if proof is None:
            self._suspect(source, offence, now.monotonic)
            return None
        offender = self._offender(source, now.monotonic)
        known = (self._known.get(source) or 0.0) > now.monotonic
        offender.score = _left(offender, now.monotonic) + self._weight(offence) / (PATIENCE_WITH_KNOWN if known else 1.0)
        offender.at = now.monotonic
        offender.counts[offence] = offender.counts.get(offence, 0) + 1
        if offender.score < _FULL or self.bans.at(source, now.monotonic) is not None:
            return None
        rules = self.rules
        ban = self.bans.impose(source, offence, offender.score, offender.counts, proof, rules.ban_for, rules.longest_ban, now)
        del self._offenders[source]  # what it did stands in the ban
        return self.bans.shadow(ban) if rules.bans == "shadow" else ban

    def lift(self, source: str) -> Ban | None:
        """By hand: all is forgiven. The ban that was on or is remembered."""
        self._offenders.pop(source, None)
        return self.bans.lift(source)

    def _suspect(self, source: str, offence: Offence, now: float) -> None:
        if self._suspected.level(source, now) < 2 * BAN_AT:  # or hours of a flood would take hours to run out
            self._suspected.add(source, self._weight(offence), now)

    def _weight(self, offence: Offence) -> float:
        most = self.rules.offences[offence]
        return BAN_AT / most if most is not None else 0.0

    def _offender(self, source: str, now: float) -> Offender:
        offender = self._offenders.pop(source, None)
        if offender is None or _left(offender, now) <= 0.0:
            offender = Offender(now)  # counts begin anew when all has run out
        self._offenders[source] = offender
        if len(self._offenders) > MAX_OFFENDERS:
            self._offenders.popitem(last=False)
        return offender


def has_shape(data: bytes) -> bool:
    """Whether these may be the first octets of a message, a method or SIP/2.0, with the version in the first line; or a keep-alive."""
    if data[:1] in _OTHERS:
        return len(data) <= LARGEST_OF_STRANGERS  # whoever reads it looks at its first octet, too
    if not SHORTEST <= len(data) <= LARGEST_OF_STRANGERS or not data[:3].isalpha():
        return False
    end = data.find(b"\n", 0, _START_LINE)
    return data.find(b"SIP/2.0", 0, end if end > 0 else _START_LINE) >= 0


def _left(offender: Offender, now: float) -> float:
    return max(0.0, offender.score - (now - offender.at) * BAN_AT / WINDOW)
