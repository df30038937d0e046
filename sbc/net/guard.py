"""The shield at work: asked by the sockets, told by whoever sees an offence, it says what is done and has it done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sbc.clock import Now
from sbc.flow import Flow
from sbc.inputs import Resolved
from sbc.log import EventLog
from sbc.net.ports import BanStore, PacketFilter
from sbc.net.stats import Stats
from sbc.policy.snapshot import Snapshot
from sbc.shield.bans import Ban, Proof
from sbc.shield.budgets import source_key
from sbc.shield.kept import read, written
from sbc.shield.networks import key_of, shown
from sbc.shield.offences import Offence
from sbc.shield.ruleset import Door
from sbc.shield.shield import Shield
from sbc.shield.views import Answer, BansAsked, Question, SourceAsked, bans_view, source_view
from sbc.sip.uri import format_host

LONGEST_KEPT = 30 * 86_400.0  # seconds: the longest that a policy may ban anybody; a clock that was set makes none longer


class Guard:
    """`drop` is where packets of proven attackers end before they are ours to read; None: nowhere but here.

    `keep`: where bans outlive us; None: nowhere.
    """

    def __init__(
        self,
        shield: Shield,
        now: Callable[[], Now],
        log: EventLog,
        stats: Stats,
        drop: PacketFilter | None = None,
        keep: BanStore | None = None,
    ) -> None:
        self._shield = shield
        self._now = now
        self._log = log
        self._stats = stats
        self._drop = drop
        self._keep = keep

    def restore(self, text: str) -> None:
        """Bans of an earlier process, before the policy is applied."""
        now = self._now()
        try:
            bans = read(text, LONGEST_KEPT, now)
        except ValueError as error:
            self._log.event("warning", "bans_not_read", {"problem": str(error)[:200]})
            return
        for ban in bans:
            self._shield.bans.restore(ban)
        if on := self._shield.bans.on(now.monotonic):
            self._log.event("info", "bans_restored", {"count": len(on)})

    def apply(self, snapshot: Snapshot) -> None:
        self._shield.apply(snapshot.shield)
        if self._drop is not None:
            self._drop.apply(doors_of(snapshot), snapshot.shield)
            now = self._now().monotonic
            for ban in self._shield.bans.on(now):
                self._ban(ban)
            for source in self._shield.known(now):
                self._drop.know(source)

    # Sockets

    def refuses_datagram(self, host: str, data: bytes, now: float) -> bool:
        refusal = self._shield.refuses_datagram(host, data, now)
        if refusal is None:
            return False
        stats = self._stats
        if refusal == "banned":
            stats.datagrams_banned += 1
        elif refusal == "throttled":
            stats.datagrams_throttled += 1
        elif refusal == "crowded":
            stats.datagrams_crowded += 1
        else:
            stats.datagrams_shapeless += 1
        return True

    def refuses_connection(self, host: str, now: float) -> bool:
        return self._shield.refuses_connection(host, now)

    # What was seen

    def offended(self, flow: Flow, offence: Offence, proof: Proof | None, note: str = "") -> None:
        ban = self._shield.offend(flow.remote[0], offence, proof, self._now())
        if ban is None:
            return
        self._stats.bans += 1
        facts: dict[str, object] = {
            "source": shown(ban.source),
            "why": ban.why,
            "note": note,
            "did": ",".join(f"{kind}:{count}" for kind, count in ban.counts.items()),
            "score": round(ban.score),
            "proof": ban.proof,
            "seconds": round(ban.until - ban.since),
            "number": ban.number,
            "realm": flow.realm,
            "remote": format_host(*flow.remote),
        }
        self._log.event("warning", "would_ban" if ban.shadow else "banned", facts)
        self._save()
        self._ban(ban)

    def vouched(self, flow: Flow) -> None:
        """Somebody there has proved who it is."""
        self._know(flow.remote[0])

    def found(self, answer: Resolved) -> None:
        """Name servers have said where somebody is that the policy names: it answers from there."""
        for question, records in answer.answers.items():
            if question.kind in ("A", "AAAA"):
                for record in records:
                    if isinstance(record, str):
                        self._know(record)

    # People

    def ask(self, question: Question) -> Answer:
        """Raises ValueError: not an address."""
        now = self._now()
        dropped = self._drop.dropped() if self._drop is not None else None
        if isinstance(question, BansAsked):
            return bans_view(self._shield, question.most, dropped, now)
        source = key_of(question.address)
        if isinstance(question, SourceAsked):
            return source_view(self._shield, source, dropped, now)
        lifted = self._shield.lift(source)
        self._save()
        if lifted is not None and self._drop is not None:
            self._drop.unban(source)
        view = source_view(self._shield, source, dropped, now)
        if lifted is not None:
            self._log.event("warning", "unbanned", {"source": shown(source), "why": lifted.why, "number": lifted.number})
        return view

    def _save(self) -> None:
        if self._keep is not None:
            self._keep.save(self._written)

    def _written(self) -> Callable[[], str]:
        now = self._now()
        return partial(written, self._shield.bans.remembered(now.monotonic), now)

    def _know(self, host: str) -> None:
        if self._shield.vouch(host, self._now().monotonic) and self._drop is not None:
            self._drop.know(source_key(host))

    def _ban(self, ban: Ban) -> None:
        if self._drop is not None and not ban.shadow and not ban.may_be_an_office and self._shield.rules.kernel:
            self._drop.ban(ban.source, ban.left(self._now().monotonic))


def doors_of(snapshot: Snapshot) -> list[Door]:
    """Our sockets for signalling, but for those of linked sites: their speech comes there, which a ban of their neighbours must not end."""
    listeners = [listener for realm in snapshot.realms.values() for listener in realm.listeners if listener.transport != "QUIC"]
    doors: list[Door] = [("udp" if each.transport == "UDP" else "tcp", each.address, each.port) for each in listeners]
    return list(dict.fromkeys(doors))
