"""The words of the policy language: scalars, and what all its objects have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import netaddr
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from media.api import Suite
from sbc.policy import numbering, plans, values
from sbc.policy.snapshot import Peer
from sbc.sip.digest import HASHES
from sbc.sip.fields.resource_priority import NAMESPACES

T = TypeVar("T")


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def word(parse: Callable[[str], T], **schema: Any) -> tuple[PlainValidator, WithJsonSchema]:
    """A scalar that `parse` understands. Plain decimals are text here: `112` is a number people dial."""

    def validate(value: object) -> T:
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise ValueError("must be text")
        return parse(str(value))

    return PlainValidator(validate), WithJsonSchema({"type": "string", **schema})


def one_or_many(value: object) -> object:
    return value if isinstance(value, list) else [value]


NUMBER_OR_TEXT: dict[str, Any] = {"type": ["string", "integer"]}

Name = Annotated[str, *word(values.name, **NUMBER_OR_TEXT, pattern="^[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,63}$")]
Text = Annotated[str, *word(str, minLength=1)]
_LIMIT_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}]}
LimitNames = Annotated[list[Name], BeforeValidator(one_or_many), Field(min_length=1), WithJsonSchema(_LIMIT_NAMES)]
Duration = Annotated[float, *word(values.duration, pattern="^[0-9]+[smhd]$", examples=["60s", "2m", "4h"])]
RoundTrip = Annotated[float, *word(values.round_trip, pattern="^[0-9]+(ms|s)$", examples=["200ms", "500ms", "1s"])]
Rate = Annotated[float, *word(values.rate, pattern="^[0-9]+/[smhd]$", examples=["20/s", "100/m", "50/d"])]
Bandwidth = Annotated[int, *word(values.bandwidth, pattern="^[0-9]+[kMG]$", examples=["512k", "10M", "1G"])]
Address = Annotated[str, *word(values.address, examples=["10.0.1.10", "2001:db8::10"])]
Host = Annotated[str, *word(values.host, examples=["sbc.example.net"])]
Listener = Annotated[values.ListenerUrl, *word(values.listener, pattern="^(udp|tcp|tls|ws|wss|quic)://", examples=["tls://10.0.1.10:5061"])]
Pin = Annotated[str, *word(values.pin, pattern="^(sha256:)?[0-9A-Fa-f:]{64,95}$")]
HostPort = Annotated[tuple[str, int], *word(values.host_port, examples=["sbc.example.com:5063"])]
Origin = Annotated[str, *word(values.origin, pattern="^https?://[^/]+$", examples=["https://phone.example.com"])]
Ports = Annotated[values.PortRange, *word(values.port_range, pattern="^[0-9]+-[0-9]+$", examples=["20000-29999"])]
Network = Annotated[netaddr.IPNetwork, *word(values.network, examples=["10.20.0.0/24", "192.0.2.7"])]
PeerUri = Annotated[Peer, *word(values.peer, pattern="^sips?:", examples=["sip:gw.example.com", "sip:10.0.0.1:5080;transport=tcp"])]
Statuses = Annotated[frozenset[int], *word(values.statuses, **NUMBER_OR_TEXT, pattern="^[3-6]([0-9]{2}|xx)$")]
Account = Annotated[str, *word(values.account, **NUMBER_OR_TEXT, pattern="^[A-Za-z0-9_.+*~!-]{1,64}$")]
DigestUser = Annotated[str, *word(values.digest_user, **NUMBER_OR_TEXT, pattern="^[!-~]{1,128}$")]
Pattern = Annotated[str, *word(values.pattern, **NUMBER_OR_TEXT, examples=["+49*", "+4930123456", "alice", "*"])]
Patterns = Annotated[list[Pattern], BeforeValidator(one_or_many), Field(min_length=1)]
DialPrefix = Annotated[str, *word(values.dial_prefix, pattern="^\\+?[0-9*#]*$")]
DialReplacement = Annotated[str, *word(values.dial_replacement, **NUMBER_OR_TEXT, pattern="^\\+?[0-9]*$")]
NumberKinds = Annotated[
    list[Annotated[str, *word(plans.kind_word, examples=["premium", "GB", "GB mobile"])]], BeforeValidator(one_or_many), Field(min_length=1)
]
NumberFormat = Annotated[
    dict[str, str],
    PlainValidator(values.number_format),
    WithJsonSchema(
        {
            "oneOf": [
                {"enum": ["e164", "digits"]},
                {"type": "object", "patternProperties": {"^\\+[0-9]*$": NUMBER_OR_TEXT}, "additionalProperties": False, "minProperties": 1},
            ]
        }
    ),
]
ShownNumber = Annotated[str, *word(values.shown_number, **NUMBER_OR_TEXT, pattern=r"^(caller|nobody|\+[1-9][0-9]{4,14})$")]
ShortNumber = Annotated[str, *word(values.short_number, **NUMBER_OR_TEXT, examples=["112"])]
CryptoSuite = Annotated[Suite, *word(values.suite, enum=[suite.value for suite in Suite])]
DigestAlgorithm = Annotated[str, *word(values.digest, enum=list(HASHES))]
OwnNumbers = Annotated[
    list[Annotated[str, *word(values.own_number, **NUMBER_OR_TEXT, examples=["+4930123456", "+4930123*"])]],
    BeforeValidator(one_or_many),
    Field(min_length=1),
]
NumberRange = Annotated[str, *word(numbering.number_range, pattern="^\\+[1-9][0-9]+(-\\+[1-9][0-9]+|\\*)?$")]
UnwantedNumbers = Annotated[
    list[Annotated[str, *word(values.unwanted_number, **NUMBER_OR_TEXT, examples=["+4990*", "+4930123456"])]],
    BeforeValidator(one_or_many),
    Field(min_length=1),
]
RedressUrl = Annotated[str, *word(values.redress_url, pattern="^https://", examples=["https://example.com/blocked"])]
RedressTel = Annotated[str, *word(values.redress_tel, **NUMBER_OR_TEXT, examples=["+4930123456"])]
RedressEmail = Annotated[str, *word(values.redress_email, pattern="@", examples=["blocked@example.com"])]
CertificateUrl = Annotated[str, *word(values.certificate_url, pattern="^https://", examples=["https://certs.example.com/2026-1.pem"])]
ServiceUrl = Annotated[str, *word(values.service_url, pattern="^https://", examples=["https://as.example.com/stir/v1/signing"])]
HeaderToken = Annotated[str, *word(values.header_name, examples=["User-to-User", "Alert-Info", "X-Customer"])]
HeaderText = Annotated[str, *word(values.header_text, **NUMBER_OR_TEXT, maxLength=values.MAX_HEADER_TEXT)]
BodyType = Annotated[str, *word(values.body_type, pattern="^[^/]+/[^/]+$", examples=["application/pidf+xml", "application/isup"])]
TranslatedStatuses = Annotated[frozenset[int], *word(values.translated_statuses, **NUMBER_OR_TEXT, pattern="^[3-6]([0-9]{2}|xx)$")]
Failure = Annotated[int, *word(values.failure, **NUMBER_OR_TEXT, pattern="^[4-6][0-9]{2}$")]
Translation = dict[TranslatedStatuses, Failure]
PriorityNamespace = Annotated[str, *word(values.priority_namespace, enum=list(NAMESPACES))]
Token = Annotated[str, *word(values.token, examples=["dialog", "message-summary"])]
Dscp = Annotated[int, *word(values.dscp, **NUMBER_OR_TEXT, examples=["ef", "cs3", "af31", "46"])]
PacketTime = Annotated[int, *word(values.packet_time, pattern="^[0-9]+ms$", examples=["20ms", "30ms"])]
Codec = Annotated[str, *word(values.codec, examples=["PCMA", "G729", "telephone-event"])]
