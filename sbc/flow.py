"""A flow: the transport association a message came by or shall leave by (RFC 5626 s3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Transport = Literal["UDP", "TCP", "TLS", "WS", "WSS", "QUIC"]
TRANSPORTS: Mapping[str, Transport] = {"UDP": "UDP", "TCP": "TCP", "TLS": "TLS", "WS": "WS", "WSS": "WSS", "QUIC": "QUIC"}
Address = tuple[str, int]  # numeric host without brackets, port


class Flow(NamedTuple):
    """`local` names the listener (its bound address); `connection` is 0 for UDP and for "any connection to `remote`".

    By QUIC a site is reached, whatever connections it has: `remote` stands for it (sbc.policy.sites), and `connection` is 0.

    `names` are the domains that the certificate at the other end proved, in lower case (RFC 5922 s7); mostly it has none.
    """

    realm: str
    transport: Transport
    local: Address
    remote: Address
    connection: int = 0
    names: tuple[str, ...] = ()

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"

    @property
    def secure(self) -> bool:
        return self.transport in ("TLS", "WSS", "QUIC")
