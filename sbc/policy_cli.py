"""`sbc diff`, `apply`, `undo`, `confirm`, `versions`: what an operator does to the policy of a process that runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer

from sbc.admin import commands
from sbc.admin.client import ask
from sbc.call.record import timestamp
from sbc.errors import ConfigError
from sbc.policy import values
from sbc.policy.contents import seal
from sbc.policy.diff import Change, changes, changes_of_contents
from sbc.policy.load import load_policy, read_policy
from sbc.policy.text import Text, read_text
from sbc.recording.ladder import printable

PATIENCE = 120.0  # seconds for a policy of 100,000 users to be read and its tests to run
SIGNS = {"added": "+", "removed": "-", "changed": "~", "contents": "~"}


class Compared:
    """The running policy and another one, which is good."""

    def __init__(self, socket: Path, folder: Path | None) -> None:
        """`folder`: None: the one that the process has its policy from. Raises ConfigError."""
        self.running = ask(socket, {"do": "policy"})
        self.folder = folder or Path(self.running["folder"])
        text = read_text(self.folder)
        self.loaded = load_policy(self.folder, text=text)
        files = {name: content.encode() for name, content in self.running["files"].items()}
        before, after = read_policy(Text(Path(f"{self.folder} (running)"), files)), read_policy(text)
        contents = self.loaded.contents.sealed(bytes.fromhex(self.running["key"]))
        self.seal = seal(contents)
        self.changes = (*changes(before, after), *changes_of_contents(before, after, self.running["contents"] or {}, contents))

    @property
    def digest(self) -> str:
        return self.loaded.snapshot.digest

    @property
    def runs(self) -> str:
        """The hash of the running policy, with that of what is in the files it refers to."""
        return _hash(self.running["digest"], self.running["seal"])


def diff(socket: Path, folder: Path | None, *, as_json: bool) -> None:
    compared = Compared(socket, folder)
    if as_json:
        hashes = {"running": compared.runs, "saved": _hash(compared.digest, compared.seal)}
        told = {**hashes, "changes": list(map(_plain, compared.changes))}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        _show(compared)


def apply(socket: Path, *, running: str, confirm: str, registrations: int, answers: int, yes: bool) -> None:
    seconds = _seconds(confirm) if confirm else 0.0
    compared = Compared(socket, None)
    if running not in ("", compared.running["digest"], compared.runs):
        raise ConfigError(f"the running policy is {compared.runs}, not {running}: compare again, with `sbc diff`")
    _show(compared)
    if not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("nothing was changed: here is no terminal to ask at; to apply this add --yes")
        if not typer.confirm("apply?"):
            raise ConfigError("nothing was changed")
    wanted: dict[str, object] = {"do": "apply", "running": compared.running["digest"], "saved": compared.digest, **commands.sudo()}
    wanted |= {"running_seal": compared.running["seal"], "saved_seal": compared.seal}
    if seconds:
        wanted |= {"confirm": seconds, "registrations": registrations, "answers": answers}
    done = ask(socket, wanted, PATIENCE)
    for warning in done["warnings"]:
        typer.echo(f"{warning} (warning)", err=True)
    typer.echo(f"applied: {done['running']}, version {done['number']}; before it was {done['was']}")
    if seconds:
        typer.echo(f"it is taken back in {confirm} unless you say `sbc confirm`")


def undo(socket: Path, number: int) -> None:
    done = ask(socket, {"do": "undo", "to": number, **commands.sudo()}, PATIENCE)
    typer.echo(f"undone: {done['running']} runs again, version {done['number']}; before it was {done['was']}")
    typer.echo(f"the policy folder {done['folder']}")


def confirm(socket: Path) -> None:
    typer.echo(f"confirmed: {ask(socket, {'do': 'confirm', **commands.sudo()})['running']} stays")


def versions(socket: Path, *, as_json: bool) -> None:
    told = ask(socket, {"do": "versions"})["versions"]
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for each in told:
        line = f"{each['number']:>6}  {each['digest']}  {timestamp(each['since'])}  by {printable(each['by'])}"
        typer.echo(f"{line}  (runs)" if each["running"] else line)


def _show(compared: Compared) -> None:
    running = compared.running
    whose = f"since {timestamp(running['since'])}, by {printable(running['by'])}{'' if running['confirmed'] else ', not confirmed'}"
    typer.echo(f"running {compared.runs}, version {running['number']}, {whose}")
    typer.echo(f"{compared.folder} {_hash(compared.digest, compared.seal)}")
    for change in compared.changes:
        typer.echo(printable(_line(change)))
    if running["contents"] is None and running["seal"] != compared.seal:
        typer.echo("what is in the files that it refers to has changed; there are too many of them to say in which")
    elif running["digest"] == compared.digest and not compared.changes:
        typer.echo("nothing differs; certificates and secrets would be read anew")
    elif not compared.changes:
        typer.echo("nothing in the files differs that means anything; profiles that they refer to may")


def _hash(digest: str, seal: str) -> str:
    return f"{digest}+{seal}" if seal else digest


def _line(change: Change) -> str:
    told = {"added": change.after, "removed": change.before, "contents": f"contents of {change.after} changed"}
    what = told.get(change.kind, f"{change.before} → {change.after}")
    return f"{SIGNS[change.kind]} {'.'.join(change.path)}: {what}  [{change.effect}]  {change.place}"


def _plain(change: Change) -> dict[str, Any]:
    place = {"file": change.place.file, "line": change.place.line}
    return {"path": change.path, "kind": change.kind, "before": change.before, "after": change.after, "effect": change.effect, **place}


def _seconds(text: str) -> float:
    try:
        seconds = values.duration(text)
    except ValueError as error:
        raise ConfigError(f"--confirm {text}: {error}") from None
    if not commands.SHORTEST_CONFIRM <= seconds <= commands.LONGEST_CONFIRM:
        raise ConfigError(f"--confirm {text}: from 10s to 1d")
    return seconds
