"""What registered phones cost: CPU and memory of each, and what happens when all come at once after a restart.

    python -m tests.bench.registrations --users 10000                # UDP, offices of 50 phones behind one address
    python -m tests.bench.registrations --users 5000 --tls           # each on a connection of its own

Three parts: everybody registers once, evenly in half a minute; everybody refreshes each minute; the SBC is restarted and everybody
registers at the same moment, while calls go on through it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench import messages
from tests.bench.generator import LoadResult, LoadSpec, run_load
from tests.bench.messages import Login
from tests.bench.subject import CALLEE, CALLER, OUTSIDE, TLS_PORT, UDP_PORT, Subject, policy_with_users, subject
from tests.bench.uac import T1, T2

REFRESH_S = 60
BEGIN_S = 30.0  # in which everybody registers first
OFFICE = 50  # phones behind one address, over UDP
PATIENCE_S = 32.0  # 64*T1 (RFC 3261 s17.1.2)
PAUSES_S = (0.5, 4.0)  # before a phone tries again, at random between: a connection refused because too many came at once
# What phones say of themselves: over UDP nobody unknown gets an answer longer than the question
_ABILITIES = (
    "User-Agent: A telephone of the bench 1.0\r\nSupported: path, replaces, norefersub\r\n"
    "Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n"
)
CALLS_PER_S, CALL_S = 10.0, 5.0


class Office(asyncio.DatagramProtocol):
    """One address with UDP phones behind it."""

    def __init__(self) -> None:
        self._answers: dict[bytes, asyncio.Future[bytes]] = {}
        self.address = ("", 0)
        self.repeated = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answers.get(messages.field(data, b"CSeq") + messages.field(data, b"Call-ID"))
        if answer and not answer.done() and not data.startswith(b"SIP/2.0 1"):
            answer.set_result(data)

    async def ask(self, request: bytes) -> bytes:
        """The final answer. TimeoutError."""
        key = messages.field(request, b"CSeq") + messages.field(request, b"Call-ID")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[key] = answer
        try:
            end, pause = time.monotonic() + PATIENCE_S, T1
            while time.monotonic() < end:
                self._transport.sendto(request)
                done, _ = await asyncio.wait((answer,), timeout=pause)
                if done:
                    return answer.result()
                self.repeated += 1
                pause = min(2 * pause, T2)
            raise TimeoutError
        finally:
            del self._answers[key]

    def close(self) -> None:
        self._transport.close()


class Line:
    """One TLS phone's connection."""

    repeated = 0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.address = writer.get_extra_info("sockname")[:2]

    async def ask(self, request: bytes) -> bytes:
        """The final answer. TimeoutError, OSError."""
        self._writer.write(request)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    head = await self._reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError as gone:
                    raise ConnectionResetError from gone
                if not head.startswith(b"SIP/2.0 1"):
                    return head

    def close(self) -> None:
        self._writer.close()


Way = Office | Line


@dataclass
class Phone:
    name: str
    way: Way | None
    login: Login
    cseq: int = 0

    def register(self, seconds: int) -> bytes:
        assert self.way is not None
        self.cseq += 1
        transport = "UDP" if isinstance(self.way, Office) else "TLS"
        host, port = self.way.address
        return (
            (
                f"REGISTER sip:{OUTSIDE} SIP/2.0\r\nVia: SIP/2.0/{transport} {host}:{port};rport;branch=z9hG4bK{self.name}.{self.cseq}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{self.name}@{OUTSIDE}>;tag=t{self.name}\r\nTo: <sip:{self.name}@{OUTSIDE}>\r\n"
                f"Call-ID: {self.name}@{host}\r\nCSeq: {self.cseq} REGISTER\r\n"
                f"Contact: <sip:{self.name}@{host}:{port};transport={transport.lower()}>\r\nExpires: {seconds}\r\n{_ABILITIES}"
            ).encode()
            + self.login.row("REGISTER", f"sip:{OUTSIDE}".encode())
            + b"Content-Length: 0\r\n\r\n"
        )

    async def refresh(self) -> None:
        """RuntimeError: refused. TimeoutError, OSError."""
        assert self.way is not None
        for _ in range(3):
            answer = await self.way.ask(self.register(2 * REFRESH_S))
            if answer.startswith(b"SIP/2.0 200"):
                return
            if not answer.startswith(b"SIP/2.0 401"):
                break
            self.login.learn(answer)
        raise RuntimeError(answer.split(b"\r\n")[0].decode())


