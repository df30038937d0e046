"""The kernel's packet filter does what the shield has decided: `nft -j -f -`, in a table of our own, never anywhere else.

The one part of the shield that does something. What is to be done is gathered for a moment and done in one go, beside the calls;
whatever goes wrong is said once, and then the shield does without.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from sbc.shield import ruleset
from sbc.shield.rules import ShieldRules
from sbc.shield.ruleset import Command, Door

GATHER = 0.1  # seconds from the first thing to be done to the run that does it: a run costs 5 ms of a core, beside us
LOOK = 2.0  # seconds between looks at the counters, while somebody is banned
PATIENCE = 5.0  # seconds that a run may take
MOST = 2_000  # sources in one run; more wait for the next
WAITING = ruleset.SIZE  # sources: more do not fit into a set of the kernel, and we drop the packets of the others ourselves

Start = Callable[[Coroutine[Any, Any, None]], object]  # with an owner


class Unavailable(Exception):
    """The text is for people."""


class Kernel:
    """`table` is its name; `start` runs a coroutine for as long as we live; `say` is told once how it is: "" is well."""

    def __init__(self, table: str, start: Start, say: Callable[[str], None]) -> None:
        self._table = table
        self._start = start
        self._say = say
        self._table_wanted: Sequence[Command] = ()  # to be done before all that waits
        self._waiting: dict[tuple[str, str], float | None] = {}  # set and source: until when, in the time of the loop; None: no more
        self._said: str | None = None
        self._dropped: dict[str, int] = {}
        self._looks_until = 0.0
        self._running = False
        self._looking = False
        self._lock = asyncio.Lock()
        self._works = False

    @property
    def works(self) -> bool:
        return self._works

    def apply(self, doors: Sequence[Door], rules: ShieldRules) -> None:
        """The table anew, without a ban in it; or none at all."""
        self._waiting.clear()
        wanted = rules.kernel and rules.bans == "on"
        if wanted or self._works:
            self._works = wanted
            self._table_wanted = ruleset.ruleset(self._table, doors, rules) if wanted else ruleset.removal(self._table)
            self._begin()

    def ban(self, source: str, seconds: float) -> None:
        self._want(ruleset.banned(source), source, seconds)
        loop = asyncio.get_running_loop()
        self._looks_until = max(self._looks_until, loop.time() + seconds + LOOK)
        if not self._looking and self._works:
            self._looking = True
            self._start(self._look())

    def unban(self, source: str) -> None:
        self._want(ruleset.banned(source), source, None)
        self._dropped.pop(source, None)

    def know(self, source: str) -> None:
        self._want(ruleset.known(source), source, ruleset.KNOWN_FOR)

    def dropped(self) -> Mapping[str, int] | None:
        """Packets of each banned source, as of the last look; None: it is not the kernel that drops them."""
        return self._dropped if self._works else None

    async def close(self) -> None:
        """Nothing of ours is left."""
        self._forget()
        if self._works:
            self._works = False
            try:
                await self._run(ruleset.removal(self._table), {})
            except Unavailable as error:
                self._say(str(error))

    def _want(self, name: str, source: str, seconds: float | None) -> None:
        """What is wanted last of a source is what will be; it waits where it first was in the line."""
        key = (name, source)
        if self._works and (seconds is None or key in self._waiting or len(self._waiting) < WAITING):
            self._waiting[key] = None if seconds is None else asyncio.get_running_loop().time() + seconds
            self._begin()

    def _begin(self) -> None:
        if not self._running:
            self._running = True
            self._start(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            while self._table_wanted or self._waiting:
                await asyncio.sleep(GATHER)
                table, self._table_wanted = self._table_wanted, ()
                wanted = {key: self._waiting.pop(key) for key in list(islice(self._waiting, MOST))}
                try:
                    await self._run(table, wanted)
                except Unavailable as error:
                    await self._fail(str(error))
                else:
                    self._tell("")
        finally:
            self._running = False

    async def _look(self) -> None:
        """What was dropped, until nobody is banned any more."""
        loop = asyncio.get_running_loop()
        try:
            while self._works and loop.time() < self._looks_until:
                await asyncio.sleep(LOOK)
                found: dict[str, int] = {}
                for name in ("banned4", "banned6"):
                    found |= ruleset.counted(json.loads(await self._nft("list", "set", "inet", self._table, name)))
                self._dropped = found
        except (Unavailable, ValueError) as error:
            await self._fail(str(error))
        finally:
            self._looking = False

    async def _run(self, table: Sequence[Command], wanted: Mapping[tuple[str, str], float | None]) -> None:
        if table or wanted:
            now = asyncio.get_running_loop().time()
            left = {key: until - now if until is not None else 0.0 for key, until in wanted.items()}
            await self._nft("-f", "-", text=lambda: json.dumps({"nftables": [*table, *ruleset.keeping(self._table, left)]}))

    async def _nft(self, *arguments: str, text: Callable[[], str] = str) -> bytes:
        """What it printed. Raises Unavailable."""
        async with self._lock:
            return await asyncio.get_running_loop().run_in_executor(None, _run_nft, arguments, text)

    async def _fail(self, why: str) -> None:
        """Bans go on, and we drop the packets ourselves: the table, as it is, would drop whoever is forgiven or known by now."""
        self._works = False
        self._forget()
        self._tell(why)
        with suppress(Unavailable):
            await self._run(ruleset.removal(self._table), {})

    def _forget(self) -> None:
        self._table_wanted = ()
        self._waiting.clear()

    def _tell(self, how: str) -> None:
        if how != self._said:
            self._said = how
            self._say(how)


def _run_nft(arguments: Sequence[str], text: Callable[[], str]) -> bytes:
    """Beside the loop, and not by its own means: nft opens what it reads by name, which the sockets of uvloop do not have."""
    try:
        done = subprocess.run(["nft", "-j", *arguments], input=text().encode(), capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603, S607
    except OSError as error:
        raise Unavailable(f"nft: {error.strerror}; install nftables") from None
    except subprocess.TimeoutExpired:
        raise Unavailable("nft did not come to an end") from None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise Unavailable(f"nft: {why}" + ("; give us CAP_NET_ADMIN" if "permitted" in why else ""))
    return done.stdout
