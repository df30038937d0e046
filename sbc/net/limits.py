"""What the network side may cost us. Every number says why; the peers named are precedents, not sources."""

from __future__ import annotations

from dataclasses import dataclass

DATAGRAM = 65_535  # the largest UDP payload there is: what recvfrom must be able to take whole
DATAGRAMS_PER_WAKEUP = 512  # then timers and connections get their turn: reading so many takes 2 ms, and what is read is put in order
UDP_BUFFER = 4 * 1024 * 1024  # 4,000 INVITEs: one second at 4,000 messages/s while the process is held up (kernel doubles it)
STUN_PER_SOURCE = (50.0, 200.0)  # answers a second, and at once: an office of 500 phones that ask every 24 to 29 s (RFC 5626 s4.4)
STUN_IN_ALL = (2000.0, 4000.0)  # 50,000 such phones; of a flood from spoofed sources no more is passed on
ACCEPTS_PER_WAKEUP = 32  # a SYN flood that completes must not starve established connections
BACKLOG = 1024  # completed handshakes the kernel holds for us (cut to net.core.somaxconn)
ACCEPT_PAUSE = 0.1  # seconds without accept() after the process ran out of descriptors, instead of spinning


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Of connections, TCP to WSS. Times in seconds, sizes in octets. Tests make them small."""

    connections: int = 10_000  # 27 KiB each with TLS while idle, so 270 MB; far below the usual hard limit of open files
    connections_per_source: int = 500  # an office of 500 phones behind one NAT; 20 sources are needed to use up the total
    handshakes: int = 256  # in progress; an ECDSA handshake costs 1 ms, so that 256 are a quarter second of one core
    handshakes_per_source: int = 16  # a whole office coming back from a power cut still gets through in turns
    handshake_rate: float = 20.0  # a second and source: done and begun again at once, 16 at a time would still fill a core
    handshake_burst: float = 500.0  # the whole office after its power cut
    opened: int = 2_000  # by us: trunks and their targets, far fewer in practice
    connect_time: float = 3.0  # then the next target is tried; the caller waits meanwhile
    handshake_time: float = 5.0  # TLS, and again for the upgrade to a WebSocket
    first_message_time: float = 10.0  # a connection that says nothing is a scanner or a slow loris (nginx: client_header_timeout)
    message_time: float = 10.0  # from the first octet of a message to its last
    idle_time: float = 900.0  # far above 64*T1 (RFC 3261 s18) and the 120 s between pings (RFC 5626 s4.4.1)
    close_time: float = 5.0  # for the last octets to leave, then the connection is reset
    farewell_time: float = 0.5  # TLS: for the peer's close_notify. PJSIP says none and loses what it still sends, until it sees the end
    stop_time: float = 1.0  # the same when we stop altogether: a phone that is slow to say goodbye must not hold up a restart
    sweep: float = 1.0  # how often the times above are looked at
    look: float = 0.1  # how often at what strangers' TLS costs without a word
    unsent: int = 1024 * 1024  # the peer does not read: 500 answers behind is not a peer any more
    pending: int = 256  # messages waiting for a connection to open
    unheard: int = 256  # keys remembered per connection until the peer says something
    strangers_per_source: int = 100  # connections that have not proved who they are; half a minute of an office coming back
    stranger_time: float = 60.0  # then they must have: a phone needs one second, a person no connection
    stranger_messages: int = 100  # before that: a registration takes four, OPTIONS before it a few more
    malformed: int = 10  # per connection; somebody is trying things (the ban of a parse-error scan is 10 too)
