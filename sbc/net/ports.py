"""What the parts of the network side see of each other, so that each can be tested against a scripted neighbour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sbc.clock import Now
from sbc.effects import Effect, Recorded, Send, WriteRecord
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.identity.signature import ToSign
from sbc.identity.verdict import Claimed
from sbc.inputs import Input
from sbc.shield.bans import Proof
from sbc.shield.offences import Offence
from sbc.shield.queue import Rank
from sbc.shield.rules import ShieldRules
from sbc.shield.ruleset import Door
from sbc.sip.fields.via import Via
from sbc.sip.locate import Wanted
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri
from sbc.views import Answer, Question


class CoreLike(Protocol):
    """sbc.core.Core, or a script in its place."""

    def receive(self, event: Input, now: Now, /) -> None: ...

    def handle_timeout(self, now: Now) -> None: ...

    def next_timeout(self) -> float | None: ...

    def take_effects(self) -> list[Effect]: ...

    def rank(self, message: Request | Response | Uri | None, flow: Flow) -> Rank: ...

    def has_invite(self, via: Via, flow: Flow) -> bool: ...

    def tell(self, request: Request, flow: Flow, now: Now) -> None: ...

    def busy(self) -> int: ...

    def flows_in_use(self) -> frozenset[Flow]: ...

    def strays(self) -> tuple[Flow, ...]: ...

    def departed(self) -> tuple[Flow, ...]: ...

    def is_leaving(self) -> bool: ...

    def leftovers(self) -> dict[str, int]: ...

    def ask(self, question: Question, now: Now) -> Answer: ...


class Clock(Protocol):
    def now(self) -> Now: ...


class Receiver(Protocol):
    """Where sockets put what arrives: the engine."""

    def receive(self, event: Input) -> None: ...

    def receive_datagrams(self, batch: list[tuple[bytes, Flow]]) -> None:
        """All that a socket had, in order."""
        ...

    def receive_message(self, head: bytes, body: bytes, flow: Flow) -> bool:
        """False: it was malformed."""
        ...

    def receive_malformed(self, error: SipError, request: Request | None, flow: Flow) -> None: ...

    def receive_failure(self, key: str, reason: str) -> None:
        """A `Send` with that key did not get out, or not through; with an empty key it is only counted."""
        ...

    def handshake_failed(self, flow: Flow, reason: str) -> None: ...

    def offended(self, flow: Flow, offence: Offence) -> None:
        """Whoever has this connection did what the shield counts."""
        ...

    def vouched(self, flow: Flow) -> None:
        """Whoever has this connection has proved who it is."""
        ...


class Doorman(Protocol):
    """Who is asked before anything is read: the guard."""

    def refuses_datagram(self, host: str, data: bytes, now: float) -> bool: ...

    def refuses_connection(self, host: str, now: float) -> bool: ...


class Watch(Protocol):
    """Who is told of what people do: the guard."""

    def offended(self, flow: Flow, offence: Offence, proof: Proof | None, note: str = "") -> None: ...

    def vouched(self, flow: Flow) -> None: ...


class PacketFilter(Protocol):
    """The kernel's. `source`: a key of sbc.shield.budgets.source_key. All of them return at once."""

    def apply(self, doors: Sequence[Door], rules: ShieldRules) -> None:
        """All anew: those are our sockets for signalling. Nobody is banned there until that is said again."""
        ...

    def ban(self, source: str, seconds: float) -> None: ...

    def unban(self, source: str) -> None: ...

    def know(self, source: str) -> None:
        """Somebody there has proved who it is: it is not counted like a stranger."""
        ...

    def dropped(self) -> Mapping[str, int] | None:
        """Packets of banned sources, by source, as far as was read; None: it is not there that they are dropped."""
        ...


class BanStore(Protocol):
    """Where bans outlive the process."""

    def save(self, snapshot: Callable[[], Callable[[], str]]) -> None:
        """Soon, in one go with what comes meanwhile: as `snapshot` finds them then. What it gives makes the text, in another thread."""
        ...


class Carrier(Protocol):
    """Who takes octets out: the network."""

    def send(self, effect: Send) -> None: ...

    def close_flow(self, flow: Flow) -> None: ...

    def trust_flow(self, flow: Flow, alias: int) -> None: ...

    def keep_alive(self, flow: Flow, within: float) -> None: ...


class Questions(Protocol):
    def ask(self, question: str, realm: str, wanted: Wanted) -> None:
        """The answer, exactly one `Resolved`, comes later as an input."""
        ...


class Proofs(Protocol):
    def ask(self, question: str, asked: Claimed, patience: float) -> None:
        """The answer, exactly one `Verified`, comes later as an input, not much later than `patience` seconds."""
        ...


class Signatures(Protocol):
    def ask(self, question: str, asked: ToSign) -> None:
        """The answer, exactly one `Signed`, comes later as an input."""
        ...


class Records(Protocol):
    def write(self, record: WriteRecord) -> None: ...


class Registrations(Protocol):
    def store(self, account: str, bindings: str) -> None: ...

    def forget(self, account: str) -> None: ...


class Recordings(Protocol):
    def write(self, recording: Recorded) -> None: ...
