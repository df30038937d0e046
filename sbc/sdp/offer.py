"""Offer and answer for a relay (RFC 3264, 6337): each leg speaks for itself, only what `Description` holds crosses over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from media.api import Address, Keys, Role, SideSpec, Suite
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
    Keying,
    Slot,
    choose_stream,
    describe,
    describe_fax,
    refusal,
    slots_of,
)
from sbc.sdp.dtls import OFFERED_PROTOCOL, Own, dtls_lines, ice_lines, role_answered, role_answering
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.model import Attribute, Codec, Direction, Media, Session
from sbc.sdp.parse import SdpError, parse_session
from sbc.sdp.relay import Agreement, events_to, relay_side
from sbc.sdp.rules import MediaRules
from sbc.sdp.translation import answer_codecs, offered_codecs
from sbc.sdp.write import numbered

__all__ = ["Codec", "Description", "Direction", "Mark", "MediaLeg", "MediaRules", "SdpError", "fit_together", "relay_sides"]

# Seen in the field and harmless: both parties pressing hold, and a mux we did not ask for and do not use.
_TOLERATED = frozenset((Problem.DIRECTION, Problem.RTCP_MUX))


_NO_KEYS: Mapping[Suite, Keys] = {}


class _State(NamedTuple):
    """All of a leg that a failed re-offer has to put back."""

    open: Literal["", "sent", "received"] = ""  # the offer that waits for its answer
    offered: bool = False  # `written` is an offer of ours
    written: Session | None = None  # our last description
    body: bytes = b""
    codecs: tuple[Codec, ...] = ()  # those of `written`
    direction: Direction = Direction.SENDRECV  # that of `written`
    peer: Description | None = None  # the peer's last offer
    crypto: Crypto | None = None  # the line of it we take
    slots: tuple[Slot, ...] = ()
    place: int = 0  # of the stream among them
    keys: Mapping[Suite, Keys] = _NO_KEYS  # what we send with, when that suite is agreed
    agreed: Agreement | None = None
    own: Own | None = None  # our half of DTLS and ICE, once there is any

    def __repr__(self) -> str:
        return f"<{self.open or 'settled'}>"  # the rest holds keys


Mark = tuple[_State, _State]


class MediaLeg:
    """Our side of offer/answer on one leg; owns its o= line.

    An exchange is `receive_offer` then `make_answer`, or `make_offer` then `receive_answer`; the second step may come
    again (an early answer and the final one, another branch of a fork). A method that raises changes nothing.
    `listen` must have been called before anything is made.
    """

    def __init__(self, rules: MediaRules, session_id: int, accept_private: bool = True, accept_loopback: bool = False) -> None:
        """`session_id`: a number nobody can guess. Loopback media hosts are accepted, too, when our own address is one."""
        self.rules = rules
        self._session_id = session_id
        self._accept_private = accept_private
        self._accept_loopback = accept_loopback
        self._local: Address | None = None
        self._rtcp_port = 0
        self._fingerprint = ""
        self._version = 0
        self._numbers: dict[int, tuple[str, int, int]] = {}  # dynamic payload type -> encoding, for the whole session
        self._state = _State()
        self._before = self._state  # as it was when the open offer came

    @property
    def agreed(self) -> Agreement | None:
        """What holds since the last answer; None before the first."""
        return self._state.agreed

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
        self._state = self._state._replace(keys=_NO_KEYS)

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
        keys = _NO_KEYS  # of a fax; those from before it are not used again, for their packets would be counted from nothing
        if far is not None and far.kind == FAX:
            media = self._offered_fax(far)
        else:
            codecs = numbered(offered_codecs(far, self.rules), self._numbers)
            if not is_audible(codecs):
                raise refusal(INCOMPATIBLE_FORMAT, "no common codec")
            protocol, keyed = self._offered_protocol(secure_hop)
            sdes = keyed == "sdes"
            in_force = state.agreed.send_keys if state.agreed is not None else None
            mki = in_force.mki if in_force is not None else b""
            keys = {suite: state.keys.get(suite) or _fresh(suite, ids, mki) for suite in self.rules.suites} if sdes else state.keys
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
        keys = _NO_KEYS if peer.kind == FAX else state.keys
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

    def _begin(self, state: _State) -> None:
        self._before, self._state = self._state, state

    def _remember(self, codecs: Sequence[Codec]) -> None:
        self._numbers.update({codec.payload: codec.key for codec in codecs})

    def _offered_protocol(self, secure_hop: bool) -> tuple[str, Keying]:
        """The protocol of our offer and where its keys come from: what is in force for speech, else what the rules say."""
        agreed = self._state.agreed
        if agreed is not None and agreed.peer.kind != FAX:
            return agreed.protocol, "dtls" if agreed.dtls else "sdes" if agreed.send_keys else ""
        if self.rules.srtp == "off" or (self.rules.srtp == "optional" and not secure_hop):
            return "RTP/AVP", ""
        for keying in self.rules.keying:
            if keying == "sdes" and secure_hop:
                return "RTP/SAVP", "sdes"
            if keying == "dtls" and self._fingerprint:
                return OFFERED_PROTOCOL, "dtls"
        raise refusal(MISCELLANEOUS, "SRTP keys need signalling over TLS")

    def _offered_transport(self, own: Own, keyed: Keying) -> list[Attribute]:
        """With DTLS the peer may always choose its role (RFC 8842 s5.5). ICE is in the first offer, and stays if it was taken."""
        assert self._local is not None, "listen() first"
        agreed = self._state.agreed
        lines = dtls_lines(self._fingerprint, "actpass", own.tls_id) if keyed == "dtls" else []
        return lines + ice_lines(own, self._local) if agreed is None or agreed.ice else lines

    def _answering_transport(self, peer: Description, ids: Ids) -> tuple[Own, Role | None]:
        """Our half and our role in the peer's DTLS: those in force while its association and its ICE session go on (RFC 8842 s5.5)."""
        own, agreed = self._state.own, self._state.agreed
        before = agreed.peer.transport if agreed is not None else None
        dtls = agreed.dtls if agreed is not None else None
        kept = dtls.role if dtls and before and peer.transport.is_same_association(before) else None
        if own is None or (dtls and kept is None):
            own = Own.fresh(ids)
        elif before is not None and before.ufrag != peer.transport.ufrag:
            own = own.restarted(ids)
        return own, role_answering(peer.transport, kept) if peer.keyed == "dtls" else None

    def _answered_transport(self, own: Own, role: Role | None, peer: Description) -> list[Attribute]:
        assert self._local is not None, "listen() first"
        lines: list[Attribute] = []
        if role is not None:
            if not self._fingerprint:
                raise refusal(MISCELLANEOUS, "no DTLS here")
            lines += dtls_lines(self._fingerprint, role, own.tls_id if peer.transport.tls_id else "")
        return lines + ice_lines(own, self._local) if peer.transport.ufrag else lines

    def _offered_cryptos(self, keys: Mapping[Suite, Keys]) -> list[Crypto]:
        """One line for each suite of the rules; later only the one in force, under the tag it was agreed by."""
        agreed, taken = self._state.agreed, self._state.crypto
        lines = [Crypto(tag, suite, keys[suite]) for tag, suite in enumerate(self.rules.suites, 1)]
        if agreed is None or agreed.send_keys is None:
            return lines
        suite = agreed.send_keys.suite
        if taken is not None and taken.suite == suite:
            return [Crypto(taken.tag, suite, keys[suite])]
        return [line for line in lines if line.suite == suite]

    def _answering_crypto(self, ids: Ids) -> Crypto | None:
        """Our half of the line taken: the key in force as long as the peer keeps its own, else a fresh one.

        A peer with a new key starts a new context (RFC 4568 s7.1.4); it may be another device that never saw our old one. Where its packets
        carry an MKI ours do, too: it need not (RFC 4568 s5.1.2), but those who use one know nothing else.
        """
        taken, agreed = self._state.crypto, self._state.agreed
        if taken is None or taken.keys is None:
            return None
        same = agreed is not None and agreed.receive_keys == taken.keys
        keys = agreed.send_keys if agreed is not None and same else None
        return Crypto(taken.tag, taken.suite, keys or _fresh(taken.keys.suite, ids, taken.keys.mki))

    def _answered_keys(self, peer: Description) -> tuple[Keys | None, Keys | None]:
        """Our key and the peer's; `check_answer` has seen that its line is one of those offered."""
        assert self._state.written is not None
        if self._state.written.media[self._state.place].first("crypto") is None:
            return None, None
        theirs = peer.cryptos[0].keys if peer.cryptos else None
        if theirs is None:
            raise refusal(MISCELLANEOUS, "no usable a=crypto line")
        return self._state.keys[theirs.suite], theirs

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
        media = write.stream(protocol, self._local, codecs, direction, far, cryptos)
        extra = list(transport)
        if mux:
            extra.append(("rtcp-mux", None))
        if self._rtcp_port != self._local[1] + 1:  # RFC 3605
            extra.append(("rtcp", str(self._rtcp_port)))
        return replace(media, attributes=(*media.attributes, *extra)) if extra else media

    def _written(self, slots: Sequence[Slot], index: int, media: Media, bundled: bool) -> tuple[Session, bytes]:
        """The description and its octets; the version goes up exactly when the rest differs from the last one (RFC 3264 s8)."""
        assert self._local is not None
        last = self._state.written
        session = write.session(self._session_id, self._version + 1, self._local, slots, index, media, bundled)
        if last is not None and replace(last, origin=session.origin) == session:
            return last, self._state.body
        self._version += 1
        return session, session.encode()


