"""What `sbc explain` was asked, from the words of a command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from sbc.errors import ConfigError
from sbc.explain.account import Account
from sbc.explain.asked import NOTHING_SPECIAL, Asked, Assumed, Flags, Reply, asked, brought, captured
from sbc.explain.capture import LARGEST, requests_in
from sbc.explain.story import explain
from sbc.policy.load import Loaded
from sbc.policy.snapshot import Snapshot

LARGEST_MESSAGE = 64 * 1024  # octets of a file with one SIP message
SIGNED = ("passed", "failed", "unsigned")


@dataclass(frozen=True, slots=True)
class Options:
    """As they were written; `flags` without headers and codecs. `known`: what is so without being said."""

    flags: Flags
    header: Sequence[str] = ()
    codec: Sequence[str] = ()
    answer: Sequence[str] = ()
    calls: Sequence[str] = ()
    absent: Sequence[str] = ()
    signed: str = "unsigned"
    message: Path | None = None
    capture: Path | None = None
    call_id: str = ""
    known: Assumed = NOTHING_SPECIAL


def account_of(loaded: Loaded, options: Options, note: Callable[[str], None]) -> Account:
    """Raises ConfigError. `note`: what else there would be to look at."""
    return explain(loaded.snapshot, loaded.places, _asked(loaded.snapshot, options, note))


def _asked(snapshot: Snapshot, options: Options, note: Callable[[str], None]) -> Asked:
    flags, message, capture = _flags(options), options.message, options.capture
    if bool(flags.to) + (message is not None) + (capture is not None) != 1:
        raise ConfigError("what is asked? --to NUMBER, --message FILE or --capture FILE")
    assumed = _assumed(options)
    if message is not None:
        octets = _octets(message, LARGEST_MESSAGE, "a SIP message")
        return brought(snapshot, flags, octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n"), assumed)
    if capture is None:
        return asked(snapshot, flags, assumed)
    requests = requests_in(_octets(capture, LARGEST, "a capture to be looked through"))
    found, others = captured(snapshot, flags, requests, assumed, options.call_id)
    if others and not options.call_id:
        note(f"{capture} has {len(others)} more calls: --call-id {', '.join(others[:5])}")
    return found


def _flags(options: Options) -> Flags:
    flags = options.flags
    rows, codecs = tuple([_row(each) for each in options.header]), tuple(options.codec)
    return Flags(
        flags.to, flags.trunk, flags.user, flags.source, flags.realm, flags.transport, flags.caller, flags.name, flags.method, rows, codecs
    )


def _assumed(options: Options) -> Assumed:
    if options.signed not in SIGNED:
        raise ConfigError(f"--signed {', '.join(SIGNED[:2])} or {SIGNED[2]}")
    statuses = _numbers(options.answer, "--answer", "NAME=STATUS")
    if wrong := [status for status in statuses.values() if not 200 <= status <= 699]:
        raise ConfigError(f"--answer: {wrong[0]} is no final status: 200 to 699; 408: no answer")
    answers = {name: Reply(status) for name, status in statuses.items()}
    calls, known = _numbers(options.calls, "--calls", "NAME=NUMBER"), options.known
    limits = tuple([each for each in known.limits if each.scope not in calls or each.rate is not None])
    signed = cast(Literal["passed", "failed", "unsigned"], options.signed)
    return Assumed(answers, calls, known.absent.union(options.absent), signed, limits, known.contacts)


def _row(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f'{text!r} is no header row: "Name: value"')
    return name.strip(), value.strip()


def _numbers(pairs: Sequence[str], option: str, written: str) -> dict[str, int]:
    found = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if not (number.isascii() and number.isdigit() and len(number) <= 6):
            raise ConfigError(f"{option} {pair}: write {written}")
        found[name] = int(number)
    return found


def _octets(file: Path, largest: int, what: str) -> bytes:
    try:
        with file.open("rb") as opened:
            octets = opened.read(largest + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    if len(octets) > largest:
        raise ConfigError(f"{file}: too large for {what}")
    return octets
