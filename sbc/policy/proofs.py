"""`identity:` of the policy as the snapshot has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sbc.policy.model import IdentityModel, SignModel
from sbc.policy.problems import Path as Keys
from sbc.policy.realms import KeyPair
from sbc.policy.snapshot import IdentityRules, ServiceRules, SigningRules


def rules_of(identity: IdentityModel | None, folder: Path, certs: Path, secrets: Mapping[Keys, str]) -> IdentityRules | None:
    if identity is None:
        return None
    default = IdentityRules(None)
    return IdentityRules(
        str(folder / identity.roots) if identity.roots is not None else None,
        str(folder / identity.revoked) if identity.revoked is not None else None,
        str(folder / identity.revoked_by) if identity.revoked_by is not None else None,
        identity.patience if identity.patience is not None else default.patience,
        _own(identity.sign, certs, secrets) if identity.sign is not None else None,
        _service(identity.sign, folder, secrets) if identity.sign is not None else None,
        str(folder / identity.insecure_loopback.authority) if identity.insecure_loopback is not None else None,
        _pair(certs, identity.insecure_loopback.certificate) if identity.insecure_loopback is not None else None,
    )


def _own(sign: SignModel, certs: Path, secrets: Mapping[Keys, str]) -> SigningRules | None:
    if sign.url is None:
        return None
    pair = _pair(certs, sign.certificate)
    assert pair is not None
    return SigningRules(pair, sign.url, secrets.get(("identity", "sign", "origid"), ""))


def _pair(certs: Path, name: str | None) -> KeyPair | None:
    return KeyPair(str(certs / f"{name}.pem"), str(certs / f"{name}.key")) if name is not None else None


def _service(sign: SignModel, folder: Path, secrets: Mapping[Keys, str]) -> ServiceRules | None:
    service = sign.service
    if service is None:
        return None
    return ServiceRules(
        service.url,
        secrets["identity", "sign", "origid"],
        service.timeout if service.timeout is not None else ServiceRules("", "").timeout,
        secrets.get(("identity", "sign", "service", "token"), ""),
        str(folder / service.ca) if service.ca is not None else None,
    )
