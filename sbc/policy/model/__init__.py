"""The policy language: what may be written in policies/*.yaml. `schema.json` is generated from this package.

Nothing here is lenient: unknown keys, empty lists and values of the wrong kind are errors.
A description is what an editor shows the operator while typing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sbc.policy.model.edits import EditModel
from sbc.policy.model.identity import IdentityModel, ServiceModel, SignModel
from sbc.policy.model.parties import (
    AccountModel,
    AuthenticationModel,
    CredentialsModel,
    PartyModel,
    RegisterToModel,
    RegistrationModel,
    TimersModel,
    TrunkModel,
    UserModel,
)
from sbc.policy.model.realms import MarksModel, RealmModel, RelayModel, TermsModel
from sbc.policy.model.rules import (
    BlockModel,
    EmergencyModel,
    EverybodyModel,
    HelpedModel,
    LimitsModel,
    LineModel,
    RedressModel,
    RouteModel,
    StrangersModel,
    WhenModel,
)
from sbc.policy.model.secrets import SecretModel
from sbc.policy.model.sites import SiteModel
from sbc.policy.model.sound import MediaModel, OffersModel
from sbc.policy.shielding import ShieldModel
from sbc.policy.words import Model, Name, NumberRange

__all__ = [
    "AccountModel",
    "AuthenticationModel",
    "BlockModel",
    "CredentialsModel",
    "EditModel",
    "EmergencyModel",
    "EverybodyModel",
    "HelpedModel",
    "IdentityModel",
    "LimitsModel",
    "LineModel",
    "MarksModel",
    "MediaModel",
    "OffersModel",
    "PartyModel",
    "PolicyModel",
    "RealmModel",
    "RedressModel",
    "RegisterToModel",
    "RegistrationModel",
    "RelayModel",
    "RouteModel",
    "SecretModel",
    "ServiceModel",
    "SignModel",
    "SiteModel",
    "StrangersModel",
    "TermsModel",
    "TimersModel",
    "TrunkModel",
    "UserModel",
    "WhenModel",
]


class PolicyModel(Model):
    """Policy of the session border controller. All *.yaml files of the folder count as one."""

    version: Literal[1] = Field(description="Version of the policy language.")
    realms: dict[Name, RealmModel] = Field(min_length=1, description="The networks we stand between.")
    trunks: dict[Name, TrunkModel] = Field(default_factory=dict, description="Peers: carriers and PBXs.")
    users: dict[Name, UserModel] = Field(default_factory=dict, description="Phones that register.")
    sites: dict[Name, SiteModel] = Field(default_factory=dict, description="Remote sites that are linked to us by QUIC.")
    routes: list[RouteModel] = Field(default_factory=list, description="Where calls go. First match wins; no match answers 404.")
    limits: dict[Name, LimitsModel] = Field(default_factory=dict, description="How many calls, how fast, how long.")
    media: dict[Name, MediaModel] = Field(default_factory=dict, description="Codecs and encryption.")
    headers: dict[Name, Annotated[list[EditModel], Field(min_length=1)]] = Field(
        default_factory=dict, description="Edits of headers, each list in order, for the trunks and users that name them."
    )
    blocks: dict[Name, BlockModel] = Field(default_factory=dict, description="Who may not call, and what it is told.")
    numbers: dict[NumberRange, Name | LineModel] = Field(
        default_factory=dict,
        description='Which trunk or user has which number: "+4930123456", "+493012300-+493012349", "+4930124*". '
        "unassigned: it is ours, and nobody has it. {owner: NAME, limits: NAME}: with limits of its own.",
    )
    emergency: dict[Name, EmergencyModel | Literal["none"]] = Field(
        default_factory=dict, description="By realm: emergency numbers, or `none` when nobody dials them there."
    )
    everybody: EverybodyModel | None = Field(None, description="What all calls and requests together are limited to.")
    identity: IdentityModel | None = Field(None, description="Proofs of who calls (STIR/SHAKEN): whose count, and how we sign.")
    strangers: StrangersModel = Field(default=StrangersModel(), description="What the unknown get.")
    shield: ShieldModel = Field(default=ShieldModel(), description="Who is banned, and for what. On unless it says otherwise.")
