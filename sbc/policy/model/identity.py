"""Proofs of who calls (RFC 8224, 8226): whose certificates count, and how we sign. Part of the policy language."""

from __future__ import annotations

from pydantic import Field, model_validator

from sbc.policy.model.secrets import SecretModel
from sbc.policy.words import CertificateUrl, Model, Name, RoundTrip, ServiceUrl


class ServiceModel(Model):
    """An authentication service (ATIS-1000082) that signs for us."""

    url: ServiceUrl = Field(description="Where signing requests are sent: https://HOST/stir/v1/signing.")
    timeout: RoundTrip | None = Field(None, description="How long a call waits for it, then it goes unsigned. Default: 500ms; at most 2s.")
    token: SecretModel | None = Field(None, description="What we show it (Authorization: Bearer), {file: …} or {env: …}.")
    ca: str | None = Field(
        None, min_length=1, description="PEM file of the authorities that may sign its certificate. Default: those of the system."
    )


class SignModel(Model):
    """What it takes to sign calls: a key of our own, or somebody who does it for us."""

    certificate: Name | None = Field(None, description="NAME of our certificate (certs/NAME.pem, with its chain; certs/NAME.key).")
    url: CertificateUrl | None = Field(
        None, description="Where that file is published for those who verify. Another certificate gets another URL."
    )
    service: ServiceModel | None = Field(None, description="An authentication service, instead of `certificate` and `url`.")
    origid: SecretModel | None = Field(
        None,
        description="A secret, {file: …} or {env: …}, that `origid` is worked out from. Default: the key, and it changes with that.",
    )

    @model_validator(mode="before")
    @classmethod
    def _by_one_way(cls, value: object) -> object:
        if isinstance(value, dict):
            if ("service" in value) == bool(value.keys() & {"certificate", "url"}):
                raise ValueError("needs 'certificate' and 'url' of ours, or a 'service' that signs for us: one of the two")
            if "service" not in value and len(value.keys() & {"certificate", "url"}) != 2:
                raise ValueError("needs both 'certificate' and 'url', where that is published")
            if "service" in value and "origid" not in value:
                raise ValueError("needs 'origid', a secret that customers' origid is worked out from: {file: …} or {env: …}")
        return value


class LoopbackModel(Model):
    """Development on one machine, where no certificate can be on the Internet."""

    authority: str = Field(
        min_length=1, description="PEM file of the authorities that web servers on this machine (127.0.0.1) have their certificate from."
    )
    certificate: Name | None = Field(
        None, description="NAME of a certificate for localhost: we serve our own `url`, which is then https://localhost:8443/…, with it."
    )


class IdentityModel(Model):
    """STIR/SHAKEN: what it takes to verify who calls, and to sign. Trunks say whether (`verify`, `sign`)."""

    roots: str | None = Field(
        None, min_length=1, description="PEM file of the authorities that are trusted, as the policy administrator publishes it."
    )
    revoked: str | None = Field(None, min_length=1, description="File with the certificates that were revoked (CRL, DER or PEM).")
    revoked_by: str | None = Field(None, min_length=1, description="PEM certificate that signs `revoked`. Default: one of `roots`.")
    patience: RoundTrip | None = Field(
        None, description="How long a call waits for a signer's certificate that is not at hand. Default: 500ms; at most 2s."
    )
    sign: SignModel | None = Field(None, description="Our key, and where its certificate is published.")
    insecure_loopback: LoopbackModel | None = Field(
        None, description="For development: signers' certificates may also be on this machine itself. Default: never."
    )

    @model_validator(mode="before")
    @classmethod
    def _for_something(cls, value: object) -> object:
        if isinstance(value, dict):
            if not value.keys() & {"roots", "sign"}:
                raise ValueError("needs 'roots' to verify calls, 'sign' to sign them, or both")
            if "roots" not in value and (alone := sorted(value.keys() & {"revoked", "revoked_by", "patience"})):
                raise ValueError(f"{alone[0]} is for verifying: needs 'roots'")
        return value
