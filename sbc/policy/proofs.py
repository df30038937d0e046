"""`identity:` in the policy language: whose certificates count when calls are verified (RFC 8224, 8226)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sbc.policy.snapshot import IdentityRules
from sbc.policy.words import Model, RoundTrip


class IdentityModel(Model):
    """STIR/SHAKEN: what it takes to verify who calls. Trunks say whether (`verify`)."""

    roots: str = Field(min_length=1, description="PEM file of the authorities that are trusted, as the policy administrator publishes it.")
    revoked: str | None = Field(None, min_length=1, description="File with the certificates that were revoked (CRL, DER or PEM).")
    revoked_by: str | None = Field(None, min_length=1, description="PEM certificate that signs `revoked`. Default: one of `roots`.")
    patience: RoundTrip | None = Field(
        None, description="How long a call waits for a signer's certificate that is not at hand. Default: 500ms; at most 2s."
    )


def rules_of(identity: IdentityModel | None, folder: Path) -> IdentityRules | None:
    if identity is None:
        return None
    default = IdentityRules("")
    return IdentityRules(
        str(folder / identity.roots),
        str(folder / identity.revoked) if identity.revoked is not None else None,
        str(folder / identity.revoked_by) if identity.revoked_by is not None else None,
        identity.patience if identity.patience is not None else default.patience,
    )
