"""A tape that ended, as a file: one line of JSON, then the octets of all its messages one behind the other, in the order of the steps.

Messages outside of the JSON cost a tenth of what they would cost inside, and can be read as they are; so do instants, which
are exact only with all their digits. See docs/recordings.md.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache

from sbc import __version__
from sbc.recording.pen import Pen
from sbc.recording.plain import Plain
from sbc.recording.secrets import Secrets
from sbc.recording.tape import Tape

FORMAT = 3


class Recorded:
    """For whoever writes it down (see sbc.effects.Recorded)."""

    def __init__(self, tape: Tape, pen: Pen) -> None:
        self._tape = tape
        self._pen = pen
        self._call = call_of(tape)

    def call(self) -> str:
        return self._call

    def began(self) -> str:
        return began(self._tape.began.wall)

    def digests(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([snapshot.digest for snapshot in self._tape.policies]))

    def policy(self, digest: str) -> bytes:
        """That policy without its passwords, for a file of its own. KeyError: another policy."""
        snapshots = {snapshot.digest: snapshot for snapshot in self._tape.policies}
        return json.dumps({"format": FORMAT, "policy": Plain(Secrets(None))(snapshots[digest])}).encode()

    def encode(self) -> bytes:
        tape = self._tape
        return self._pen.finished(
            {
                "format": FORMAT,
                "sbc": __version__,
                "call": self._call,
                "policy": tape.snapshot.digest,
                "draining": tape.draining,
                "cut": tape.cut,
            }
        )


def began(wall: float) -> str:
    """That instant, UTC, as it stands in the name of a file."""
    second = int(wall)
    return f"{_second(second)}.{int((wall - second) * 1000):03}"


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H%M%S")


def call_of(tape: Tape) -> str:
    """The identifier of its call record; of a call that never had one the first tag that was drawn for it, which would have been it."""
    return str(tape.call.record["id"]) if tape.call is not None else tape.tag or "unknown"
