"""DNS for the core: the records it needs to find a SIP server, from the hosts file, the cache, or the name servers (RFC 3263)."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from sbc.inputs import Resolved
from sbc.net.tasks import Tasks
from sbc.policy.snapshot import Snapshot
from sbc.sip.locate import Kind, Naptr, Question, Record, Srv, Wanted, is_address, next_questions

BUDGET = 2.0  # seconds for all questions of one call; a caller is waiting
ONE_SERVER = 0.5  # then the next name server is asked: three of them fit into the budget
RECORDS = 32  # of one answer; more is not a host but an attack on whoever tries them all
QUESTIONS = 1024  # at once; a socket each
CACHED = 8192  # sets of records, 0.5 KiB each; a trunk needs about five
HOSTS_FILE_SIZE = 1024 * 1024  # lists of blocked advertisers are that long; what is behind is not read

# A TTL of 0 would mean a question for every call; one of a week, servers long gone (unbound: cache-min-ttl, cache-max-ttl).
MIN_TTL, MAX_TTL = 5.0, 86_400.0
MAX_NEGATIVE_TTL = 3600.0  # "one to three hours" (RFC 2308 s5)
MAX_STALE = 86_400.0  # kept beyond their time for when nobody answers: "between 1 and 3 days" (RFC 8767 s5)
RECHECK = 5.0  # after a failure; RFC 8767 s5 has 30 s, but here each of them is a call that might get through


@dataclass(frozen=True, slots=True)
class Place:
    """Name servers in the order they are asked, and what short names are completed with."""

    servers: tuple[str, ...]
    search: tuple[str, ...] = ()


@dataclass(slots=True)
class _Entry:
    """Loop times: until when the records are good, and until when they are better than nothing."""

    records: tuple[Record, ...]
    fresh_until: float
    stale_until: float


_Key = tuple[Place, Question]


class Resolver:
    """`answer` gets one Resolved per question, never from within `ask`. `port`, `hosts`, `system`: other than usual, for tests."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        answer: Callable[[Resolved], None],
        *,
        budget: float = BUDGET,
        port: int = 53,
        hosts: Path = Path("/etc/hosts"),
        system: Path = Path("/etc/resolv.conf"),
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._answer = answer
        self._budget = budget
        self._port = port
        self._hosts = HostsFile(hosts)
        self._system_file = system
        self._system = Place(("127.0.0.1",))  # resolv.conf(5): "if this file does not exist, only the name server on the local machine"
        self._places: dict[str, Place] = {}
        self._cache: dict[_Key, _Entry] = {}
        self._asking: dict[_Key, asyncio.Task[None]] = {}
        self._clients: dict[Place, dns.asyncresolver.Resolver] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """The name servers of each realm; the system's are read anew. What is cached of a name server stays."""
        self._system = system_place(self._system_file)
        self._places = {realm.name: Place(realm.name_servers) for realm in snapshot.realms.values() if realm.name_servers}
        self._clients.clear()

    def ask(self, question: str, realm: str, wanted: Wanted) -> None:
        self._tasks.start(self._resolve(question, self._places.get(realm, self._system), wanted))

    async def _resolve(self, question: str, place: Place, wanted: Wanted) -> None:
        """One round of questions after the other: NAPTR, SRV, addresses."""
        answers: dict[Question, tuple[Record, ...]] = {}
        try:
            end = self._loop.time() + self._budget
            while questions := next_questions(wanted, answers):
                found = await asyncio.gather(*(self._records(place, each, end) for each in questions))
                answers.update(zip(questions, found, strict=True))
        except Exception:  # a fault of ours; the call must not wait for ever
            self._answer(Resolved(question, {}))
            raise
        self._answer(Resolved(question, answers))

    async def _records(self, place: Place, question: Question, end: float) -> tuple[Record, ...]:
        """Nothing when there is none, or nobody could say it in time and it was never known."""
        known = self._hosts.lookup(question)
        if known is not None:
            return known
        key = place, question
        entry = self._cache.get(key)
        if entry is not None and entry.fresh_until > self._loop.time():
            return entry.records
        task = self._asking.get(key)
        if task is None and len(self._asking) < QUESTIONS:
            task = self._asking[key] = self._tasks.start(self._look_up(key))
        # Half of what is left: a name server that is silent about NAPTR must not use up the time for the addresses, which come
        # last. The question itself goes on, so that the next call finds its answer.
        left = end - self._loop.time()
        if question.kind in ("NAPTR", "SRV"):
            left /= 2
        if task is not None and left > 0:
            await asyncio.wait((task,), timeout=left)
        entry = self._cache.get(key)
        return entry.records if entry is not None and entry.stale_until > self._loop.time() else ()

    async def _look_up(self, key: _Key) -> None:
        """Put an answer into the cache, a negative one too. Everybody who wants it waits for this one task."""
        try:
            self._remember(key, await self._ask_servers(*key))
        except (dns.exception.DNSException, OSError, UnicodeError):
            self._remember(key, self._outdated(key))
        finally:
            del self._asking[key]

    async def _ask_servers(self, place: Place, question: Question) -> _Entry:
        # Only hosts are completed (resolv.conf(5): search): in a service name it would mean another domain's service.
        search = question.kind in ("A", "AAAA") and bool(place.search)
        name = dns.name.from_text(question.name, None if search else dns.name.root)
        now = self._loop.time()
        try:
            answer = await self._client(place).resolve(name, question.kind, raise_on_no_answer=False, lifetime=self._budget, search=search)
        except dns.resolver.NXDOMAIN as error:
            return entry_of((), min(map(negative_ttl, error.kwargs["responses"].values())), now)
        if answer.rrset is None:
            return entry_of((), negative_ttl(answer.response), now)
        records = [record_of(question.kind, rdata) for rdata in itertools.islice(answer.rrset, RECORDS)]
        ttl = min(answer.chaining_result.minimum_ttl, MAX_TTL)
        return entry_of(tuple(each for each in records if each is not None), ttl, now)

    def _outdated(self, key: _Key) -> _Entry:
        """Nobody answers: what was known before, for a short while, then we ask again."""
        known = self._cache.get(key)
        recheck = self._loop.time() + RECHECK
        if known is None or known.stale_until <= self._loop.time():
            return _Entry((), recheck, recheck)
        return _Entry(known.records, min(recheck, known.stale_until), known.stale_until)

    def _remember(self, key: _Key, entry: _Entry) -> None:
        self._cache.pop(key, None)
        if len(self._cache) >= CACHED:
            del self._cache[next(iter(self._cache))]  # the one that was asked longest ago
        self._cache[key] = entry

    def _client(self, place: Place) -> dns.asyncresolver.Resolver:
        client = self._clients.get(place)
        if client is None:
            client = self._clients[place] = dns.asyncresolver.Resolver(configure=False)
            client.nameservers = [dns.nameserver.Do53Nameserver(address, self._port) for address in place.servers]
            client.search = [dns.name.from_text(suffix) for suffix in place.search]
            client.timeout = ONE_SERVER
            client.cache = None
        return client


