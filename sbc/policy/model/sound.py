"""What speech may look like on the wire. Part of the policy language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from sbc.policy.words import Codec, CryptoSuite, Dscp, Duration, Model, PacketTime

Keying = Literal["sdes", "dtls"]
Srtp = Literal["off", "optional"] | tuple[Keying, ...]
_KEYING = ("sdes", "dtls")


def _srtp(value: object) -> object:
    """`sdes` and `[sdes]` are the same."""
    if value in ("off", "optional"):
        return value
    names = value if isinstance(value, list) else [value]
    if not names or any(name not in _KEYING for name in names):
        raise ValueError("must be 'off', 'sdes', 'dtls', 'optional' or a list of 'sdes' and 'dtls'")
    if len(set(names)) < len(names):
        raise ValueError("names a way twice")
    return tuple(names)


def _prefer(value: object) -> object:
    if value == "as_offered" or (isinstance(value, list) and value):
        return value
    raise ValueError("must be a list of codecs, or 'as_offered'")


class OffersModel(Model):
    """What is done with the codecs of offers in one direction, beside what `codecs` says."""

    allow: list[Codec] | None = Field(None, min_length=1, description="Only these of the `codecs`.")
    strip: list[Codec] | None = Field(None, min_length=1, description="None of these.")
    prefer: (
        Annotated[
            list[Codec] | Literal["as_offered"],
            BeforeValidator(_prefer),
        ]
        | None
    ) = Field(
        None,
        description="These first, in this order, then the others as they were offered; as_offered: all of them so. "
        "Default: the order of `codecs` of the side that gets the offer.",
    )
    require: list[Codec] | None = Field(None, min_length=1, description="An offer that lacks one of these is refused (488).")

    @model_validator(mode="before")
    @classmethod
    def _does_something(cls, value: object) -> object:
        if isinstance(value, dict) and not value:
            raise ValueError("does nothing: give allow, strip, prefer or require")
        if isinstance(value, dict) and "allow" in value and "strip" in value:
            raise ValueError("'allow' says what is left, 'strip' what is not: take one of them")
        return value


class MediaModel(Model):
    """What speech may look like on the wire."""

    srtp: Annotated[
        Srtp,
        PlainValidator(_srtp),
        WithJsonSchema({
            "oneOf": [
                {"enum": ["off", "sdes", "dtls", "optional"]},
                {"type": "array", "items": {"enum": list(_KEYING)}, "minItems": 1, "uniqueItems": True},
            ]
        }),
    ] = Field(
        description="off: plain RTP only. sdes: SRTP with keys in SDP, or no call. dtls: SRTP with keys by DTLS, as browsers have it, "
        "or no call. A list of both: we offer the first and take either. "
        "optional: we offer SRTP with keys in SDP, and accept plain RTP from a peer that offers it."
    )  # fmt: skip
    codecs: list[Codec] = Field(
        min_length=1, description="Allowed codecs in order of preference. They pass through untouched, but see g711."
    )
    offers_from: OffersModel | None = Field(None, description="What is done with offers that come from such a party.")
    offers_to: OffersModel | None = Field(None, description="What is done with offers that go to such a party.")
    annexb: Literal["pass", "refuse"] | None = Field(
        None,
        description="Silence suppression of G.729. pass: as both sides want it, the default. refuse: it is agreed on with annexb=no.",
    )
    ptime: PacketTime | None = Field(
        None, description="Time in a packet that such a party is asked for: 20ms. Default: as the other side asks."
    )
    maxptime: PacketTime | None = Field(None, description="The longest one that it is told. Default: as the other side says.")
    suites: list[CryptoSuite] | None = Field(
        None,
        min_length=1,
        description="SRTP crypto suites in order of preference. Default: AES-GCM, 256 and 128 bits, then AES-CM, 256 and 128.",
    )
    silence: Duration | None = Field(None, description="A call is ended when no packet came for this time. Default: never.")
    follow: Literal["never", "authenticated", "same_address"] | None = Field(
        None,
        description="A peer whose NAT gives it another address in the middle of a call. never: not heard until a re-INVITE. authenticated: "
        "followed where its SRTP authenticates, the default. same_address: plain RTP, too, to another port of the same address.",
    )
    dscp: Dscp | None = Field(None, description="How what we send to such a party is marked: ef, cs0 to cs7, af11 to af43, 0 to 63.")
    early_media: Literal["both", "listen", "none"] | None = Field(
        None,
        description="Media of its before it has answered. both: as in a call, the default. listen: the caller hears it, and it hears "
        "nothing. none: the caller is told that it rings.",
    )
    fax: Literal["pass", "refuse"] | None = Field(
        None,
        description="T.38. pass: relayed when both sides have it, unencrypted always. refuse: 488, the default; fax stays speech then.",
    )
    g711: Literal["pass", "translate"] | None = Field(
        None,
        description="pass (default): G.711 passes untouched, so that both sides need a law in common. translate: where one side has PCMA "
        "alone and the other PCMU alone, each gets its own.",
    )
    digits: Literal["pass", "rfc4733", "info"] | None = Field(
        None,
        description="How such a party says which keys were pressed, and wants to be told. pass (default): what comes passes as it came. "
        "rfc4733: as telephone-events; digits by INFO for it become some. info: by INFO (application/dtmf-relay); telephone-events for it "
        "become INFO, and its INFO becomes telephone-events.",
    )
    ssrc: Literal["keep", "rewrite"] | None = Field(
        None,
        description="keep (default): it is sent the streams of whom it talks to as they are. rewrite: one stream with an SSRC of ours, "
        "whose numbers and timestamps go on whoever is heard.",
    )
    digits_from: Literal["pass", "withhold"] | None = Field(
        None,
        description="The digits such a party types (telephone-event, INFO). pass: to whom it talks to, the default. withhold: to nobody.",
    )
    digits_to: Literal["pass", "withhold"] | None = Field(
        None,
        description="The digits of whom such a party talks to. pass: it gets them, the default. withhold: it does not, as where somebody "
        "types the number of a card.",
    )
