"""Asks a running process."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from sbc.admin import wire
from sbc.errors import ConfigError


class NotRunning(ConfigError):
    """Nobody answers at that socket."""


def ask(path: Path, question: dict[str, object], patience: float = wire.PATIENCE) -> dict[str, Any]:
    """The answer, `patience` seconds later at most.

    Raises ConfigError with what to do when there is none, NotRunning when there is no process.
    """
    try:
        line = _exchange(path, wire.line_of(question), patience)
    except (FileNotFoundError, ConnectionRefusedError):
        what = f"no sbc answers at {path}: start one with `sbc run`, or name the socket of the one that runs with --socket"
        raise NotRunning(what) from None
    except PermissionError:
        raise ConfigError(f"{path} belongs to another user: ask as the one that sbc runs as (sudo -u …)") from None
    except (TimeoutError, OSError) as error:
        why = getattr(error, "strerror", None) or "no answer in time"
        raise ConfigError(f"{path}: {why}; it may be busy with other clients, or hang: try again") from None
    try:
        answer = json.loads(line)
    except ValueError:
        raise ConfigError(f"{path}: no whole answer; it may be busy with other clients: try again") from None
    if not isinstance(answer, dict) or answer.get("version") != wire.VERSION:
        raise ConfigError(f"{path}: the process there is of another version: use the sbc it was started with")
    if "error" in answer:
        raise ConfigError(str(answer["error"]))
    return answer


def _exchange(path: Path, line: bytes, patience: float) -> bytes:
    with wire.short_path(path) as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(patience)
        link.connect(name)
        link.sendall(line)
        answer = bytearray()
        while not answer.endswith(b"\n") and len(answer) <= wire.LONGEST_ANSWER:
            octets = link.recv(65536)
            if not octets:
                break
            answer += octets
        return bytes(answer)
