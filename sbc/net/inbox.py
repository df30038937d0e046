"""What has arrived and waits: nothing, mostly. Only when more is there than is done in a moment it is put in order and served by rank.

Messages of known sources are parsed before they wait, which costs a fiftieth of a call and tells what belongs to something begun; those
of strangers are not, unless their first line may call for help. Nor are calls of a rank of which some have to be turned away: those then
are by a glance. Nothing that is turned away here has been seen by the core.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

from sbc.effects import Send
from sbc.errors import SipError
from sbc.flow import Address, Flow
from sbc.net.stats import Stats
from sbc.shield.budgets import Budget
from sbc.shield.queue import Queue, Rank
from sbc.sip.fields.via import Via
from sbc.sip.glance import call_to, refusal
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.server import response_flow
from sbc.sip.transactions import stateless_response
from sbc.sip.uri import Uri

QUIET = 16  # datagrams: so many are served as they come. The last of them waits for some 2 ms
SLICE_S = 0.004  # served at a time before sockets are read again
REFUSED_ROOM = 32_768  # requests turned away of which repetitions are known; twice that while the older half is forgotten
REFUSED_S = 16.0  # until the older half is: Timer B is 32 s, and a repetition later than that is none

# What can be turned away: new work. Health checks and registrations of those we know are served late rather than not.
NEW_WORK = frozenset({"INVITE", "MESSAGE", "PUBLISH", "REFER", "SUBSCRIBE"})

PLEAS = (10.0, 20.0)  # of strangers in a realm, a second and at once: a policy takes far fewer calls, and a flood of them is a flood
_SHORT = re.compile(rb"INVITE (?:urn:service:sos|(?:sips?|tel):[\d%.()+*#-]{2,12}[@;\s])", re.IGNORECASE)  # as emergency numbers are

_Key = tuple[Address, str, str]  # source, branch, method


class Knowing(Protocol):
    """Who knows what is whose: the core."""

    def rank(self, message: Request | Response | Uri | None, flow: Flow) -> Rank: ...

    def has_invite(self, via: Via, flow: Flow) -> bool: ...


class Served(Protocol):
    """Where messages go when their turn has come: the engine."""

    def receive_datagram(self, data: bytes, flow: Flow) -> None: ...

    def receive_parsed(self, message: Request | Response, flow: Flow, octets: bytes) -> None: ...

    def receive_malformed(self, error: SipError, request: Request | None, flow: Flow) -> None: ...


class _Waiting:
    __slots__ = ("flow", "key", "message", "octets")

    def __init__(self, message: Request | Response | None, flow: Flow, octets: bytes, key: _Key | None) -> None:
        self.message = message
        self.flow = flow
        self.octets = octets
        self.key = key


class Inbox:
    """`tell`: the sender of a request of our overload, in what answers it (see sbc.core.Core).

    `tag`: of the To of those that are turned away.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        core: Knowing,
        tell: Callable[[Request, Flow], None],
        served: Served,
        send: Callable[[Send], None],
        stats: Stats,
        tag: str,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._rank = core.rank
        self._has_invite = core.has_invite
        self._tell = tell
        self._served = served
        self._send = send
        self._stats = stats
        self._tag = tag
        self._octets_of_tag = tag.encode()
        self._queue: Queue[_Waiting] = Queue()
        self._pleas = Budget(*PLEAS)
        self._ranks: dict[_Key, Rank] = {}  # of the requests that wait
        self._closed: set[int] = set()  # connections that ended while something of theirs waited
        self._refused: set[_Key] = set()
        self._refused_before: set[_Key] = set()
        self._refused_until = 0.0
        self._scheduled = False
        self._pressed = False
        self.quiet = True  # nothing waits, nobody is to be told again that it was turned away, and there is time
        self.served = 0  # new work of those we know, while not quiet
        self.refused = 0

    def receive_datagrams(self, batch: list[tuple[bytes, Flow]]) -> None:
        """All that a socket had."""
        if self.quiet and len(batch) <= QUIET:
            for data, flow in batch:
                self._served.receive_datagram(data, flow)
            return
        now = self._clock()
        for data, flow in batch:
            self._sort_in(data, flow, now)
        self._schedule()

    def receive_message(self, message: Request | Response, flow: Flow, octets: bytes) -> None:
        """One of a stream, while not `quiet`."""
        self._put(message, flow, octets, self._clock())
        self._schedule()

    def forget(self, connection: int) -> None:
        """It is gone. What belongs to something begun is served before anybody hears of that: a BYE; the rest is of no use."""
        for waiting in self._queue.withdraw(Rank.FIRST, lambda each: each.flow.connection == connection):
            self._serve(waiting, Rank.FIRST, late=False, now=self._clock())
        self._closed.add(connection)

    def press(self, pressed: bool) -> None:
        """Whether there is hardly any time left: then all that comes is put in order."""
        self._pressed = pressed
        self._settle()

    def _settle(self) -> None:
        self.quiet = not (self._scheduled or self._pressed or self._refused or self._refused_before)

    def _sort_in(self, data: bytes, flow: Flow, now: float) -> None:
        if data.startswith(b"ACK ") and self._octets_of_tag in data:
            self._stats.acks_of_refused += 1
            return
        if not data.startswith(b"SIP/"):
            rank = self._rank(None, flow)
            if (not _SHORT.match(data)) if rank == Rank.UNKNOWN else self._may_wait_unread(data, flow, rank):
                self._wait(_Waiting(None, flow, data, None), rank, now)
                return
        message = self._read(data, flow)
        if message is not None:
            self._put(message, flow, data, now)

    def _may_wait_unread(self, data: bytes, flow: Flow, rank: Rank) -> bool:
        """A call like many, that may have to be turned away."""
        if rank >= Rank.SEEN or not self._queue.is_overloaded(rank):
            return False
        uri = call_to(data)
        return uri is not None and self._rank(uri, flow) == rank

    def _read(self, data: bytes, flow: Flow) -> Request | Response | None:
        """None: it is malformed, which has been told."""
        try:
            return parse_datagram(data)
        except Malformed as error:
            self._served.receive_malformed(error, error.request, flow)
        except Exception:  # of the parser's own: who parses it again knows what to do
            self._served.receive_datagram(data, flow)
        return None

    def _put(self, message: Request | Response, flow: Flow, octets: bytes, now: float) -> None:
        rank = self._rank(message, flow)
        key: _Key | None = None
        if isinstance(message, Request) and not flow.reliable and message.method != "ACK":
            key = _key_of(message, flow)
            if key in self._ranks:
                self._stats.repetitions_dropped += 1
                return
            if self._was_refused(key):
                self._refuse(message, flow)
                return
            if message.method == "CANCEL":  # never before its INVITE
                rank = self._ranks.get((flow.remote, message.via.branch, "INVITE"), rank)
        if rank == Rank.PLEA and not self._pleas.take(flow.realm, now):
            rank = self._rank(None, flow)
        self._wait(_Waiting(message, flow, octets, key), rank, now)

    def _wait(self, waiting: _Waiting, rank: Rank, now: float) -> None:
        if not self._queue.put(waiting, rank, now):
            self._turn_away(waiting, rank, now)
        elif waiting.key is not None:
            self._ranks[waiting.key] = rank

    def _schedule(self) -> None:
        self.quiet = False
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """For a moment; then sockets and timers have their turn."""
        self._scheduled = False
        now = self._clock()
        end = now + SLICE_S
        while now < end:
            taken = self._queue.take(now)
            if taken is None:
                self._rest(now)
                return
            waiting, rank, late = taken
            self._serve(waiting, rank, late, now)
            before, now = now, self._clock()
            self._queue.charge(rank, now - before)
        self._schedule()

    def _serve(self, waiting: _Waiting, rank: Rank, late: bool, now: float) -> None:
        if waiting.key is not None:
            self._ranks.pop(waiting.key, None)
        message, flow = waiting.message, waiting.flow
        if flow.connection in self._closed:
            return
        if late and rank != Rank.PLEA and (message is None or rank == Rank.UNKNOWN or _is_new_work(message)):
            self._turn_away(waiting, rank, now)
        elif message is None and rank == Rank.UNKNOWN:
            self._served.receive_datagram(waiting.octets, flow)
        elif message is None:
            self._serve_unread(waiting)
        else:
            if rank < Rank.SEEN and _is_new_work(message):
                self.served += 1
            self._served.receive_parsed(message, flow, waiting.octets)

    def _serve_unread(self, waiting: _Waiting) -> None:
        flow = waiting.flow
        message = self._read(waiting.octets, flow)
        if not isinstance(message, Request):
            return
        if self._was_refused(_key_of(message, flow)):
            self._refuse(message, flow)
            return
        self.served += 1
        self._served.receive_parsed(message, flow, waiting.octets)

    def _turn_away(self, waiting: _Waiting, rank: Rank, now: float) -> None:
        """Who is known, or holds a connection, is told; to an unknown source nothing is sent (TRN-08)."""
        message, flow = waiting.message, waiting.flow
        if message is None and rank < Rank.SEEN:
            if self._turn_away_unread(waiting, now):
                return
            message = self._read(waiting.octets, flow)
            if not isinstance(message, Request):
                return
            if self._rank(message, flow) == Rank.FIRST:  # it repeats what is here
                self._served.receive_parsed(message, flow, waiting.octets)
                return
            waiting.key = _key_of(message, flow)
        self._stats.requests_refused += 1
        if not isinstance(message, Request) or message.method == "ACK" or (rank >= Rank.PLEA and not flow.reliable):
            return
        if waiting.key is not None:
            self._remember(waiting.key, now)
        self.refused += rank < Rank.SEEN
        self._refuse(message, flow)

    def _turn_away_unread(self, waiting: _Waiting, now: float) -> bool:
        """False: it is not as usual."""
        flow = waiting.flow
        found = refusal(waiting.octets, flow, 503, self._tag)
        if found is None:
            return False
        via, answer = found
        if self._has_invite(via, flow):
            self._served.receive_datagram(waiting.octets, flow)
            return True
        self._stats.requests_refused += 1
        self._remember((flow.remote, via.branch, "INVITE"), now)
        self.refused += 1
        self._send(Send(answer, response_flow(via, flow)))
        return True

    def _refuse(self, request: Request, flow: Flow) -> None:
        """Without Retry-After, which would stop all that a peer has for us (RFC 7339 s5.10.2)."""
        self._tell(request, flow)
        self._send(Send(*stateless_response(Response.answer(request, 503, to_tag=self._tag), request, flow)))

    def _remember(self, key: _Key, now: float) -> None:
        """The answer may have crossed its repetition, which would then become a call nobody waits for."""
        if now >= self._refused_until or len(self._refused) >= REFUSED_ROOM:
            self._forget_older(now)
        self._refused.add(key)

    def _was_refused(self, key: _Key) -> bool:
        return key in self._refused or key in self._refused_before

    def _forget_older(self, now: float) -> None:
        self._refused_before, self._refused = self._refused, set()
        self._refused_until = now + REFUSED_S

    def _rest(self, now: float) -> None:
        """Nothing waits any more."""
        self._closed.clear()
        if now >= self._refused_until:
            self._forget_older(now)
        self._settle()


def _key_of(request: Request, flow: Flow) -> _Key:
    return flow.remote, request.via.branch, request.method


def _is_new_work(message: Request | Response) -> bool:
    return isinstance(message, Request) and message.method in NEW_WORK
