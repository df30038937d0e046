"""`identity:` in the policy language: whose certificates count when calls are verified (RFC 8224, 8226), and the files behind it."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import Field

from sbc.identity.credential import read_chain_of_trust, read_revoked
from sbc.policy.document import Document
from sbc.policy.problems import Problem
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


def check_files(document: Document, identity: IdentityModel | None, folder: Path, problems: list[Problem], warnings: list[Problem]) -> None:
    """Each file can be read and holds what it should."""
    if identity is None:
        return

    def note(key: str, what: str, into: list[Problem]) -> None:
        path = document.trim(("identity", key))
        into.append(Problem(document.place(path), path, what))

    issuers = []
    for key, file in (("roots", identity.roots), ("revoked_by", identity.revoked_by)):
        if file is None:
            continue
        try:
            issuers = read_chain_of_trust((folder / file).read_bytes())
        except OSError as error:
            note(key, f"{folder / file}: {error.strerror}", problems)
        except ValueError:
            note(key, f"{folder / file} holds no readable PEM certificate", problems)
    if identity.revoked is not None and issuers:
        try:
            _, late = read_revoked((folder / identity.revoked).read_bytes(), issuers, time.time())
        except OSError as error:
            note("revoked", f"{folder / identity.revoked}: {error.strerror}", problems)
        except ValueError as error:
            note("revoked", f"{folder / identity.revoked}: no list of revoked certificates that counts: {error}", problems)
        else:
            if late:
                note("revoked", "is out of date: whose certificate was revoked since then is still believed", warnings)
