"""Secrets are named, never written. Part of the policy language."""

from __future__ import annotations

from pydantic import ConfigDict, Field, model_validator

from sbc.policy.words import Model, Text


class SecretModel(Model):
    """A secret is never written in a policy: it is read from a file or from the environment."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["file"]}, {"required": ["env"]}]})
    file: Text | None = Field(None, description="File with the secret in one line, relative to the policy folder. Mode 0600.")
    env: Text | None = Field(None, description="Environment variable with the secret.")

    @model_validator(mode="before")
    @classmethod
    def _never_inline(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError("a secret is never written in a policy: use {file: …} or {env: …}")
        if {"file", "env"} <= value.keys() or not value.keys() & {"file", "env"}:
            raise ValueError("a secret comes from exactly one of {file: …} and {env: …}")
        return value
