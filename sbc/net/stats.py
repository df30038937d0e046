"""Counters of the network side: plain integers, read by whoever wants to show them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    datagrams_in: int = 0
    datagrams_out: int = 0
    datagrams_dropped: int = 0  # our socket buffer was full
    datagrams_banned: int = 0
    datagrams_throttled: int = 0  # beyond the budget of a stranger's source
    datagrams_crowded: int = 0  # beyond that of all strangers together
    datagrams_shapeless: int = 0  # a stranger's, and not the beginning of a message
    keepalives: int = 0  # empty, CR LF only or STUN, on UDP; pings on streams
    stun_ignored: int = 0  # those that were no binding request, or too many
    icmp_errors: int = 0
    requests_in: int = 0
    responses_in: int = 0
    malformed_in: int = 0
    requests_refused: int = 0  # turned away unseen: there was too much to do
    repetitions_dropped: int = 0  # of requests that waited
    acks_of_refused: int = 0
    sends_failed: int = 0
    connections_accepted: int = 0
    connections_refused: int = 0  # too many, in all or from one source
    connections_banned: int = 0
    connections_opened: int = 0  # by us
    connections_failed: int = 0  # by us: refused, too slow, not who it should be
    connections_slow: int = 0  # no first message, or a message begun and not finished, in time
    connections_idle: int = 0
    connections_unproven: int = 0  # did not prove who they are, in time or in as many messages as they may send
    connections_rekeying: int = 0  # TLS that went on and on, with nothing said in it
    connections_overflowed: int = 0  # the peer does not read what we write
    handshakes_refused: int = 0  # too many at once
    handshakes_failed: int = 0
    bans: int = 0
    link_junk: int = 0  # datagrams at a port for sites that belong to no connection
    core_errors: int = 0
    effect_errors: int = 0
