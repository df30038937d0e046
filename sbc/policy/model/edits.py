"""Edits of headers. Part of the policy language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from sbc.errors import ParseError
from sbc.policy import values
from sbc.policy.edits import FIXED, TAKEN_AWAY, Verb
from sbc.policy.expression import MAX_PATTERN, expression
from sbc.policy.problems import did_you_mean
from sbc.policy.words import NUMBER_OR_TEXT, HeaderText, Model, one_or_many, word
from sbc.sip.names import FROM, KNOWN, TO, HeaderName

VERBS: tuple[Verb, ...] = ("keep", "remove", "set", "add", "rename", "replace")
METHODS = (  # but CANCEL, which is said from hop to hop
    *("INVITE", "ACK", "BYE", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO", "REFER", "MESSAGE", "SUBSCRIBE", "NOTIFY"),
    "PUBLISH",
)
STANDARD_NAME = "standard"


def _name(text: str) -> HeaderName:
    try:
        return HeaderName(text)
    except ParseError:
        raise ValueError(f"{text!r} is no header name") from None


def _removable(text: str) -> str:
    """A name that may be taken away, or the beginning of names."""
    if text.endswith("*"):
        _name(text[:-1])
        return text.lower()
    name = _name(text)
    if name in FIXED:
        instead = "; callers_as, callers_at, display_names and others say how it looks" if name in (FROM, TO) else ""
        raise ValueError(f"{name.spelling} holds the dialog or the message together: no edit reaches it{instead}")
    return str(name)


def _kept(text: str) -> str:
    """The same, or the word for a whole list of names; what may not be taken away need not be kept."""
    if text == STANDARD_NAME or text.endswith("*"):
        return text if text == STANDARD_NAME else _removable(text)
    return str(_name(text))


def _editable(text: str) -> str:
    """A name whose value may be another one."""
    if text.endswith("*"):
        raise ValueError(f"{text!r}: '*' stands for many names in 'keep' and 'remove' only")
    name = _name(_removable(text))
    if name in TAKEN_AWAY:
        raise ValueError(f"{name.spelling} may be removed, but its value is not ours to choose")
    return KNOWN[name].spelling if name in KNOWN else text


def _instead(text: str) -> str:
    """Part of a value, with the spaces around it; or nothing."""
    values.header_text(f"x{text}x")
    return text


def _method(text: str) -> str:
    if text.upper() not in METHODS:
        raise ValueError(f"{text!r} is none of {', '.join(METHODS)}{did_you_mean(text.upper(), METHODS)}")
    return text.upper()


Kept = Annotated[str, *word(_kept, examples=["standard", "User-to-User", "X-*"])]
Removable = Annotated[str, *word(_removable, examples=["User-Agent", "X-*"])]
Editable = Annotated[str, *word(_editable, examples=["User-Agent", "P-Asserted-Identity", "X-Customer"])]
Instead = Annotated[str, *word(_instead, **NUMBER_OR_TEXT)]
Method = Annotated[str, *word(_method, enum=list(METHODS))]


class ReplaceModel(Model):
    """Part of a value becomes another one."""

    header: Editable = Field(description="Of which header. Each of its rows is looked at by itself.")
    match: Annotated[str, *word(str, **NUMBER_OR_TEXT, minLength=1, maxLength=MAX_PATTERN)] = Field(
        description="Regular expression (RE2): the first part of the value that it matches is replaced. ^ and $ are the ends of the value."
    )
    by: Instead = Field(
        description="What stands there instead; \\1 to \\9: what the groups of the pattern matched. A value that becomes empty goes."
    )

    @model_validator(mode="after")
    def _compiles(self) -> ReplaceModel:
        expression(self.match, self.by)
        return self


class EditModel(Model):
    """One edit: exactly one of keep, remove, set, add, rename, replace, and of which messages."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [verb]} for verb in VERBS]})
    keep: Annotated[list[Kept], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None,
        description="All other headers go, but those that the protocol needs. standard: the header fields that IANA has registered. "
        "X-* stands for all that begin so.",
    )
    remove: Annotated[list[Removable], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None, description="These headers go. X-* stands for all that begin so."
    )
    set: dict[Editable, HeaderText] | None = Field(
        None, min_length=1, description="One row of each, instead of all there were: {User-Agent: PBX}."
    )
    add: dict[Editable, HeaderText] | None = Field(None, min_length=1, description="One more row of each.")
    rename: dict[Editable, Editable] | None = Field(
        None, min_length=1, description="Old name to new name: {X-Caller: P-Asserted-Identity}."
    )
    replace: ReplaceModel | None = Field(None, description="Part of a value, by a regular expression.")
    messages: Literal["requests", "responses"] | None = Field(None, description="Of which messages. Default: of both.")
    methods: list[Method] | None = Field(
        None, min_length=1, description="Of requests with these methods, and of the answers to them. Default: of all."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_verb(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & set(VERBS)) != 1:
            raise ValueError(f"say what is to be done: exactly one of {', '.join(VERBS)}")
        return value

    @property
    def verb(self) -> Verb:
        return next(verb for verb in VERBS if getattr(self, verb) is not None)
