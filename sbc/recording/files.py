"""Recordings as files: how they are called, and how several calls are in one.

A file is called by its first call: `BEGAN.CALL.POLICY.sbc`, or `BEGAN.CALL+9.POLICY.sbc` when nine more are in it. It is then one line of
JSON, which says how long each recording is, and the recordings one behind the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sbc.effects import Recorded

SUFFIX = ".sbc"


def bundled(calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Recordings, each with the identifier of its call, as one file, in pieces."""
    recordings = [data for _, data in calls]
    if len(calls) == 1:
        return recordings
    index = json.dumps({"calls": [(call, len(data)) for call, data in calls]}).encode()
    return [index, b"\n", *recordings]


def unbundled(data: bytes) -> list[tuple[str, bytes]]:
    """What `bundled` was given. Raises LookupError, TypeError or ValueError for what is no file of recordings."""
    head, _, rest = data.partition(b"\n")
    heading = json.loads(head)
    if "calls" not in heading:
        return [(str(heading["call"]), data)]
    calls, place = [], 0
    for call, length in heading["calls"]:
        if not 0 < length <= len(rest) - place:
            raise ValueError("the file ends within a call")
        calls.append((str(call), rest[place : place + length]))
        place += length
    return calls


def policies_of(recordings: Sequence[Recorded]) -> dict[str, Recorded]:
    """By digest, and whom to ask for it; mostly all have the same."""
    policies: dict[str, Recorded] = {}
    for recording in recordings:
        for digest in recording.digests():
            policies.setdefault(digest, recording)
    return policies


def name_of(recordings: Sequence[Recorded], digests: Iterable[str]) -> str:
    first, more = recordings[0], len(recordings) - 1
    return ".".join([first.began(), first.call() + (f"+{more}" if more else ""), *digests]) + SUFFIX


def calls_in(name: str) -> int:
    """How many calls are in a file of that name."""
    _, _, more = ".".join(name.split(".")[2:3]).partition("+")
    return 1 + int(more) if more.isdecimal() else 1


def digests_in(name: str) -> list[str]:
    return name.removesuffix(SUFFIX).split(".")[3:]


def policy_name(digest: str) -> str:
    """The file, beside the recordings, of a policy they ran under."""
    return f"policy-{digest}.json"
