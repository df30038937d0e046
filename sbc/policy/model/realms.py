"""The networks we stand in. Part of the policy language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sbc.policy.words import (
    Address,
    DigestAlgorithm,
    Dscp,
    Duration,
    Host,
    LimitNames,
    Listener,
    Model,
    Name,
    Origin,
    Ports,
    Text,
    one_or_many,
)


class RelayModel(Model):
    """Where media of this network is received and sent from."""

    address: Address = Field(description="Our address for media in this network.")
    ports: Ports = Field(description="UDP ports for media. A call takes two of them. Open them in the firewall.")
    packets: Literal["sockets", "xdp"] | None = Field(
        None,
        description="How packets come and go. sockets: the default. xdp: past the kernel's stack, at a fraction of the CPU, "
        "where both networks of a call have it and the machine can; else by sockets, and `sbc check` says why.",
    )


class TermsModel(Model):
    """How long a registration lasts."""

    longest: Duration | None = Field(None, ge=60, le=86400, description="Granted at most: 60s to 1d. Default: 2h.")
    behind_nat: Duration | None = Field(
        None, ge=60, le=86400, description="Granted at most over UDP behind a NAT, which a REGISTER keeps open: 60s to 2m. Default: 90s."
    )


class MarksModel(Model):
    """What our packets tell the network of their kind (DSCP, RFC 2474)."""

    media: Dscp | None = Field(None, description="Of speech and its reports. Default: ef. `dscp` of a media object counts more.")
    signalling: Dscp | None = Field(None, description="Of SIP, whatever carries it. Default: cs3.")

    @model_validator(mode="before")
    @classmethod
    def _marks_something(cls, value: object) -> object:
        if isinstance(value, dict) and not value:
            raise ValueError("marks nothing: give media or signalling")
        return value


class RealmModel(Model):
    """A network we stand in."""

    signalling: list[Listener] = Field(
        min_length=1,
        description="Where we listen for SIP: udp://, tcp://, tls://, ws:// or wss:// with address and port. "
        "quic:// is for `sites`, in a realm of its own.",
    )
    advertise: Address | None = Field(None, description="Behind 1:1 NAT: the public address that peers are told instead of ours.")
    relay: RelayModel = Field(description="Our media address and ports in this network.")
    certificate: Annotated[list[Name], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None,
        description="NAME of certs/NAME.pem (certificate and chain) and certs/NAME.key. Needed for tls://, wss:// and quic://. "
        "Of several, a client gets the one for the name it asks for (SNI), else the first.",
    )
    client_ca: Text | None = Field(
        None,
        description="PEM file relative to the policy folder: who may sign the certificates of peers, and their revocation lists. "
        "Without it the system's authorities. Setting it makes client_certificates 'required'.",
    )
    client_certificates: Literal["required", "optional"] | None = Field(
        None,
        description="Mutual TLS: whether clients must, or may, present a certificate. "
        "Default: optional when a trunk of this realm has accept_certificate, else not asked for.",
    )
    origins: list[Origin] | None = Field(
        None,
        min_length=1,
        description="From which web pages browsers may open a WebSocket. Default: from none; clients that are no browsers always may.",
    )
    domains: list[Host] | None = Field(
        None, min_length=1, description="Names that mean us in this network. The first one is the realm of our password challenges."
    )
    name_servers: list[Address] | None = Field(
        None, min_length=1, max_length=3, description="DNS servers that know the hosts of this network. Default: the system's."
    )
    digest: list[DigestAlgorithm] | None = Field(
        None,
        min_length=1,
        json_schema_extra={"uniqueItems": True},
        description="Hash algorithms of our password challenges, in the order they are offered. Default: [SHA-256, MD5]. "
        "[MD5] for phones that refuse a challenge they do not know.",
    )
    dscp: MarksModel | None = Field(None, description="How what we send into this network is marked.")
    registration: TermsModel | None = Field(None, description="For how long phones and PBXs of this network are registered.")
    limits: LimitNames | None = Field(None, description="Which `limits` objects apply to all calls and requests of this network together.")

    @field_validator("digest")
    @classmethod
    def _each_once(cls, algorithms: list[str] | None) -> list[str] | None:
        if algorithms is not None and len(set(algorithms)) < len(algorithms):
            raise ValueError("names an algorithm twice")
        return algorithms
