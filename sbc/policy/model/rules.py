"""Where calls go, how many, and whose do not. Part of the policy language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from sbc.policy import values
from sbc.policy.words import (
    NUMBER_OR_TEXT,
    Bandwidth,
    Duration,
    LimitNames,
    Model,
    Name,
    NumberKinds,
    Patterns,
    Rate,
    RedressEmail,
    RedressTel,
    RedressUrl,
    ShortNumber,
    ShownNumber,
    Statuses,
    UnwantedNumbers,
    word,
)

RATES = frozenset({"new_calls", "new_calls_from", "new_calls_to", "requests"})


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
    shows: ShownNumber | None = Field(
        None, description='Whom the called side sees: caller (default), nobody, or a number in full: "+4930123456".'
    )
    ring_for: Duration | None = Field(None, description="How long one attempt may ring. Default: 3m.")
    limits: LimitNames | None = Field(None, description="Which `limits` objects apply to the calls of this route.")
    cli: Literal["shown", "hidden", "call-center"] | None = Field(
        None,
        description="What kind of route it is. shown (CLI): `needs_caller: true`. hidden (Non-CLI): `shows: nobody`. "
        "call-center (CC): as shown, and callers show numbers of their own. Default: that of the trunks it leads to.",
    )
    needs_caller: bool | None = Field(
        None,
        description="true: only calls that show their caller, by a number that may exist and that no proof speaks against.",
    )


class LimitsModel(Model):
    """Counted for each object that names it, separately, unless shared. Emergency calls are exempt."""

    calls: int | None = Field(None, ge=1, description="Calls at the same time, both those from the object and those to it.")
    calls_from: int | None = Field(None, ge=1, description="Calls at the same time that come from the trunk or user.")
    calls_to: int | None = Field(None, ge=1, description="Calls at the same time that go to the trunk or user.")
    new_calls: Rate | None = Field(None, description="New calls per time, both those from the object and those to it.")
    new_calls_from: Rate | None = Field(None, description="New calls per time that come from the trunk or user.")
    new_calls_to: Rate | None = Field(None, description="New calls per time that go to the trunk or user.")
    burst: int | None = Field(None, ge=1, description="New calls, or requests, at once. Default: one second's worth, at least one.")
    bandwidth: Bandwidth | None = Field(None, description="What the media of its calls may take, each way, in bits a second: 10M, 512k.")
    longest_call: Duration | None = Field(None, description="A call is ended after this time.")
    requests: Rate | None = Field(
        None, description="Requests per time, registrations and new calls among them, those within calls not. Of strangers: per source."
    )
    shared: bool | None = Field(None, description="true: all objects that name it share one pool.")
    for_each: Literal["caller", "called", "source"] | None = Field(
        None, description="Counted apart for each calling number, each called number, or each address that calls come from."
    )

    @model_validator(mode="before")
    @classmethod
    def _limits_something(cls, value: object) -> object:
        if isinstance(value, dict) and not value.keys() - {"shared", "for_each", "burst"}:
            raise ValueError("limits nothing: give calls, new_calls, bandwidth, longest_call or requests")
        if isinstance(value, dict) and "burst" in value and not value.keys() & RATES:
            raise ValueError("'burst' belongs to a rate: give new_calls or requests, too")
        return value

    @model_validator(mode="after")
    def _both_ways(self) -> LimitsModel:
        for whole, parts in (("calls", (self.calls_from, self.calls_to)), ("new_calls", (self.new_calls_from, self.new_calls_to))):
            most = getattr(self, whole)
            for way, part in zip(("from", "to"), parts, strict=True):
                if most is not None and part is not None and part > most:
                    raise ValueError(f"{whole}_{way} is never reached: it is more than {whole}, which counts both ways together")
        return self


class LineModel(Model):
    """Numbers that have an owner and limits of their own."""

    owner: Name = Field(description="The trunk or user that has them.")
    limits: LimitNames | None = Field(None, description="Which `limits` objects apply to calls of its owner to and from these numbers.")


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

    callers: UnwantedNumbers | None = Field(None, description='Calling numbers, or their beginnings: ["+4990*", "+882*"].')
    file: str | None = Field(
        None,
        min_length=1,
        description="A file of more of them, one a line: a number, a range, or how a block begins.",
    )
    answer: Literal[403, 603, 607] | None = Field(
        None, description="What such a caller gets. 603: declined, the default. 403: forbidden. 607: the called party does not want it."
    )
    redress: RedressModel | None = Field(
        None, description="These numbers come from analytics: the caller gets 603 Network Blocked, and is told whom to turn to."
    )

    @model_validator(mode="after")
    def _one_answer(self) -> BlockModel:
        if self.callers is None and self.file is None:
            raise ValueError("blocks nobody: give 'callers', or a 'file' of them")
        if self.redress is not None and self.answer not in (None, 603):
            raise ValueError("what analytics block is answered 603: take 'answer' out, or 'redress'")
        return self


class HelpedModel(Model):
    """Emergency calls of strangers: from a source that is no trunk and has proved nothing. All of a realm share these."""

    media: Name = Field(description="Which `media` object applies to them.")
    calls: int = Field(ge=1, le=100, description="Calls at the same time.")
    new_calls: Rate = Field(description="New calls per time; as many as `calls` at once after a quiet while.")


class EmergencyModel(Model):
    """Matched before the dial plan and exempt from every limit."""

    numbers: list[ShortNumber] = Field(min_length=1, description='As people dial them: ["112", "110"]. urn:service:sos always counts.')
    send_to: list[Name] = Field(min_length=1, description="Trunks, tried in order whatever goes wrong.")
    strangers: HelpedModel | None = Field(
        None, description="How many emergency calls are taken from strangers. Default: none, strangers are treated as ever."
    )


class EverybodyModel(Model):
    """All calls and requests together, whosever they are."""

    limits: LimitNames = Field(description="Which `limits` objects apply to all of them.")


class StrangersModel(Model):
    """Requests from a source that is no trunk and has no account."""

    answer: Annotated[
        int | None,
        *word(values.stranger_answer, **NUMBER_OR_TEXT, pattern="^(nothing|[4-6][0-9]{2})$"),
    ] = Field(None, description="nothing: silence, the default; or a final status such as 403.")
    limits: Name | None = Field(None, description="Which `limits` object applies to each source; it counts requests.")
