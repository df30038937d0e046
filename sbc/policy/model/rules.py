"""Where calls go, how many, and whose do not. Part of the policy language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from sbc.policy import values
from sbc.policy.words import (
    NUMBER_OR_TEXT,
    Duration,
    Model,
    Name,
    NumberKinds,
    Patterns,
    Rate,
    RedressEmail,
    RedressTel,
    RedressUrl,
    ShortNumber,
    Statuses,
    UnwantedNumbers,
    word,
)


class WhenModel(Model):
    """Which calls. Exactly one of trunk, user and realm says whose."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in ("trunk", "user", "realm")]})
    trunk: Name | None = Field(None, description="Calls from this trunk.")
    user: Name | None = Field(None, description="Calls from this user.")
    realm: Name | None = Field(None, description="Calls from any trunk or user of this realm.")
    to: Patterns = Field(description='Called number after the dial plan, or name; "+49*" means any that begins so, "*" any at all.')
    not_to: Patterns | None = Field(None, description="But not these.")
    to_kind: NumberKinds | None = Field(
        None, description='And the called number is of one of these kinds: a country (GB), a type (premium), or both ("GB mobile").'
    )
    not_to_kind: NumberKinds | None = Field(None, description="And of none of these.")

    @model_validator(mode="before")
    @classmethod
    def _one_origin(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & {"trunk", "user", "realm"}) != 1:
            raise ValueError("say whose calls: exactly one of 'trunk', 'user' and 'realm'")
        return value


class RouteModel(Model):
    """One rule. The first route that matches wins; when none does, the caller gets 404."""

    name: Name = Field(description="What records and logs call it.")
    when: WhenModel = Field(description="Which calls.")
    send_to: list[Name] = Field(
        min_length=1, description="Trunks or users, tried in order. `owner`: whoever has the number; then only `numbers` fit the route."
    )
    next_on: list[Statuses] | None = Field(
        None, min_length=1, description="Answers that make us try the next one: 408, 5xx … Default: [408, 5xx]."
    )
    ring_for: Duration | None = Field(None, description="How long one attempt may ring. Default: 3m.")


class LimitsModel(Model):
    """Counted for each object that names it, separately, unless shared. Emergency calls are exempt."""

    calls: int | None = Field(None, ge=1, description="Calls at the same time.")
    new_calls: Rate | None = Field(None, description="New calls per time.")
    longest_call: Duration | None = Field(None, description="A call is ended after this time.")
    requests: Rate | None = Field(None, description="For strangers: requests per source and time.")
    shared: bool | None = Field(None, description="true: all objects that name it share one pool.")

    @model_validator(mode="before")
    @classmethod
    def _limits_something(cls, value: object) -> object:
        if isinstance(value, dict) and not value.keys() - {"shared"}:
            raise ValueError("limits nothing: give calls, new_calls, longest_call or requests")
        return value


class RedressModel(Model):
    """Whom somebody may turn to whose calls are blocked by analytics (ATIS-1000099)."""

    url: RedressUrl | None = Field(None, description="A page, https only.")
    tel: RedressTel | None = Field(None, description="A telephone number.")
    email: RedressEmail | None = Field(None, description="A mail address.")

    @model_validator(mode="before")
    @classmethod
    def _says_where(cls, value: object) -> object:
        if isinstance(value, dict) and not value:
            raise ValueError("nobody could complain: give at least one of url, tel and email")
        return value


class BlockModel(Model):
    """Numbers whose calls a party does not get. Emergency services that call back always get through."""

    callers: UnwantedNumbers = Field(description='Calling numbers, or their beginnings: ["+4990*", "+882*"].')
    answer: Literal[403, 603, 607] | None = Field(
        None, description="What such a caller gets. 603: declined, the default. 403: forbidden. 607: the called party does not want it."
    )
    redress: RedressModel | None = Field(
        None, description="These numbers come from analytics: the caller gets 603 Network Blocked, and is told whom to turn to."
    )

    @model_validator(mode="after")
    def _one_answer(self) -> BlockModel:
        if self.redress is not None and self.answer not in (None, 603):
            raise ValueError("what analytics block is answered 603: take 'answer' out, or 'redress'")
        return self


class EmergencyModel(Model):
    """Matched before the dial plan and exempt from every limit."""

    numbers: list[ShortNumber] = Field(min_length=1, description='As people dial them: ["112", "110"]. urn:service:sos always counts.')
    send_to: list[Name] = Field(min_length=1, description="Trunks, tried in order whatever goes wrong.")


class StrangersModel(Model):
    """Requests from a source that is no trunk and has no account."""

    answer: Annotated[
        int | None,
        *word(values.stranger_answer, **NUMBER_OR_TEXT, pattern="^(nothing|[4-6][0-9]{2})$"),
    ] = Field(None, description="nothing: silence, the default; or a final status such as 403.")
    limits: Name | None = Field(None, description="Which `limits` object applies to each source; it counts requests.")
