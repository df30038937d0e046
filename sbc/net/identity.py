"""Who the certificate of a peer says it is, and whether that is who it should be (RFC 5922 s7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from sbc.errors import ParseError
from sbc.sip.uri import Uri

Certificate = Mapping[str, object]
"""As ssl's getpeercert gives it: verified against the authorities, and meant for TLS by its key usage; empty if there is none."""

MAX_NAMES = 100  # of one certificate; as many as the largest public authority puts into one


@dataclass(frozen=True, slots=True)
class Expected:
    """Whom we call: `name` is a domain or an address, lower case. `wildcards`: the operator allows what RFC 5922 s7.2 forbids."""

    name: str
    wildcards: bool = False

    def refusal(self, certificate: Certificate | None) -> str:
        """Why a peer with this certificate is not the one, or "" if it is."""
        if not certificate:
            return "the peer has no certificate"
        proven = names(certificate)
        if self.name in proven or (self.wildcards and f"*.{self.name.partition('.')[2]}" in proven):
            return ""
        return f"the certificate is for {', '.join(proven[:5]) or 'nobody'}, not for {self.name}"


def names(certificate: Certificate | None) -> tuple[str, ...]:
    """The domains a certificate names: SIP URIs first and alone if there are any, then DNS names and addresses, then the CN.

    RFC 5922 s7.1; whole names in lower case, international ones as xn--, so that a wildcard is just a name nobody has (s7.2).
    """
    if not certificate:
        return ()
    alternatives = _pairs(certificate.get("subjectAltName", ()))
    uris = [domain for kind, value in alternatives if kind == "URI" and (domain := _domain(value))]
    if uris:
        return tuple(uris[:MAX_NAMES])
    found = [value.lower().rstrip(".") for kind, value in alternatives if kind == "DNS"]
    found += [str(ip_address(value.strip())) for kind, value in alternatives if kind == "IP Address"]
    if not found and not alternatives:  # "If and only if the subjectAltName does not appear in the certificate" (s7.1)
        subject = certificate.get("subject", ())
        assert isinstance(subject, tuple)
        found = [value.lower() for part in subject for kind, value in _pairs(part) if kind == "commonName"]
    return tuple(found[:MAX_NAMES])


def _domain(text: str) -> str:
    """Of a SIP URI without a user; "" of any other: sips is no identity of a domain, a user is somebody in it (s7.1)."""
    try:
        uri = Uri.parse(text)
    except ParseError:
        return ""
    return uri.host.rstrip(".") if uri.scheme == "sip" and uri.user is None else ""


def _pairs(value: object) -> list[tuple[str, str]]:
    assert isinstance(value, tuple)
    return [(str(pair[0]), str(pair[1])) for pair in value if isinstance(pair, tuple)]
