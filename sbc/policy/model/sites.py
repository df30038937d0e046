"""Remote sites that are linked to us. Part of the policy language."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from sbc.policy.words import Host, Model, Pin, one_or_many


class SiteModel(Model):
    """A remote site: `sbc link` runs there, and everything between it and us goes by QUIC, which it opens to us."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["pin"]}, {"required": ["certificate"]}]})
    pin: Annotated[list[Pin], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None, description="SHA-256 of its certificate, or of those it may have: the old one and the new one."
    )
    certificate: Host | None = Field(
        None, description="Instead of a pin: the name in its certificate, which an authority of the realm's `client_ca` has signed."
    )
    connections: int | None = Field(None, ge=1, le=10, description="How many connections it may have at a time. Default: 1.")
    calls_per_connection: int | None = Field(
        None, ge=1, le=100, description="How many calls one connection carries; more are refused. Default: 50."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_by_one(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & {"pin", "certificate"}) != 1:
            raise ValueError("how is it known? Give 'pin', or 'certificate' when an authority signs it: exactly one of them")
        return value
