"""What an operator tells a running process to do, and asks about its policy: one line of JSON each way, as for the live views.

{"version": 1, "do": "apply", "running": "3fe7a1b2c3d4", "saved": "8a91c0de5f67", "confirm": 300}
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from sbc.admin.wire import Refused

NAME_LENGTH = 128
LONGEST_CONFIRM = 86_400.0  # seconds; nobody waits for longer than a day whether he still gets in
SHORTEST_CONFIRM = 10.0
_PEER = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)


@dataclass(frozen=True, slots=True)
class Apply:
    """Let the saved policy count.

    running, saved  the digests that were compared (If-Match); "": whichever they are
    confirm         seconds until it is taken back unless confirmed; 0: it stays
    registrations   it is taken back before, when fewer than so many percent of those who were registered are so
    answers         or when the share of calls that are answered falls under so many percent of what it was
    running_seal,   as `running` and `saved`, of what is in the files that they refer to
    saved_seal
    """

    running: str = ""
    saved: str = ""
    confirm: float = 0.0
    registrations: int = 80
    answers: int = 50
    running_seal: str = ""
    saved_seal: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """Go back to version `to`; 0: to the one before. `running`: as for Apply."""

    running: str = ""
    to: int = 0


@dataclass(frozen=True, slots=True)
class Confirm:
    """What was applied stays."""


@dataclass(frozen=True, slots=True)
class PolicyAsked:
    """The running policy: its digest, its files, who applied it and when; and sealed digests of what is in the files it refers to."""


@dataclass(frozen=True, slots=True)
class VersionsAsked:
    """The versions that are kept."""


Command = Apply | Undo | Confirm | PolicyAsked | VersionsAsked

_COMMANDS: Mapping[str, type[Command]] = {
    "apply": Apply,
    "undo": Undo,
    "confirm": Confirm,
    "policy": PolicyAsked,
    "versions": VersionsAsked,
}


def command_of(asked: Mapping[str, object]) -> Command:
    """Raises Refused."""
    kind = _COMMANDS.get(str(asked["do"]))
    if kind is None:
        raise Refused(f"what can be done: {', '.join(_COMMANDS)}")
    given = {key: value for key, value in asked.items() if key not in ("version", "do", "sudo")}
    if unknown := given.keys() - set(kind.__match_args__):
        raise Refused(f"unknown: {', '.join(sorted(unknown))}")
    for key, value in given.items():
        if not _fits(key, value):
            raise Refused(f"{key} is not what it should be")
    return kind(**given)  # type: ignore[arg-type]


def _fits(key: str, value: object) -> bool:
    if key in ("running", "saved", "running_seal", "saved_seal"):
        return isinstance(value, str) and len(value) <= NAME_LENGTH
    if key == "confirm":
        return isinstance(value, (int, float)) and (value == 0 or SHORTEST_CONFIRM <= value <= LONGEST_CONFIRM)
    if key == "to":
        return type(value) is int and 0 <= value < 10**6
    return type(value) is int and 0 <= value <= 100


def who(link: socket.socket | None, asked: Mapping[str, object]) -> str:
    """The user at the other end; behind sudo the one who says that it is so. Only who may do anything gets this far."""
    name = "somebody"
    if link is not None:
        _, uid, _ = _PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        name = str(uid)
        with suppress(KeyError):
            name = pwd.getpwuid(uid).pw_name
    sudo = asked.get("sudo")
    if isinstance(sudo, str) and 0 < len(sudo) <= NAME_LENGTH and sudo.isprintable():
        return f"{name} ({sudo})"
    return name


def sudo() -> dict[str, object]:
    """Who we are when we are not who we seem to be: for the `sudo` of a command."""
    name = os.environ.get("SUDO_USER", "")
    return {"sudo": name} if name else {}
