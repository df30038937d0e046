"""What the machine allows this process and does for it, as far as a policy needs it."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

from sbc.policy.snapshot import Snapshot

SYN_COOKIES = Path("/proc/sys/net/ipv4/tcp_syncookies")  # for IPv6, too
RESERVED = 1_000  # descriptors for connections of signalling, files and what is open for a moment
EACH_CALL = 4  # an RTP and an RTCP port on either side; half of them are closed again where rtcp-mux was agreed on


def raise_limit() -> None:
    """Of file descriptors. As high as we may: 1,024, the usual soft limit, would end at 250 calls."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def concerns(snapshot: Snapshot) -> list[str]:
    """What to tell an administrator."""
    return [each for each in (shortage(snapshot), without_cookies(snapshot)) if each]


def shortage(snapshot: Snapshot) -> str:
    """Of file descriptors, where a policy has more media ports than this process may open; empty: they are enough."""
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


def without_cookies(snapshot: Snapshot) -> str:
    """Where connections are taken and nothing stands against a flood of SYNs (RFC 4987 s3.6); empty: all is well, or unknown."""
    if all(listener.transport == "UDP" for realm in snapshot.realms.values() for listener in realm.listeners):
        return ""
    with suppress(OSError):
        if SYN_COOKIES.read_text().strip() == "0":
            return (
                "net.ipv4.tcp_syncookies is 0: a flood of SYNs from forged addresses would keep peers from connecting;"
                " turn it on (`sysctl -w net.ipv4.tcp_syncookies=1`, and in /etc/sysctl.d)"
            )
    return ""
