"""Policies that change while calls run: applied, undone, confirmed, one after the other.

Whatever can fail is done before anything changes, the version written down included; then one policy takes the place of the
other within one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, assert_never

from sbc.admin.commands import Apply, Command, Confirm, PolicyAsked, Undo, VersionsAsked
from sbc.admin.wire import LONGEST_ANSWER
from sbc.call.record import timestamp
from sbc.clock import Now
from sbc.errors import ConfigError
from sbc.explain.testing import examine
from sbc.inputs import PolicyChanged
from sbc.log import EventLog
from sbc.net.ports import CoreLike
from sbc.policy.contents import Contents, contents_of, seal
from sbc.policy.load import Loaded, certs_of, read_policy
from sbc.policy.text import Text, is_there, read_text
from sbc.probation import CallTally, Probation
from sbc.provision import Material, Provision
from sbc.store.versions import Version, Versions, put_back
from sbc.views import CallsAsked, CallsView, RegistrationsAsked, RegistrationsView

LOOK = 5.0  # seconds between looks at how a policy does that is not confirmed
MOST_FILES = 20_000  # that are told one by one: 1 MB
NAMED = 5  # files in one line of the log
NEWEST = 500  # calls in progress that are looked at then

T = TypeVar("T")
Told = dict[str, Any]


@dataclass(slots=True)
class Running:
    """The policy that counts; since when and by whom, also where it had counted before."""

    text: Text
    version: Version
    contents: Contents


@dataclass(slots=True)
class Unconfirmed:
    """`previous`: what to go back to. `watch`: the task that does."""

    previous: Version
    watch: asyncio.Task[None]


class Changes:
    """`receive` gives an input to the core, `start` runs a coroutine for as long as we live, `reopen` takes the record file anew.

    `applied` is called whenever a policy has come to count. `key`: random octets, to seal digests of secrets with.
    """

    def __init__(
        self,
        versions: Versions,
        provision: Provision,
        core: CoreLike,
        receive: Callable[[PolicyChanged], None],
        log: EventLog,
        now: Callable[[], Now],
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        reopen: Callable[[], None],
        tally: CallTally,
        applied: Callable[[], object],
        key: bytes,
    ) -> None:
        self._versions = versions
        self._provision = provision
        self._core = core
        self._receive = receive
        self._log = log
        self._now = now
        self._start = start
        self._reopen = reopen
        self._tally = tally
        self._applied = applied
        self._busy = asyncio.Lock()
        self._clearing: asyncio.Task[None] | None = None
        self._unconfirmed: Unconfirmed | None = None
        self._key = key
        self._awaited: Contents | None = None  # of a saved policy that was rejected: perhaps it only lacks a file
        self._running: Running

    def begin(self, loaded: Loaded) -> None:
        """The first policy, which counts already. Raises ConfigError."""
        digest = loaded.snapshot.digest
        known = self._versions.of(digest)
        if known is None:
            newest = next(iter(self._versions.all()), None)
            known = self._versions.add(digest, loaded.text.files, self._now().wall, "start", newest.number if newest is not None else 0)
            self._versions.drop_oldest(known.number)
        self._running = Running(loaded.text, known, loaded.contents)

    async def reload(self, by: str) -> None:
        """Apply what is saved, for whoever only reads the log. What is wrong is one line there, and nothing else."""
        try:
            self._reopen()
            await self._act(Apply(), by)
        except ConfigError as error:
            self._tell_rejected(error, by)

    async def saved(self) -> None:
        """Somebody has written in the policy folder, or in what the policy refers to. An undo does so, too."""
        running = self._running
        if not await _in_thread(partial(_is_as_it_was, running)):
            await self.reload("watch")
            self._awaited = await _in_thread(partial(_referred, running.text.folder)) if self._running is running else None

    def referred(self) -> Iterator[Path]:
        """Files that matter beside those of the policy."""
        yield from self._running.contents.places()
        if self._awaited is not None:
            yield from self._awaited.places()

    async def act(self, command: Command, by: str) -> Told:
        """The answer. Raises ConfigError, and then nothing has changed."""
        try:
            return await self._act(command, by)
        except ConfigError as error:
            if isinstance(command, (Apply, Undo)):
                self._tell_rejected(error, by)
            raise

    async def _act(self, command: Command, by: str) -> Told:
        match command:
            case PolicyAsked():
                return self._policy()
            case VersionsAsked():
                running = self._running.version.number
                return {"versions": [asdict(each) | {"running": each.number == running} for each in self._versions.all()]}
            case Apply():
                async with self._busy:
                    return await self._apply(command, by)
            case Undo():
                async with self._busy:
                    return await self._undo(command, by)
            case Confirm():
                async with self._busy:
                    return self._confirm(by)
            case _:
                assert_never(command)

    # Applying

    async def _apply(self, wanted: Apply, by: str) -> Told:
        self._check_running(wanted.running, wanted.running_seal)
        before = self._running.version
        folder = self._running.text.folder
        text = await _in_thread(partial(read_text, folder))
        material = await _in_thread(partial(self._provision.read, text))
        digest = material.snapshot.digest
        if wanted.saved not in ("", digest):
            raise ConfigError(f"{folder} was changed after it was compared: it is {digest} now, not {wanted.saved}; compare again")
        if wanted.saved_seal not in ("", self._sealed(material.loaded.contents)):
            raise ConfigError(f"what {folder} refers to, secrets or certificates, was changed after it was compared: compare again")
        if digest != before.digest and self._unconfirmed is not None:
            raise ConfigError(f"{before.digest} is not confirmed yet: `sbc confirm` or `sbc undo` first")
        if digest == before.digest:
            if wanted.confirm:
                raise ConfigError("nothing has changed that could be confirmed: what is in secrets and certificates cannot be taken back")
            self._swap(material, before, by)
        else:
            await _in_thread(partial(_test, text, material))
            await self._take_new(material, by, wanted)
        if wanted.confirm:
            self._put_on_probation(wanted, before)
        return {"running": digest, "was": before.digest, "number": self._running.version.number, "warnings": _warnings(material)}

    async def _take_new(self, material: Material, by: str, wanted: Apply) -> None:
        """Write the version down, and what to go back to if it has to be confirmed, then let it count. Raises ConfigError."""
        add = partial(self._versions.add, material.snapshot.digest, material.loaded.text.files, self._now().wall, by)
        version = await _in_thread(partial(add, self._running.version.number))
        try:
            if wanted.confirm:
                self._versions.expect(version.previous)
            self._swap(material, version, by)
        except ConfigError:
            if wanted.confirm:
                self._versions.settle()
            self._versions.remove(version)
            raise
        if not wanted.confirm:  # what could not be taken back in time is over
            self._versions.settle()
        await _in_thread(partial(self._versions.drop_oldest, version.number))

    def _swap(self, material: Material, version: Version, by: str) -> None:
        """From one policy to the other, as `by` wants it. Raises ConfigError."""
        provided = self._provision.prepare(material)
        self._provision.commit(provided)
        self._receive(PolicyChanged(material.snapshot))
        was, self._running = self._running, Running(material.loaded.text, version, material.loaded.contents)
        facts: Told = {"digest": version.digest, "was": was.version.digest, "version": version.number, "by": by}
        if others := was.contents.others_in(material.loaded.contents):
            facts["contents"] = ", ".join(others[:NAMED]) + (f" and {len(others) - NAMED} more" if len(others) > NAMED else "")
        self._log.event("info", "policy_changed", facts)
        self._applied()
        if self._clearing is None or self._clearing.done():
            self._clearing = self._start(self._provision.clear(self._core))

    # Going back

    async def _undo(self, wanted: Undo, by: str) -> Told:
        self._check_running(wanted.running)
        before = self._running
        number = wanted.to or (self._unconfirmed.previous.number if self._unconfirmed else before.version.previous)
        version = self._versions.find(number)
        if version is None or version.number == before.version.number:
            what = f"there is no version {number}" if wanted.to and version is None else "there is nothing to go back to"
            raise ConfigError(f"{what}; `sbc versions` shows what is kept")
        text = Text(before.text.folder, await _in_thread(partial(self._versions.files, version)))
        material = await _in_thread(partial(self._provision.read, text))
        # Profiles and lists that it refers to may be others by now; and it counts again since now, because of who takes it back.
        version = replace(version, digest=material.snapshot.digest, since=self._now().wall, by=by)
        self._swap(material, version, by)
        self._settle()
        note = await _in_thread(partial(_put_back, before.text, text))
        self._log.event("warning", "policy_undone", {"digest": version.digest, "was": before.version.digest, "by": by, "folder": note})
        warnings = _warnings(material)
        return {"running": version.digest, "was": before.version.digest, "number": version.number, "warnings": warnings, "folder": note}

    # Confirming

    def _confirm(self, by: str) -> Told:
        if self._unconfirmed is None:
            raise ConfigError("there is nothing to confirm: it was confirmed, undone, or applied without --confirm")
        self._settle()
        self._log.event("info", "policy_confirmed", {"digest": self._running.version.digest, "by": by})
        return {"running": self._running.version.digest}

    def _settle(self) -> None:
        if self._unconfirmed is not None:
            self._unconfirmed.watch.cancel()
            self._unconfirmed = None
        self._versions.settle()

    def _put_on_probation(self, wanted: Apply, before: Version) -> None:
        probation = Probation(self._registered(), self._tally.share(), wanted.registrations, wanted.answers)
        self._unconfirmed = Unconfirmed(before, self._start(self._watch(probation, wanted.confirm)))

    async def _watch(self, probation: Probation, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        since, end = self._now().wall, loop.time() + seconds
        why = ""
        while not why and loop.time() < end:
            await asyncio.sleep(min(LOOK, end - loop.time()))
            why = probation.complaint(self._registered(), *self._calls_since(since))
        await self._take_back(why or "not confirmed in time")

    async def _take_back(self, why: str) -> None:
        """When nobody else changes anything: who confirms or undoes until then has been in time, and ends this task."""
        async with self._busy:
            unconfirmed, self._unconfirmed = self._unconfirmed, None  # or its end would end this task
            assert unconfirmed is not None
            try:
                await self._undo(Undo(to=unconfirmed.previous.number), why)
            except ConfigError as error:
                self._tell_rejected(error, why)

    def _registered(self) -> int:
        """Contacts with us, and ours at carriers."""
        found = self._core.ask(RegistrationsAsked(NEWEST), self._now())
        return found.total + sum(each.state == "registered" for each in found.out) if isinstance(found, RegistrationsView) else 0

    def _calls_since(self, wall: float) -> tuple[int, int]:
        """Attempts that began since, as far as it is known what came of them, and those of them that were answered."""
        attempts, answered = self._tally.since(wall)
        found = self._core.ask(CallsAsked(NEWEST), self._now())
        calls = found.calls if isinstance(found, CallsView) else ()
        talking = sum(call.began >= wall and call.answered is not None for call in calls)
        return attempts + talking, answered + talking

    # What there is

    def _policy(self) -> Told:
        text, version = self._running.text, self._running.version
        files = {name: data.decode(errors="replace") for name, data in text.files.items()}
        if sum(map(len, files.values())) > LONGEST_ANSWER // 2:
            raise ConfigError("the running policy is too long to be told; its files are among the versions, beside the call records")
        told = {"folder": str(text.folder.absolute()), "files": files, "confirmed": self._unconfirmed is None}
        sealed = self._running.contents.sealed(self._key)
        contents = {"key": self._key.hex(), "seal": seal(sealed), "contents": sealed if len(sealed) <= MOST_FILES else None}
        return asdict(version) | told | contents

    def _sealed(self, contents: Contents) -> str:
        return seal(contents.sealed(self._key))

    def _check_running(self, expected: str, contents: str = "") -> None:
        version = self._running.version
        if expected not in ("", version.digest):
            since = timestamp(version.since)
            raise ConfigError(f"the running policy is {version.digest}, by {version.by} since {since}, not {expected}: compare again")
        if contents not in ("", self._sealed(self._running.contents)):
            raise ConfigError("secrets or certificates have been read anew meanwhile: compare again")

    def _tell_rejected(self, error: ConfigError, by: str) -> None:
        first, *more = str(error).splitlines() or [""]
        self._log.event("error", "policy_rejected", {"problem": first, **({"more": len(more)} if more else {}), "by": by})


def _is_as_it_was(running: Running) -> bool:
    """Nothing was saved that is not in force already."""
    return is_there(running.text.folder, running.text.files) and running.contents.anew() == running.contents


def _referred(folder: Path) -> Contents | None:
    """What the saved policy refers to, as far as it can be read."""
    with suppress(ConfigError):
        _, policy = read_policy(read_text(folder))
        return contents_of(policy, folder, certs_of(folder))
    return None


def restored(versions: Versions, folder: Path, log: EventLog) -> Text | None:
    """What to start with instead of the folder: the policy before one that nobody had confirmed when the process ended."""
    previous = versions.unconfirmed()
    if previous is None:
        return None
    newest = versions.all()[0]
    text = Text(folder, versions.files(previous))
    note = _put_back(Text(folder, versions.files(newest)), text)
    versions.settle()
    facts = {"digest": previous.digest, "was": newest.digest, "by": "not confirmed when the process ended", "folder": note}
    log.event("warning", "policy_undone", facts)
    return text


def _test(text: Text, material: Material) -> None:
    """The policy's own tests. Raises ConfigError when one of them fails."""
    examined = examine(text.folder, material.loaded)
    if examined.failures:
        failures = "\n".join(map(str, examined.failures))
        raise ConfigError(f"{len(examined.failures)} of what the policy's tests expect is not so: `sbc test`\n{failures}")


def _put_back(was: Text, text: Text) -> str:
    """The folder becomes what counts, unless somebody has edited it since: what became of it."""
    if not is_there(was.folder, was.files):
        return "was edited since, and is as it was: the next apply or start takes it"
    try:
        put_back(text.folder, text.files)
    except OSError as error:
        return f"cannot be written ({error.strerror}): the next apply or start takes what was undone"
    return "is as it was then"


def _warnings(material: Material) -> list[str]:
    return [str(warning) for warning in material.loaded.warnings]


async def _in_thread(work: Callable[[], T]) -> T:
    """A policy of 10,000 numbers takes a second to read; calls go on meanwhile."""
    result: Awaitable[T] = asyncio.get_running_loop().run_in_executor(None, work)
    return await result
