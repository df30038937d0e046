"""Remote-Party-ID (draft-ietf-sip-privacy-04 s6): what Cisco and others spoke before P-Asserted-Identity."""

from __future__ import annotations

from collections.abc import Iterable

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import Params, format_params, is_token, split_rows, unquote

MAX_VALUES = 8  # calling, called and one of each id-type are five
_TYPED = ("party", "screen", "privacy", "id-type")


@frozen
class RemotePartyId:
    """`party` is "calling", "called" or "" (then: who sends it); `screened`: the network has verified it; `id_type` "subscriber", …

    `privacy` holds the words of the parameter, such as "full", "name", "uri", "off"; all in lower case. `params` are all others, raw.
    """

    address: NameAddr
    party: str = ""
    screened: bool = False
    privacy: tuple[str, ...] = ()
    id_type: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> RemotePartyId:
        """One value. ParseError."""
        address = NameAddr.parse(text)
        party, screen, privacy, id_type = [unquote(address.param(name) or "").lower() for name in _TYPED]
        return cls(
            NameAddr(address.display, address.uri),
            party if is_token(party) else "",
            screen == "yes",
            tuple([word for each in privacy.replace(";", ",").split(",") if is_token(word := each.strip(" \t"))]),
            id_type if is_token(id_type) else "",
            tuple([item for item in address.params if item[0] not in _TYPED]),
        )

    @property
    def private(self) -> bool:
        """Name or number are not to be shown. An unknown word counts: rather hide too much."""
        return any(word != "off" for word in self.privacy)

    def __str__(self) -> str:
        text = str(self.address)
        if self.party:
            text += f";party={self.party}"
        if self.id_type:
            text += f";id-type={self.id_type}"
        if self.privacy:
            text += f";privacy={self.privacy[0]}" if len(self.privacy) == 1 else f';privacy="{",".join(self.privacy)}"'
        return f"{text};screen={'yes' if self.screened else 'no'}{format_params(self.params)}"


def parse_remote_parties(rows: Iterable[str]) -> tuple[RemotePartyId, ...]:
    """All values of a message. ParseError, also for more than a call has parties."""
    items = split_rows(rows)
    if len(items) > MAX_VALUES:
        raise ParseError("more parties than a call has")
    return tuple([RemotePartyId.parse(item) for item in items])