class HostsFile:
    """hosts(5). A name that stands there is known from there alone, without NAPTR and SRV: whoever wrote it down meant this address."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None  # when it was written, and its size
        self._addresses: dict[str, list[str]] = {}

    def lookup(self, question: Question) -> tuple[Record, ...] | None:
        """None: it says nothing of that name."""
        self._reread()
        host = question.name
        while host.startswith("_"):
            host = host.partition(".")[2]
        found = self._addresses.get(host)
        if found is None:
            return None
        return tuple(address for address in found if question.kind == ("AAAA" if ":" in address else "A"))

    def _reread(self) -> None:
        try:
            status = os.stat(self._path)
            read = status.st_mtime_ns, status.st_size
            if read == self._read:
                return
            self._read = read
            with self._path.open(encoding="utf-8", errors="replace") as file:
                text = file.read(HOSTS_FILE_SIZE)
        except OSError:
            self._read, text = None, ""
        self._addresses = {}
        for line in text.splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            if is_address(address):
                for name in names:
                    self._addresses.setdefault(name.lower().removesuffix("."), []).append(address)


def system_place(path: Path) -> Place:
    """The system's name servers (resolv.conf(5))."""
    try:
        system = dns.asyncresolver.Resolver(str(path))
    except (dns.exception.DNSException, OSError):
        return Place(("127.0.0.1",))
    return Place(tuple(map(str, system.nameservers)), tuple(suffix.to_text() for suffix in system.search))


def entry_of(records: tuple[Record, ...], ttl: float, now: float) -> _Entry:
    fresh_until = now + max(ttl, MIN_TTL)
    return _Entry(records, fresh_until, fresh_until + MAX_STALE)


def negative_ttl(response: dns.message.QueryMessage) -> float:
    """Of "no such name" and "no such record": as its SOA says (RFC 2308 s5), else not at all."""
    if not any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority):
        return 0.0
    return min(response.resolve_chaining().minimum_ttl, MAX_NEGATIVE_TTL)


def record_of(kind: Kind, rdata: dns.rdata.Rdata) -> Record | None:
    """None: of another kind than was asked for."""
    match rdata:
        case A() if kind == "A":
            return str(rdata.address)
        case AAAA() if kind == "AAAA":
            return str(rdata.address)
        case SRV() if kind == "SRV":
            return Srv(rdata.priority, rdata.weight, rdata.port, _text(rdata.target))
        case NAPTR() if kind == "NAPTR":
            flags, service, regexp = (text.decode("ascii", "replace") for text in (rdata.flags, rdata.service, rdata.regexp))
            return Naptr(rdata.order, rdata.preference, flags, service, regexp, _text(rdata.replacement))
    return None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
