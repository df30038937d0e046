"""`sbc replay`: a recording from its file, run again and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from sbc import __version__
from sbc.errors import ConfigError
from sbc.policy.load import load_policy
from sbc.recording.ladder import Shown, described, ladder, printable
from sbc.recording.plain import Unreadable
from sbc.recording.recording import Recording, decode, policy_name
from sbc.recording.replay import Difference, Played, first_difference, play, play_under

LARGEST_FILE = 64 * 1024 * 1024  # far more than a tape can become: what is greater is something else


def main(file: Path, shown: Shown, policy: Path | None) -> int:
    """The exit status: 0 when every effect is the same. Raises ConfigError for what cannot be read."""
    recording = read(file)
    if policy is not None:
        return _under(recording, shown, policy)
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


def read(file: Path) -> Recording:
    """Its policies lie beside it. Raises ConfigError."""
    data = _content(file)
    try:
        return decode(data, lambda digest: _content(file.parent / policy_name(digest)))
    except Unreadable as error:
        raise Unreadable(f"{file}: {error}") from error


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{file}: too large for a recording")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error


def _under(recording: Recording, shown: Shown, policy: Path) -> int:
    snapshot = load_policy(policy).snapshot
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
