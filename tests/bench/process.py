"""What a process and its children use, read from /proc."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


def of_tests(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of the tests, which are not installed; the product is the same as here."""
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH", ""), str(ROOT))))
    return ["env", f"PYTHONPATH={path}", sys.executable, "-P", "-m", module, *arguments]


@dataclass(frozen=True)
class Usage:
    """CPU time of all threads in seconds, resident memory in MiB."""

    cpu: float
    memory: float


def usage(process: int) -> Usage:
    """Of `process` and everything below it. A thread or child that has ended is no longer counted."""
    cpu = memory = 0
    for member in family(process):
        for schedstat in Path(f"/proc/{member}/task").glob("*/schedstat"):
            cpu += int((_read(schedstat) or "0").split()[0])
        for row in _read(Path(f"/proc/{member}/status")).splitlines():
            if row.startswith("VmRSS:"):
                memory += int(row.split()[1])
    return Usage(cpu / 1e9, memory / 1024)


def resident(process: int) -> float:
    """Memory of `process` alone, in MiB: what it starts for a moment (nft) is none of it."""
    rows = _read(Path(f"/proc/{process}/status")).splitlines()
    return next((int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS:")), 0.0)


def family(process: int) -> list[int]:
    """`process` and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        text = _read(stat)
        if text:
            # the name in parentheses may hold blanks; the parent is the second field after it
            children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [process]
    for member in found:
        found += children.get(member, [])
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended while we looked
        return ""
