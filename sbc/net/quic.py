"""One QUIC connection of a link, at either end: aioquic is the protocol, we move its datagrams and its timer (RFC 9000, RFC 9221)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sbc.flow import Address
from sbc.link import window
from sbc.link.frames import MAX_FRAME, Frame, FrameReader, LinkError, encode
from sbc.link.proof import Credential
from sbc.link.waiting import LATE, MediaQueue
from sbc.net.quic_bounds import WINDOW, BoundedConnection
from sbc.shield.budgets import Budget

ALPN = "sbc-link/1"
IDLE_TIME = 30.0  # seconds in which nothing is heard, and the connection is over
LARGEST_DATAGRAM = 1350  # octets of a DATAGRAM frame that we take
PACKET = 1200  # octets of one of ours
LARGEST_PACKET = 1100  # octets of media that surely fit into one of our packets
CID_LENGTH = 8
CONTROL = 0  # the stream of `sbc.link.frames`; the site opens it
SITE_SIP, EDGE_SIP = 4, 1  # SIP as the site says it, and as the edge does: the first other stream that each may open
STRANGERS = (100.0, 200.0)  # packets a second, and at once, that are read of somebody who has proved nothing; twenty do
PACKETS = (6000.0, 6000.0)  # of who has: 100 calls of 50 packets each, and acknowledgements. More is lost before it costs a decryption
WORDS = (100.0, 200.0)  # frames a second; one is said for 32 KiB of SIP
AT_ONCE = 1000  # octets of media that go down together: they fill a packet. What is behind may still be dropped, or let SIP go first
UNHEARD = 2 * WINDOW  # octets said and not confirmed: it takes nothing any more
REFUSED = 0x1  # application error: we do not want to talk to you
REPLACED = 0x2  # there is another connection now, or none is needed any more


class Owner(Protocol):
    """Whoever has the connection. None of these may be called from within another call of the connection."""

    def receive_ready(self, connection: LinkConnection) -> None:
        """TLS is done; who is there is not known yet."""
        ...

    def receive_frame(self, connection: LinkConnection, frame: Frame) -> None:
        """Raises LinkError: the connection is then closed."""
        ...

    def receive_signalling(self, connection: LinkConnection, data: bytes) -> None: ...

    def receive_media(self, connection: LinkConnection, data: bytes) -> None: ...

    def receive_end(self, connection: LinkConnection, reason: str) -> None:
        """Exactly once."""
        ...

    def connection_id(self, connection: LinkConnection, cid: bytes, *, valid: bool) -> None: ...


class LinkConnection:
    """`send` puts a datagram on the wire. Whoever calls `receive` or one of the `send_` methods calls `flush` when there is no more.

    proven         who is there is known
    settled        it is proven, or over
    remote         where packets go, which may change
    waiting_since  loop time of the first packet that should have been answered and was not; None: all were
    compared       the other end has said which calls it has
    """

    def __init__(
        self, quic: BoundedConnection, loop: asyncio.AbstractEventLoop, send: Callable[[bytes, Address], None], owner: Owner
    ) -> None:
        self.proven = False
        self.waiting_since: float | None = None
        self.compared = False
        self.media = MediaQueue()
        self.began = loop.time()
        self.settled = asyncio.Event()
        self._quic = quic
        self._loop = loop
        self._send = send
        self._owner = owner
        self._is_edge = not quic.configuration.is_client
        self._reader = FrameReader()
        self._packets = Budget(*STRANGERS)
        self._words = Budget(*WORDS)
        self._window = cast("window.VoiceWindow", quic._loss._cc)  # the figures have no other way out
        self._acked = 0
        self._signals = False  # there is something to say that is not media
        self._handed_at = 0.0  # loop time when media last went down to aioquic
        self._over = False
        self._taking = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def identifier(self) -> bytes:
        """The same at both ends, and of no other connection."""
        return self._quic.original_destination_connection_id

    @property
    def remote(self) -> Address:
        host, port = (self._quic.get_peer_address() or ("", 0))[:2]
        return host, port

    @property
    def certificate(self) -> bytes:
        """Of the edge, DER, as TLS has proved it; only the site asks. b"": it has shown none."""
        shown: x509.Certificate | None = self._quic.tls._peer_certificate
        return shown.public_bytes(Encoding.DER) if shown is not None else b""

    @property
    def is_open(self) -> bool:
        return not self._over

    @property
    def window(self) -> window.VoiceWindow:
        return self._window

    @property
    def round_trip(self) -> float:
        """Seconds, smoothed; 0.0: never measured."""
        return self._quic._loss._rtt_smoothed

    def connect(self, address: Address) -> None:
        self._quic.connect(address, self._loop.time())
        self.flush()

    def prove(self) -> None:
        """Who is there is known: longer frames, media and SIP are taken from it."""
        self.proven = True
        self._reader.limit = MAX_FRAME
        self._packets = Budget(*PACKETS)
        self._quic.trust()
        self.settled.set()

    def is_foreign(self, data: bytes) -> bool:
        """Whether this looks like a packet of ours and is for a connection id that we never gave away."""
        if not data or data[0] & 0x80:
            return False
        return all(each.cid != data[1 : 1 + CID_LENGTH] for each in self._quic._host_cids)

    def receive(self, data: bytes, source: Address) -> None:
        now = self._loop.time()
        if self._over or not self._packets.take("", now):
            return
        try:
            self._quic.receive_datagram(data, source, now)
        except Exception as error:  # a fault in reading what somebody made up costs that connection, not those of others
            self._end(f"{type(error).__name__}: {error}")

    def send_frame(self, frame: Frame) -> None:
        self._say(CONTROL, encode(frame))

    def send_signalling(self, data: bytes) -> None:
        if data:
            self._say(EDGE_SIP if self._is_edge else SITE_SIP, data)

    def send_media(self, datagram: bytes) -> None:
        self.media.put(datagram, self._loop.time())

    def ping(self) -> None:
        """Find out whether anybody is there."""
        if not self._over:
            self._quic.send_ping(0)
            self._signals = True

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, and be over at once."""
        if not self._over:
            self._quic.close(code, reason_phrase=reason)
            if self._quic.get_peer_address() is not None:
                self._put_on_the_wire(self._loop.time())
            self._end(reason)

    def flush(self) -> None:
        """Hand over what was heard, put on the wire what is to be said, and set the timer.

        What is said in answer to what is being handed over goes when that is done, so that nothing overtakes anything.
        """
        if self._taking:
            return
        self._taking = True
        try:
            self._take_events()
        finally:
            self._taking = False
        if not self._over and self._quic.get_peer_address() is not None:
            self._transmit()
            self._arm()

    def _say(self, stream: int, data: bytes) -> None:
        if self._over:
            return
        if self._quic.unheard(stream) + len(data) > UNHEARD:
            self.close(REFUSED, "does not take what it is told")
            return
        self._quic.send_stream_data(stream, data)
        self._signals = True

    def _take_events(self) -> None:
        heard = self._window.acked != self._acked
        self._acked = self._window.acked
        while not self._over and (event := self._quic.next_event()) is not None:
            heard = True
            try:
                self._take(event)
            except LinkError as error:
                self.close(REFUSED, str(error))
            except Exception as error:  # as above; what it told us is not worth more than what others do
                self._end(f"{type(error).__name__}: {error}")
        if heard:
            self.waiting_since = None

    def _take(self, event: events.QuicEvent) -> None:
        match event:
            case events.DatagramFrameReceived(data):
                if self.proven:
                    self._owner.receive_media(self, data)
            case events.StreamDataReceived(data, _, stream):
                self._take_stream(stream, data)
            case events.HandshakeCompleted():
                self._owner.receive_ready(self)
            case events.ConnectionIdIssued(cid):
                self._owner.connection_id(self, cid, valid=True)
            case events.ConnectionIdRetired(cid):
                self._owner.connection_id(self, cid, valid=False)
            case events.ConnectionTerminated(_, _, reason):
                self._end(reason or "closed by the other end")
            case events.StreamReset():
                raise LinkError("a stream was broken off")

    def _take_stream(self, stream: int, data: bytes) -> None:
        self._quic.handed_over(len(data))
        if stream == CONTROL:
            for frame in self._reader.feed(data):
                if not self._words.take("", self._loop.time()):
                    raise LinkError("says too much")
                self._owner.receive_frame(self, frame)
        elif self.proven and stream == (SITE_SIP if self._is_edge else EDGE_SIP):
            self._owner.receive_signalling(self, data)
        else:
            raise LinkError(f"stream {stream} has no meaning")

    def _transmit(self) -> None:
        """What is not media goes first: it is never dropped, and the window is for both."""
        now = self._loop.time()
        if self._signals:
            self._signals = False
            self._put_on_the_wire(now)
        if now - self._handed_at > LATE:
            self.media.dropped += self._quic.drop_media()
        while len(self.media) and not self._quic.is_held_up(now):
            if self._window.congestion_window - self._window.bytes_in_flight < PACKET:
                break
            for datagram in self.media.take(AT_ONCE, now):
                self._quic.send_datagram_frame(datagram)
            self._handed_at = now
            self._put_on_the_wire(now)
        self._put_on_the_wire(now)
        if self.waiting_since is None and self._quic.awaits_answer:
            self.waiting_since = now

    def _put_on_the_wire(self, now: float) -> None:
        for data, address in self._quic.datagrams_to_send(now):
            self._send(data, address)

    def _arm(self) -> None:
        """Mostly the next instant moves further away: the timer is then left to fire early and look again."""
        due = self._quic.get_timer()
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        due, now = self._quic.get_timer(), self._loop.time()
        if due is not None and due <= now:
            self._quic.handle_timer(now)
        self.flush()

    def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self.settled.set()
        if self._timer is not None:
            self._timer.cancel()
        self._owner.receive_end(self, reason)


def edge_configuration(credential: Credential) -> QuicConfiguration:
    """No session is ever resumed, so that there is no early data either: nothing that may come twice begins a call."""
    own, *chain = [x509.load_der_x509_certificate(each) for each in credential.chain]
    configuration = _configuration(is_client=False)
    configuration.certificate, configuration.certificate_chain, configuration.private_key = own, chain, credential.key
    return configuration


def site_configuration() -> QuicConfiguration:
    """Whose certificate it is that TLS proves is looked at by the handshake of the link."""
    configuration = _configuration(is_client=True)
    configuration.verify_mode = ssl.CERT_NONE
    return configuration


def _configuration(*, is_client: bool) -> QuicConfiguration:
    logging.getLogger("quic").setLevel(logging.CRITICAL)  # it would write what strangers send on stderr; we have a log of our own
    return QuicConfiguration(
        alpn_protocols=[ALPN],
        is_client=is_client,
        idle_timeout=IDLE_TIME,
        max_datagram_frame_size=LARGEST_DATAGRAM,
        connection_id_length=CID_LENGTH,
        congestion_control_algorithm=window.NAME,
    )
