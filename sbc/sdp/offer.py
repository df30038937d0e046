"""Offer and answer for a relay (RFC 3264, 6337): each leg speaks for itself, only what `Description` holds crosses over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from media.api import Address, Keys, Role, Suite
from sbc.clock import Ids
from sbc.errors import SipError
from sbc.frozen import replace
from sbc.sdp import fax, write
from sbc.sdp.address import Scope, locate
from sbc.sdp.answer import Problem, check_answer
from sbc.sdp.bandwidth import agreed_bits
from sbc.sdp.codecs import is_audible, pairs_of
from sbc.sdp.crypto import Crypto
from sbc.sdp.describe import (
    INCOMPATIBLE_ADDRESS,
    INCOMPATIBLE_FORMAT,
    MEDIA_NOT_AVAILABLE,
    MISCELLANEOUS,
    Description,
    Hosts,
    Slot,
    choose_stream,
    describe,
    describe_fax,
    refusal,
    slots_of,
)
from sbc.sdp.dtls import Own, role_answered
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.keyed import KeyedLeg, fresh
from sbc.sdp.model import Attribute, Codec, Direction, Media, Session
from sbc.sdp.parse import SdpError, parse_session
from sbc.sdp.relay import Agreement
from sbc.sdp.rules import MediaRules
from sbc.sdp.selection import Stripped, missing, stripped_of
from sbc.sdp.state import NO_KEYS, Mark, State
from sbc.sdp.translation import answer_codecs, offered_codecs
from sbc.sdp.write import numbered

__all__ = ["Codec", "Description", "Direction", "Mark", "MediaLeg", "MediaRules", "SdpError"]

# Seen in the field and harmless: both parties pressing hold, and a mux we did not ask for and do not use.
_TOLERATED = frozenset((Problem.DIRECTION, Problem.RTCP_MUX))


class MediaLeg(KeyedLeg):
    """Our side of offer/answer on one leg; owns its o= line.

    An exchange is `receive_offer` then `make_answer`, or `make_offer` then `receive_answer`; the second step may come
    again (an early answer and the final one, another branch of a fork). A method that raises changes nothing.
    `listen` must have been called before anything is made.
    """

    def __init__(self, rules: MediaRules, session_id: int, accept_private: bool = True, accept_loopback: bool = False) -> None:
        """`session_id`: a number nobody can guess. Loopback media hosts are accepted, too, when our own address is one."""
        super().__init__(rules)
        self._session_id = session_id
        self._accept_private = accept_private
        self._accept_loopback = accept_loopback
        self._rtcp_port = 0
        self._version = 0
        self._numbers: dict[int, tuple[str, int, int]] = {}  # dynamic payload type -> encoding, for the whole session
        self._before = self._state  # as it was when the open offer came

    @property
    def agreed(self) -> Agreement | None:
        """What holds since the last answer; None before the first."""
        return self._state.agreed

    @property
    def last_offer(self) -> Description | None:
        """The peer's."""
        return self._state.peer if not self._state.offered else None

    @property
    def last_offered(self) -> tuple[list[str], Stripped]:
        """The codecs we have offered to the peer, and which the far side had besides."""
        return [codec.name for codec in self._state.codecs], self._state.stripped

    @property
    def bits(self) -> int:
        """A second and way, of what is agreed; 0 before that."""
        agreed, local = self._state.agreed, self._local
        return agreed_bits(agreed, ipv6=local is not None and ":" in local[0]) if agreed is not None else 0

    @property
    def ssrc(self) -> int:
        """Ours towards the peer, as hard to guess for others as the session."""
        return self._session_id & 0xFFFFFFFF

    @property
    def open_offer(self) -> Literal["", "sent", "received"]:
        """Whether an offer waits for its answer, and whose it is."""
        return self._state.open

    @property
    def last_body(self) -> bytes:
        """What we last sent, for session refreshes and repeated answers; after `rollback`: what is in force. Holds keys."""
        return self._state.body

    def listen(self, address: Address, rtcp_port: int | None = None, *, fingerprint: str = "") -> None:
        """Set our advertised RTP address; `rtcp_port` when RTCP is not on the next port; the fingerprint of our certificate.

        Another address is another relay, which knows nothing of the association and the ICE session before (RFC 8842 s3.2).
        """
        if self._local is not None and self._local[1] and self._local != address:
            self._state = self._state._replace(own=None)
        self._local = address
        self._fingerprint = fingerprint
        self._rtcp_port = rtcp_port or address[1] + 1

    def rekey(self) -> None:
        """The next offer carries fresh keys: what the peer will hear, and who hears it, is somebody else (RFC 4568 s7.1.4)."""
        self._state = self._state._replace(keys=NO_KEYS)

    def receive_offer(self, body: bytes, secure_hop: bool) -> Description:
        """Take the peer's offer. `secure_hop`: its signalling is encrypted, so SRTP keys may be in it.

        Raises SdpError (400), NotAcceptableHere with a Warning, SipError 491 or 500 while another offer is open.
        """
        self._check_no_open_offer()
        state = self._state
        session = parse_session(body)
        crypto = state.crypto
        peer = self._without_stream(session)
        if peer is None:
            peer, crypto = choose_stream(session, self.rules, self._hosts(), secure_hop)
            self._check_remote(peer)
            if crypto is not None and crypto.keys is not None and crypto.keys.master in [keys.master for keys in state.keys.values()]:
                raise refusal(MISCELLANEOUS, "SRTP key is ours")  # sent back at us: one keystream for two texts
        self._begin(state._replace(open="received", offered=False, peer=peer, crypto=crypto, slots=peer.slots, place=peer.index))
        return peer

    def make_offer(self, far: Description | None, ids: Ids, secure_hop: bool = True) -> bytes:
        """Offer what the other leg's peer said (None: all our rules name), cut down to our rules, in their order.

        `secure_hop`: our signalling is encrypted; without it no SRTP keys are sent (RFC 4568 s8.3).
        Raises NotAcceptableHere when no voice codec, no fax or no permitted encryption is left, SipError 491 or 500 while another
        offer is open.
        """
        self._check_no_open_offer()
        state = self._state
        own = state.own
        codecs: tuple[Codec, ...] = ()
        stripped: Stripped = ()
        keys = NO_KEYS  # of a fax; those from before it are not used again, for their packets would be counted from nothing
        if far is not None and far.kind == FAX:
            media = self._offered_fax(far)
        else:
            codecs = numbered(offered_codecs(far, self.rules), self._numbers)
            if not is_audible(codecs):
                raise refusal(INCOMPATIBLE_FORMAT, "no common codec")
            if far is not None and (len(codecs) != len(far.codecs) or far.any_law or self.rules.g711 == "translate"):
                stripped = stripped_of(far.codecs, codecs, self.rules, self.rules.offers_to)
            lacking = missing(codecs, self.rules.offers_to)
            if lacking is not None:
                raise refusal(INCOMPATIBLE_FORMAT, f"{lacking} is required")
            protocol, keyed = self._offered_protocol(secure_hop)
            sdes = keyed == "sdes"
            in_force = state.agreed.send_keys if state.agreed is not None else None
            mki = in_force.mki if in_force is not None else b""
            keys = {suite: state.keys.get(suite) or fresh(suite, ids, mki) for suite in self.rules.suites} if sdes else state.keys
            # A stream that multiplexes RTCP keeps doing so; of our own accord we ask for it only with DTLS.
            mux = state.agreed.rtcp_mux if state.agreed is not None else keyed == "dtls"
            direction = far.direction if far else Direction.SENDRECV
            extra: list[Attribute] = []
            if keyed == "dtls" or (state.agreed is not None and state.agreed.ice):
                own = own or Own.fresh(ids)
                extra = self._offered_transport(own, keyed)
            media = self._stream(protocol, codecs, direction, far, self._offered_cryptos(keys) if sdes else [], mux, extra)
        slots, place = self._placed(media)
        written, body = self._written(slots, place, media, state.agreed is not None and state.agreed.peer.transport.bundled)
        self._begin(
            state._replace(
                open="sent",
                offered=True,
                written=written,
                body=body,
                codecs=codecs,
                direction=written.direction(media),
                slots=slots,
                place=place,
                keys=keys,
                own=own,
                stripped=stripped,
            ),
        )
        self._remember(codecs)
        return body

    def receive_answer(self, body: bytes) -> Description:
        """Take the peer's answer to our last offer. Raises SdpError (400), NotAcceptableHere when it does not fit."""
        state = self._state
        if not state.offered or state.written is None:
            raise SdpError("an answer to no offer")
        session = parse_session(body)
        problems = [problem for problem in check_answer(state.written, session) if problem not in _TOLERATED]
        if problems:
            raise refusal(MISCELLANEOUS, problems[0])
        if not session.media[state.place].port:
            raise refusal(INCOMPATIBLE_FORMAT, "the stream was rejected")
        offered = state.written.media[state.place]
        if offered.kind == FAX:
            peer = describe_fax(session, state.place, self.rules, self._hosts())
        else:
            peer = describe(session, state.place, self.rules, self._hosts())
        self._check_remote(peer)
        pairs = pairs_of(state.codecs, peer.codecs)
        codecs = tuple([theirs for _, theirs in pairs])
        if peer.kind != FAX and not is_audible(codecs):
            raise refusal(INCOMPATIBLE_FORMAT, "no common codec")
        if codecs != peer.codecs:
            peer = replace(peer, codecs=codecs)
        by_dtls = offered.first("fingerprint") is not None
        if by_dtls and not peer.transport.fingerprints:
            raise refusal(MISCELLANEOUS, "no usable a=fingerprint line")
        send_keys, receive_keys = self._answered_keys(peer)
        own, mux = state.own, peer.rtcp_mux and offered.first("rtcp-mux") is not None
        agreed = Agreement(
            peer=peer,
            pairs=pairs,
            direction=peer.direction.answering(state.direction),
            protocol=state.slots[state.place].protocol,
            rtcp_mux=mux,
            send_keys=send_keys,
            receive_keys=receive_keys,
            dtls=own.dtls(role_answered(peer.transport), peer.transport, self.rules.suites) if own and by_dtls else None,
            ice=own.ice(peer.transport) if own and mux and peer.transport.ufrag and offered.first("ice-ufrag") is not None else None,
        )
        self._state = state._replace(open="", agreed=agreed)
        return peer

    def make_answer(self, far: Description, ids: Ids) -> bytes:
        """Answer the peer's last offer with what the other leg's peer answered: its choice and order, the offer's numbers.

        Raises NotAcceptableHere when no voice codec is left or the peer's media address is unreachable from ours.
        """
        state = self._state
        peer = state.peer
        if peer is None or state.offered:
            raise SipError("no offer to answer")
        self._check_remote(peer)
        if peer.removed and state.agreed is not None:
            return self._answer_removal(peer, state.agreed)
        if peer.kind != far.kind:
            raise refusal(MEDIA_NOT_AVAILABLE, "speech answered with fax, or fax with speech")
        slot = peer.slots[peer.index]
        direction = far.direction.answering(peer.direction)
        codecs: tuple[Codec, ...] = ()
        crypto = None
        role: Role | None = None
        own = state.own
        if peer.kind == FAX:
            assert self._local is not None, "listen() first"
            media = write.fax_stream(slot.protocol, self._local, direction, far.fax)
        else:
            codecs = answer_codecs(peer, far)
            if not is_audible(codecs):
                raise refusal(INCOMPATIBLE_FORMAT, "no common codec")
            crypto = self._answering_crypto(ids)
            extra: list[Attribute] = []
            if peer.keyed == "dtls" or peer.transport.ufrag:
                own, role = self._answering_transport(peer, ids)
                extra = self._answered_transport(own, role, peer)
            media = self._stream(slot.protocol, codecs, direction, far, [crypto] if crypto else [], peer.rtcp_mux, extra)
        numbers = {codec.payload: codec for codec in peer.codecs}
        agreed = Agreement(
            peer=peer,
            pairs=tuple([(codec, numbers[codec.payload]) for codec in codecs]),
            direction=Direction.of(direction.receives, direction.sends),
            protocol=slot.protocol,
            rtcp_mux=peer.rtcp_mux,
            send_keys=crypto.keys if crypto else None,
            receive_keys=state.crypto.keys if state.crypto else None,
            dtls=own.dtls(role, peer.transport, self.rules.suites) if own and role else None,
            ice=own.ice(peer.transport) if own and peer.transport.ufrag else None,
        )
        self._state = state = state._replace(own=own)
        keys = NO_KEYS if peer.kind == FAX else state.keys
        return self._answer(peer, media, agreed, {**keys, agreed.send_keys.suite: agreed.send_keys} if agreed.send_keys else keys)

    def _answer_removal(self, peer: Description, agreed: Agreement) -> bytes:
        """Port 0 for port 0 (RFC 3264 s8.2). Keys and numbers stay, for the stream may come back."""
        slot = peer.slots[peer.index]
        media = Media(slot.kind, 0, slot.protocol, slot.formats)
        return self._answer(peer, media, replace(agreed, peer=peer, direction=Direction.INACTIVE), self._state.keys)

    def _answer(self, peer: Description, media: Media, agreed: Agreement, keys: Mapping[Suite, Keys]) -> bytes:
        written, body = self._written(peer.slots, peer.index, media, peer.transport.bundled)
        codecs = tuple([ours for ours, _ in agreed.pairs])
        self._state = self._state._replace(open="", written=written, body=body, codecs=codecs, keys=keys, agreed=agreed)
        self._remember(codecs)
        return body

    def retract(self) -> None:
        """Forget our open offer, which the peer took with an answer of no use to us: it believes what was in force is gone.

        The next offer has a new version, even if it says what was in force.
        """
        if self._state.open == "sent":
            self._state = self._before._replace(written=None)

    def rollback(self) -> None:
        """Forget the open offer, whosever it is: it was refused (RFC 3261 s14.1). Without one nothing happens.

        What has been answered stays in force even if its request fails afterwards (RFC 6141 s3).
        """
        if self._state.open:
            self._state = self._before

    def refuse(self, offer: bytes) -> bytes:
        """An answer that takes nothing of `offer`: every stream with port 0 (RFC 3264 s6). b"" when it cannot be read. Changes nothing."""
        try:
            slots = slots_of(parse_session(offer), self.rules)
        except SdpError:
            return b""
        if self._local is None or not slots:
            return b""
        self._version += 1
        nothing = Media(slots[0].kind, 0, slots[0].protocol, slots[0].formats)
        return write.session(self._session_id, self._version, self._local, slots, 0, nothing).encode()

    @property
    def mark(self) -> Mark:
        """Where the exchange stands: several forks answer one offer, and each goes on from where it was (RFC 3261 s13.2.2.4)."""
        return self._state, self._before

    def resume(self, mark: Mark) -> None:
        """Go on from there. Versions of o= still only go up."""
        self._state, self._before = mark

    def _hosts(self) -> Hosts:
        ours = self._local is not None and locate(self._local[0])[0] is Scope.LOOPBACK
        return Hosts(self._accept_private, self._accept_loopback or ours)

    def _check_no_open_offer(self) -> None:
        if self._state.open == "sent":  # RFC 3261 s14.2
            raise SipError("offers cross", status=491, reason="Request Pending")
        if self._state.open == "received":
            raise SipError("an earlier offer is not answered yet", headers=(("Retry-After", "2"),))

    def _check_remote(self, peer: Description) -> None:
        if self._local is None or peer.remote is None:
            return
        if (":" in peer.remote[0]) != (":" in self._local[0]):
            raise refusal(INCOMPATIBLE_ADDRESS, "incompatible network address type")
        if peer.remote == self._local:
            raise refusal(MISCELLANEOUS, "media address not allowed")  # our own port: packets would circle

    def _without_stream(self, session: Session) -> Description | None:
        """What the peer says when it takes the one stream we have out of the session; None: it says something else."""
        agreed, place = self._state.agreed, self._state.place
        if agreed is None or place >= len(session.media) or any(media.port for media in session.media):
            return None
        return replace(
            agreed.peer,
            direction=Direction.INACTIVE,
            remote=None,
            rtcp=None,
            slots=slots_of(session, self.rules),
            index=place,
            removed=True,
        )

    def _offered_fax(self, far: Description) -> Media:
        assert self._local is not None, "listen() first"
        if not self.rules.relays_fax:
            raise refusal(MEDIA_NOT_AVAILABLE, "fax is not relayed here")
        return write.fax_stream(fax.PROTOCOL, self._local, far.direction, far.fax)

    def _placed(self, media: Media) -> tuple[tuple[Slot, ...], int]:
        """Our m= lines with this one among them: where one of its kind has been, else in place of the stream we have.

        "It is RECOMMENDED that the media type be changed (as opposed to adding a new stream)" (RFC 3264 s8.3.3).
        """
        state = self._state
        slots = list(state.slots) or [Slot(media.kind, media.protocol, ())]
        place = state.place
        if slots[place].kind != media.kind:
            place = next((index for index, slot in enumerate(slots) if slot.kind == media.kind), place)
        slots[place] = Slot(media.kind, media.protocol, media.formats, slots[place].mid)
        return tuple(slots), place

    def _begin(self, state: State) -> None:
        self._before, self._state = self._state, state

    def _remember(self, codecs: Sequence[Codec]) -> None:
        self._numbers.update({codec.payload: codec.key for codec in codecs})

    def _stream(
        self,
        protocol: str,
        codecs: Sequence[Codec],
        direction: Direction,
        far: Description | None,
        cryptos: Sequence[Crypto],
        mux: bool,
        transport: Sequence[Attribute],
    ) -> Media:
        assert self._local is not None, "listen() first"
        media = write.stream(protocol, self._local, codecs, direction, cryptos, self._packet_times(far), far.bandwidth if far else ())
        extra = list(transport)
        if mux:
            extra.append(("rtcp-mux", None))
        if self._rtcp_port != self._local[1] + 1:  # RFC 3605
            extra.append(("rtcp", str(self._rtcp_port)))
        return replace(media, attributes=(*media.attributes, *extra)) if extra else media

    def _packet_times(self, far: Description | None) -> tuple[int | None, int | None]:
        """ptime and maxptime that the peer is asked for: what our rules say, else the far side."""
        said, longest = (far.ptime, far.maxptime) if far is not None else (None, None)
        ptime, longest = self.rules.ptime or said, self.rules.maxptime or longest
        return (min(ptime, longest) if ptime and longest else ptime), longest

    def _written(self, slots: Sequence[Slot], index: int, media: Media, bundled: bool) -> tuple[Session, bytes]:
        """The description and its octets; the version goes up exactly when the rest differs from the last one (RFC 3264 s8)."""
        assert self._local is not None
        last = self._state.written
        session = write.session(self._session_id, self._version + 1, self._local, slots, index, media, bundled)
        if last is not None and replace(last, origin=session.origin) == session:
            return last, self._state.body
        self._version += 1
        return session, session.encode()
