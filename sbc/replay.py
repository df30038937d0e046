"""`sbc replay`: a recording from its file, run again and compared."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from sbc import __version__
from sbc.errors import ConfigError
from sbc.inputs import PolicyChanged
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot
from sbc.recording.files import SUFFIX, policy_name, unbundled
from sbc.recording.ladder import Shown, described, ladder, printable
from sbc.recording.reading import Unreadable
from sbc.recording.recording import Recording, decode
from sbc.recording.replay import Difference, Played, first_difference, play, play_under

LARGEST_FILE = 64 * 1024 * 1024  # far more than a tape can become: what is greater is something else


def main(file: Path, shown: Shown, policy: Path | None, call: str = "", save: Path | None = None) -> int:
    """The exit status: 0 when every effect is the same. Raises ConfigError for what cannot be read.

    file  of one call or of several, or a folder of them
    call  only that one; else all
    save  only write it there, alone, with its policies beside it
    """
    found = [one for one in _found(file, call) if call in ("", one.call)]
    if not found:
        raise ConfigError(f"{file}: no recording of the call {call}" if call else f"{file}: no recordings")
    if save is not None:
        return _save(found, save)
    snapshot = None if policy is None else load_policy(policy).snapshot
    return max([_replay(one, shown) if snapshot is None else _under(one, shown, policy, snapshot) for one in found])


def read(file: Path) -> Recording:
    """Of the only call in it. Its policies lie beside it. Raises ConfigError."""
    (found,) = _calls_in(file)
    return found.decoded()


@dataclass(frozen=True, slots=True)
class _Found:
    """A recording, and the file it is in."""

    file: Path
    call: str
    data: bytes

    def decoded(self) -> Recording:
        try:
            return decode(self.data, self.policy)
        except Unreadable as error:
            raise Unreadable(f"{self.file}: {error}") from error

    def policy(self, digest: str) -> bytes:
        return _content(self.file.parent / policy_name(digest))


def _found(file: Path, call: str) -> Iterator[_Found]:
    if not file.is_dir():
        yield from _calls_in(file)
        return
    for each in sorted(file.glob(f"*{SUFFIX}")):
        if not call or call.encode() in _content(each):
            yield from _calls_in(each)


def _calls_in(file: Path) -> list[_Found]:
    data = _content(file)
    try:
        return [_Found(file, call, each) for call, each in unbundled(data)]
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise Unreadable(f"{file}: not a recording of this version: {error!r}") from error


def _save(found: list[_Found], target: Path) -> int:
    if len(found) > 1:
        raise ConfigError("several calls: say which one with --call")
    (one,) = found
    files = {target: one.data}
    for digest in _digests(one):
        if (beside := target.with_name(policy_name(digest))) != one.file.with_name(policy_name(digest)):
            files[beside] = one.policy(digest)
    for path, data in files.items():
        _write(path, data)
        typer.echo(f"{path} written")
    return 0


def _digests(one: _Found) -> set[str]:
    """Of the policies that call ran under."""
    recording = one.decoded()
    later = [event.happened.snapshot for event in recording.events if isinstance(event.happened, PolicyChanged)]
    return {snapshot.digest for snapshot in (recording.snapshot, *later)}


def _write(path: Path, data: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _replay(found: _Found, shown: Shown) -> int:
    recording = found.decoded()
    played = play(recording)
    difference = first_difference(played)
    _draw(played, shown)
    count = sum(len(one.event.expected) for one in played)
    if difference is None:
        cut = "; the call went on after that" if recording.cut else ""
        typer.echo(f"call {recording.call}: the same {count} effects{cut}")
        return 0
    typer.echo(f"call {recording.call}: effect {difference.number} of {count} is not the same")
    _show(difference, "recorded", "replayed")
    if recording.version != __version__:
        typer.echo(f"recorded by sbc {recording.version}, replayed by {__version__}")
    return 1


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{file}: too large for a recording")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error


def _under(found: _Found, shown: Shown, policy: Path | None, snapshot: Snapshot) -> int:
    recording = found.decoded()
    played = play_under(recording, snapshot)
    difference = first_difference(played)
    _draw(played, shown)
    if difference is None:
        typer.echo(f"call {recording.call}: {policy} makes no difference")
        return 0
    typer.echo(f"call {recording.call}: under {policy} it goes another way from effect {difference.number} on")
    _show(difference, "recorded", "then")
    return 1


def _draw(played: tuple[Played, ...], shown: Shown) -> None:
    for line in ladder(played, shown):
        typer.echo(line)


def _show(difference: Difference, before: str, after: str) -> None:
    for title, effect in ((before, difference.recorded), (after, difference.replayed)):
        typer.echo(f"{title}: {printable(described(effect)) if effect is not None else 'nothing'}")
        for line in _whole(effect):
            typer.echo(f"    {printable(line)}")
    if difference.fault:
        typer.echo(f"after that: {printable(difference.fault)}")


def _whole(effect: Any) -> list[str]:
    if effect is None:
        return []
    lines: list[str] = effect["data"].splitlines() if effect["~"] == "Send" else json.dumps(effect, indent=2).splitlines()
    return lines
