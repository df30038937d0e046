"""`sbc link FILE`: the ten lines of a remote site, and the policy they stand for. Everything between the PBX and the edge passes.

What may be called, by whom and how often is the edge's business; here nobody but the PBX and the edge gets in.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from media.api import Suite
from sbc.frozen import replace
from sbc.policy import text as texts
from sbc.policy.load import Loaded, load_policy, read_one
from sbc.policy.realms import Uplink
from sbc.policy.sites import LOOPBACK
from sbc.policy.words import Address, HostPort, Listener, Model, Name, Network, PeerUri, Pin, Ports, Text, one_or_many
from sbc.sip.locate import is_address

EDGE = "edge"
DEFAULT_CODECS = ("PCMA", "PCMU", "G722", "G729", "opus", "telephone-event")
INNER_PORTS = "40000-49999"  # of this machine alone: between the relay and the link


class PbxModel(Model):
    """The PBX of the site."""

    listen: Annotated[list[Listener], BeforeValidator(one_or_many), Field(min_length=1)] = Field(
        description="Where it finds us: udp://ADDRESS:PORT or tcp://…."
    )
    peer: PeerUri = Field(description="Where we find it: sip:HOST:PORT;transport=….")
    accept_from: Annotated[list[Network], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None, description="Where its calls come from. Default: the address of `peer`."
    )

    @model_validator(mode="after")
    def _known(self) -> PbxModel:
        if self.accept_from is None and not is_address(self.peer.host):
            raise ValueError("peer is a name: say in accept_from from which addresses its calls come")
        return self


class MediaModel(Model):
    address: Address = Field(description="Our address for media towards the PBX.")
    ports: Ports = Field(description="UDP ports for media towards the PBX; a call takes two.")


class SiteFileModel(Model):
    """A remote site."""

    version: Literal[1] = Field(description="Version of this file.")
    site: Name = Field(description="Our name, as the edge has it under `sites`.")
    edge: HostPort = Field(description="Where the edge listens: HOST:PORT. One outgoing UDP flow there is all we need.")
    pin: Annotated[list[Pin], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None, description="SHA-256 of the edge's certificate, or of those it may have."
    )
    ca: Text | None = Field(None, description="Instead of a pin: PEM file, beside this one, of the authority that signed the edge's.")
    certificate: Name = Field(description="NAME of certs/NAME.pem and certs/NAME.key, in a folder beside this file: ours.")
    pbx: PbxModel = Field(description="The PBX.")
    media: MediaModel = Field(description="Media towards the PBX.")
    codecs: list[Text] | None = Field(None, min_length=1, description="What passes.")
    connections: int | None = Field(None, ge=1, le=10, description="As many as the edge allows, for more than 50 calls. Default: 1.")

    @model_validator(mode="before")
    @classmethod
    def _known_by_one(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & {"pin", "ca"}) != 1:
            raise ValueError("how is the edge known? Give 'pin', or 'ca' when an authority signs its certificate: exactly one of them")
        return value


def load_site(file: Path, suites: Collection[Suite] = tuple(Suite), text: texts.Text | None = None) -> Loaded:
    """`text` is not looked at: the file itself is read. Raises PolicyErrors with every problem found."""
    model = read_one(file, SiteFileModel)
    folder = file.absolute().parent
    made = texts.Text(file.parent, {f"{file.name}, as a policy": policy_of(model)})
    loaded = load_policy(folder, suites, made, folder / "certs")
    host, port = model.edge
    uplink = Uplink(
        site=model.site,
        host=host,
        port=port,
        pins=frozenset(model.pin or ()),
        authorities=str(folder / model.ca) if model.ca is not None else None,
        connections=model.connections or 1,
    )
    realms = {name: replace(realm, uplink=uplink if name == EDGE else None) for name, realm in loaded.snapshot.realms.items()}
    return replace(loaded, snapshot=replace(loaded.snapshot, realms=realms), text=texts.Text(file, {}))  # so that it is read again


def policy_of(site: SiteFileModel) -> bytes:
    """The same in the words of a policy: JSON, which is YAML."""
    host, _ = site.edge
    passes = {"trusted": True, "transfers": "pass", "redirects": "pass", "messages": "pass", "info": "pass"}
    sources = [str(each) for each in site.pbx.accept_from] if site.pbx.accept_from is not None else [site.pbx.peer.host]
    known = {"pin": site.pin} if site.pin is not None else {"certificate": host}
    inner: dict[str, object] = {"signalling": [f"quic://{LOOPBACK}"], "relay": {"address": LOOPBACK, "ports": INNER_PORTS}}
    if site.ca is not None:
        inner["client_ca"] = site.ca
    ports = f"{site.media.ports.first}-{site.media.ports.last}"
    return json.dumps({
        "version": 1,
        "realms": {
            EDGE: {**inner, "certificate": site.certificate},
            "pbx": {"signalling": [str(each) for each in site.pbx.listen], "relay": {"address": site.media.address, "ports": ports}},
        },
        "sites": {EDGE: {**known, "connections": site.connections or 1}},
        "trunks": {
            EDGE: {"realm": EDGE, "link": EDGE, "media": "speech", **passes},
            "pbx": {"realm": "pbx", "accept_from": sources, "peer": site.pbx.peer.uri, "media": "speech", **passes},
        },
        "routes": [
            {"name": "to-edge", "when": {"trunk": "pbx", "to": "*"}, "send_to": [EDGE]},
            {"name": "to-pbx", "when": {"trunk": EDGE, "to": "*"}, "send_to": ["pbx"]},
        ],
        "media": {"speech": {"srtp": "off", "codecs": list(site.codecs or DEFAULT_CODECS)}},
        "emergency": {EDGE: "none", "pbx": "none"},
    }).encode()  # fmt: skip