def relay_sides(
    a: MediaLeg, b: MediaLeg, *, latch_a: tuple[str, ...], latch_b: tuple[str, ...], all_digits: bool = False
) -> tuple[SideSpec, SideSpec]:
    """What the relay has to do for what both legs agreed on; `latch_*`: further hosts each peer may send from.

    A leg that has not agreed yet gets a side that neither takes nor sends anything. `all_digits`: whatever the rules withhold.
    """
    digits_a, digits_b = all_digits or b.rules.hears_digits_of(a.rules), all_digits or a.rules.hears_digits_of(b.rules)
    side_a = relay_side(a.agreed, b.agreed, a.rules, latch_from=latch_a, digits=digits_a)
    side_b = relay_side(b.agreed, a.agreed, b.rules, latch_from=latch_b, digits=digits_b)
    return _shaped(side_a, a, b, hears=digits_b), _shaped(side_b, b, a, hears=digits_a)


def _shaped(side: SideSpec, here: MediaLeg, there: MediaLeg, *, hears: bool) -> SideSpec:
    """With what of the stream to the peer of `here` is ours. `hears`: it may know what the other one types."""
    if here.agreed is None or here.agreed.peer.kind == FAX:
        return side
    events, one_stream = events_to(here.agreed, there.agreed) if hears else None, here.rules.ssrc == "rewrite"
    if events is None and not one_stream:
        return side
    return replace(side, events=events, ssrc=here.ssrc, one_stream=one_stream)


def fit_together(offered: Description, far: Description) -> bool:
    """Whether an offer could be answered by what somebody else has offered: two who wait for an answer are to hear each other."""
    return offered.kind == far.kind != FAX and is_audible(answer_codecs(offered, far))


def _fresh(suite: Suite, ids: Ids, mki: bytes) -> Keys:
    return Keys(suite, ids.random(suite.key_length), mki)
