"""Where the keys of a leg's media come from, and how its peer's address is found: SDES, DTLS, ICE."""

from __future__ import annotations

from collections.abc import Mapping

from media.api import Address, Keys, Role, Suite
from sbc.clock import Ids
from sbc.sdp.crypto import Crypto
from sbc.sdp.describe import MISCELLANEOUS, Description, Keying, refusal
from sbc.sdp.dtls import OFFERED_PROTOCOL, Own, dtls_lines, ice_lines, role_answering
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.model import Attribute
from sbc.sdp.rules import MediaRules
from sbc.sdp.state import State


class KeyedLeg:
    """That half of `MediaLeg`."""

    def __init__(self, rules: MediaRules) -> None:
        self.rules = rules
        self._local: Address | None = None
        self._fingerprint = ""
        self._state = State()

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
        return Crypto(taken.tag, taken.suite, keys or fresh(taken.keys.suite, ids, taken.keys.mki))

    def _answered_keys(self, peer: Description) -> tuple[Keys | None, Keys | None]:
        """Our key and the peer's; `check_answer` has seen that its line is one of those offered."""
        assert self._state.written is not None
        if self._state.written.media[self._state.place].first("crypto") is None:
            return None, None
        theirs = peer.cryptos[0].keys if peer.cryptos else None
        if theirs is None:
            raise refusal(MISCELLANEOUS, "no usable a=crypto line")
        return self._state.keys[theirs.suite], theirs


def fresh(suite: Suite, ids: Ids, mki: bytes) -> Keys:
    return Keys(suite, ids.random(suite.key_length), mki)
