"""The whole examination of one trunk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import typer

from sbc.doctor import addresses, certificates, running, signing
from sbc.doctor.finding import Finding
from sbc.doctor.reach import Reached, reach
from sbc.errors import ConfigError
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot, Trunk
from sbc.recording.ladder import printable


def main(folder: Path, name: str, socket: Path) -> int:
    """Print one line for each finding; the exit status: 1 if something is wrong. Raises ConfigError for what keeps us from looking."""
    snapshot = load_policy(folder).snapshot
    trunk = snapshot.trunks.get(name)
    if trunk is None:
        raise ConfigError(f"there is no trunk {name!r}; there are: {', '.join(snapshot.trunks) or 'none'}")
    reached = asyncio.run(reach(snapshot, trunk)) if trunk.peer is not None else Reached()
    wrong = 0
    for finding in (*examine(snapshot, trunk, reached, socket), *signing.found(snapshot, trunk)):
        typer.echo(printable(str(finding)))
        wrong += finding.verdict == "wrong"
    typer.echo(f"trunk {name}: {f'{wrong} wrong' if wrong else 'nothing wrong found'}")
    return 1 if wrong else 0


def examine(snapshot: Snapshot, trunk: Trunk, reached: Reached, socket: Path) -> Iterable[Finding]:
    """All findings, in the order of what depends on what."""
    realm = snapshot.realms[trunk.realm]
    yield from certificates.ours(realm, trunk)
    yield from reached.findings
    yield from addresses.told(realm, trunk, reached)
    yield from running.state(trunk, socket)
