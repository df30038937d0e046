"""File descriptors: how many this process may have, and whether they are enough for a policy."""

from __future__ import annotations

import resource

from sbc.policy.snapshot import Snapshot

RESERVED = 1_000  # for connections of signalling, files and what is open for a moment
EACH_CALL = 4  # an RTP and an RTCP port on either side; half of them are closed again where rtcp-mux was agreed on


def raise_limit() -> None:
    """As high as we may: 1,024, the usual soft limit, would end at 250 calls."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def shortage(snapshot: Snapshot) -> str:
    """What to tell an administrator whose policy has more media ports than this process may open; empty: they are enough."""
    relays = {realm.relay for realm in snapshot.realms.values()}
    ports = sum(relay.last_port - relay.first_port + 1 for relay in relays)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or ports + RESERVED <= hard:
        return ""
    calls = max(hard - RESERVED, 0) // EACH_CALL
    return (
        f"{ports:,} media ports, each a file descriptor, and this process may have {hard:,}: some {calls:,} calls at a time,"
        " double with rtcp-mux; raise LimitNOFILE= of its unit (or `ulimit -Hn`)"
    )