class Phones:
    """All of them, and how they reach the SBC."""

    def __init__(self, count: int, password: str, context: ssl.SSLContext | None) -> None:
        self.all = [Phone(user(each), None, Login(user(each), password)) for each in range(count)]
        self._context = context
        self.failures: dict[str, int] = {}

    async def connect_offices(self) -> None:
        loop = asyncio.get_running_loop()
        for number, office in enumerate(_batched(self.all, OFFICE)):
            address = (f"127.64.{number // 250}.{number % 250 + 1}", 0)
            _, way = await loop.create_datagram_endpoint(Office, local_addr=address, remote_addr=(OUTSIDE, UDP_PORT))
            for phone in office:
                phone.way = way

    async def connect(self, number: int) -> None:
        """A TLS phone from an address of its own. OSError, TimeoutError."""
        address = f"127.{65 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(
                OUTSIDE, TLS_PORT, ssl=self._context, server_hostname=OUTSIDE, local_addr=(address, 0)
            )
        self.all[number].way = Line(reader, writer)

    async def come(self, number: int) -> None:
        """Registers, whatever it takes."""
        phone = self.all[number]
        while True:
            try:
                if self._context and phone.way is None:
                    await self.connect(number)
                await phone.refresh()
                return
            except (OSError, TimeoutError, RuntimeError) as failure:
                self._note(failure)
                if self._context and phone.way is not None:
                    phone.way.close()
                    phone.way = None
                await asyncio.sleep(random.uniform(*PAUSES_S))

    def _note(self, failure: Exception) -> None:
        name = str(failure) if isinstance(failure, RuntimeError) else type(failure).__name__
        self.failures[name] = self.failures.get(name, 0) + 1

    def repeated(self) -> int:
        return sum(way.repeated for way in {id(phone.way): phone.way for phone in self.all}.values() if way is not None)

    async def evenly(self, seconds: float, action: Callable[[int], Awaitable[None]]) -> None:
        """The action for each of them, begun evenly over the time."""

        async def later(number: int) -> None:
            await asyncio.sleep(number * seconds / len(self.all))
            await action(number)

        await asyncio.gather(*(later(number) for number in range(len(self.all))))

    def lose(self) -> None:
        for phone in self.all:
            if isinstance(phone.way, Line):
                phone.way.close()
                phone.way = None


def user(number: int) -> str:
    return f"p{number:05}"


def _batched(phones: list[Phone], size: int) -> list[list[Phone]]:
    return [phones[start : start + size] for start in range(0, len(phones), size)]


def _calls(seconds: float) -> LoadResult:
    return run_load(LoadSpec(CALLS_PER_S, seconds, (OUTSIDE, UDP_PORT), (CALLER, UDP_PORT), (CALLEE, UDP_PORT), hold=CALL_S))


async def _steady(phones: Phones, under_test: Subject, minutes: int) -> None:
    empty = under_test.usage()
    await phones.evenly(BEGIN_S, phones.come)
    full = under_test.usage()
    each_kib = 1024 * (full.memory - empty.memory) / len(phones.all)
    print(
        f"registered: {len(phones.all)} in {BEGIN_S:.0f} s, {1000 * (full.cpu - empty.cpu) / len(phones.all):.2f} ms of CPU each",
        flush=True,
    )
    print(f"resident: {full.memory:.0f} MiB, {each_kib:.1f} KiB a phone", flush=True)
    for minute in range(minutes):
        before, begun, repeated = under_test.usage(), time.monotonic(), phones.repeated()
        await phones.evenly(REFRESH_S, phones.come)
        after, elapsed = under_test.usage(), time.monotonic() - begun
        cpu = after.cpu - before.cpu
        print(
            f"minute {minute + 1} of refreshes: {1000 * cpu / len(phones.all):.2f} ms of CPU each, {100 * cpu / elapsed:.0f} % of a core, "
            f"{phones.repeated() - repeated} repeated, resident {after.memory:.0f} MiB, failures {phones.failures or 'none'}",
            flush=True,
        )


async def _storm(phones: Phones, under_test: Subject) -> bool:
    """Everybody at once, with calls in progress."""
    calls = asyncio.ensure_future(asyncio.to_thread(_calls, 45.0))
    await asyncio.sleep(5)
    phones.failures.clear()
    before, begun, repeated = under_test.usage(), time.monotonic(), phones.repeated()
    done: list[float] = []

    async def come(number: int) -> None:
        await phones.come(number)
        done.append(time.monotonic() - begun)

    await asyncio.gather(*(come(number) for number in range(len(phones.all))))
    after, result = under_test.usage(), await calls
    done.sort()
    print(
        f"storm: half after {done[len(done) // 2]:.1f} s, the last after {done[-1]:.1f} s, "
        f"{1000 * (after.cpu - before.cpu) / len(done):.2f} ms of CPU each (calls included), {phones.repeated() - repeated} repeated, "
        f"failures {phones.failures or 'none'}"
    )
    print(
        f"calls meanwhile: {result.completed} of {result.offered} completed, {result.failed or 'none failed'}, "
        f"set-up p50 {result.setup_p50_ms:.0f} ms, p99 {result.setup_p99_ms:.0f} ms, max {result.setup_max_ms:.0f} ms",
        flush=True,
    )
    return done[-1] < 60 and not result.failures


async def _run(options: argparse.Namespace, folder: Path) -> bool:
    policy = policy_with_users([user(each) for each in range(options.users)])
    begun = time.monotonic()
    with subject(folder, policy=policy) as first:
        print(f"started with {options.users} users in the policy after {time.monotonic() - begun:.1f} s", flush=True)
        context = None
        if options.tls:
            context = ssl.create_default_context(cafile=first.ca)
        phones = Phones(options.users, first.password, context)
        if not options.tls:
            await phones.connect_offices()
        await _steady(phones, first, options.minutes)
    phones.lose()
    begun = time.monotonic()
    with subject(folder, policy=policy) as second:
        print(f"restarted after {time.monotonic() - begun:.1f} s", flush=True)
        return await _storm(phones, second)


def main() -> int:
    parser = argparse.ArgumentParser(description="what registered phones cost")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=2, help="of refreshes")
    parser.add_argument("--tls", action="store_true", help="each on a connection of its own")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        good = uvloop.run(_run(options, Path(folder) / "sbc"))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
