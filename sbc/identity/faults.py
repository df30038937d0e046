"""What can be wrong with a proof of identity, as the answer a verifier gives that insists on one (RFC 8224 s6.2.2)."""

from __future__ import annotations

from sbc.errors import SipError


class IdentityFault(SipError):
    """One Identity header proves nothing; the text says why."""


class StaleDate(IdentityFault):
    status, reason = 403, "Stale Date"


class NoSupportedFormat(IdentityFault):
    status, reason = 428, "Use Supported PASSporT Format"


class BadIdentityInfo(IdentityFault):
    """The credential cannot be had."""

    status, reason = 436, "Bad Identity Info"


class UnsupportedCredential(IdentityFault):
    """There is a credential, and nothing to trust in it."""

    status, reason = 437, "Unsupported Credential"


class InvalidIdentity(IdentityFault):
    """Syntax, signature, or not about this call."""

    status, reason = 438, "Invalid Identity Header"


class InvalidPassport(IdentityFault):
    """What is signed is not what a PASSporT of its kind says."""

    status, reason = 438, "Invalid PASSporT"
