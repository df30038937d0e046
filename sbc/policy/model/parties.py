"""Who we talk to: trunks and users. Part of the policy language."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from sbc.policy import values
from sbc.policy.model.secrets import SecretModel
from sbc.policy.snapshot import Peer
from sbc.policy.words import (
    Account,
    BodyType,
    DialPrefix,
    DialReplacement,
    DigestUser,
    Duration,
    HeaderText,
    HeaderToken,
    Host,
    LimitNames,
    Model,
    Name,
    Network,
    NumberFormat,
    NumberKinds,
    OwnNumbers,
    PeerUri,
    PriorityNamespace,
    RoundTrip,
    Token,
    Translation,
)


class AccountModel(Model):
    """Somebody who registers: with a password that we check, or with one that only the registrar behind us knows."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["password"]}, {"required": ["register_at"]}]})
    password: SecretModel | None = Field(None, description="Where the password is: {file: …} or {env: …}.")
    register_at: Name | None = Field(
        None, description="The trunk whose registrar knows the password: REGISTER passes through us to it, and its calls come back."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_to_somebody(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & {"password", "register_at"}) != 1:
            raise ValueError("needs 'password', or 'register_at' when a registrar behind us checks it: exactly one of them")
        return value


class RegistrationModel(AccountModel):
    """The account a PBX registers with."""

    user: Name = Field(description="User name of the account.")


class AuthenticationModel(Model):
    """The account that proves who it is."""

    user: Name = Field(description="User name of the account.")
    password: SecretModel = Field(description="Where the password is: {file: …} or {env: …}.")


class CredentialsModel(Model):
    """What we answer password challenges with."""

    user: DigestUser = Field(description="User name, as the challenge expects it.")
    password: SecretModel = Field(description="Where the password is: {file: …} or {env: …}.")


class RegisterToModel(Model):
    """The account with which we register at a carrier."""

    registrar: PeerUri = Field(description="Where REGISTER is sent: a name (DNS: NAPTR, SRV, A, AAAA) or an address.")
    user: Account = Field(description="The account: what stands before the @ of our address there. Mostly the user name, too.")
    password: SecretModel = Field(description="Where the password is: {file: …} or {env: …}.")
    domain: Host | None = Field(None, description="What stands behind the @ of our address there. Default: the host of `registrar`.")
    auth_user: DigestUser | None = Field(None, description="User name for password challenges, where it is not `user`.")
    expires: Duration | None = Field(
        None, ge=60, le=86400, description="For how long we ask to be registered at a time: 60s to 1d. Default: 10m."
    )
    from_header: Literal["caller", "account"] | None = Field(
        None,
        description="Whom From names in our calls to it. caller: its number, the default. account: `user`, for carriers that take no "
        "other; the caller then stands in P-Asserted-Identity alone.",
    )
    needed_for_calls: bool | None = Field(
        None, description="false: calls to it are tried even while we are not registered. Default: true, they go to the next target."
    )


class TimersModel(Model):
    """How patient we are with this peer (RFC 3261 s17)."""

    t1: RoundTrip | None = Field(
        None, description="When a request over UDP is first repeated, 100ms to 2s; it times out after 64 times that. Default: 500ms."
    )
    give_up_after: Duration | None = Field(
        None,
        description="A server that has said nothing at all to an INVITE after this time is given up for the next one. Default: 64 t1, 32s.",
    )

    @model_validator(mode="before")
    @classmethod
    def _sets_something(cls, value: object) -> object:
        if isinstance(value, dict) and not value:
            raise ValueError("sets nothing: give t1 or give_up_after")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> TimersModel:
        if self.give_up_after is not None and self.give_up_after < (self.t1 or 0):
            raise ValueError("give_up_after is shorter than t1")
        return self


class PartyModel(Model):
    realm: Name = Field(description="The network it is in.")
    media: Name = Field(description="Which `media` object applies to it.")
    limits: LimitNames | None = Field(None, description="Which `limits` object applies to it, or several of them.")
    dial_plan: dict[DialPrefix, DialReplacement] | None = Field(
        None, min_length=1, description='Turns what it dials into +E.164 before routing, longest prefix first: {"00": "+", "0": "+49"}.'
    )
    refuse_to: NumberKinds | None = Field(
        None, description='Kinds of numbers it may not call: [invalid, premium, "GB personal"]. Emergency calls always pass.'
    )
    numbers: OwnNumbers | None = Field(
        None,
        description='Its own numbers, or their beginnings: "+4930123*". What it says of itself is passed on as asserted when among these.',
    )
    pass_headers: list[HeaderToken] | None = Field(
        None, min_length=1, description="Headers that cross in its calls, both ways, if the other side of the call lists them too."
    )
    pass_bodies: list[BodyType] | None = Field(
        None,
        min_length=1,
        description="Bodies of an INVITE that cross beside the session description, if the other side of the call lists them too.",
    )
    headers_in: list[Name] | None = Field(
        None, min_length=1, description="Which `headers` objects edit what it sends, in this order, before anything is read of it."
    )
    headers_out: list[Name] | None = Field(
        None, min_length=1, description="Which `headers` objects edit what it is sent, in this order, after trust has decided what that is."
    )
    user_agent: HeaderText | None = Field(
        None, description="What we call ourselves to it: User-Agent of our requests, Server of our answers. Default: nothing."
    )
    called_as: NumberFormat | None = Field(
        None,
        description="How numbers it is to call stand in Request-URI and To: e164 (+4930…, the default), digits (4930…), or a table, "
        'longest beginning first: {"+49": "0", "+": "00"}.',
    )
    callers_as: NumberFormat | None = Field(None, description="The same of numbers that say who somebody is, in all other headers.")
    user_phone: bool | None = Field(
        None, description="user=phone beside numbers: true, always; false, never. Default: where somebody is asserted."
    )
    callers_at: Host | None = Field(
        None, description="What stands behind the @ of callers. Default: our address, or the domain of `register_to`."
    )
    anonymous_at: Literal["nowhere", "callers_at"] | None = Field(
        None,
        description="What stands behind the @ of anonymous callers. nowhere: anonymous.invalid, the default. callers_at: as of others.",
    )
    display_names: Literal["pass", "drop"] | None = Field(None, description="Names beside numbers: pass (default), or drop.")
    identity_as: Literal["p-asserted-identity", "p-preferred-identity", "remote-party-id", "none"] | None = Field(
        None, description="The header that tells it who somebody is, as far as it may know. Default: p-asserted-identity."
    )
    refuse_anonymous: bool | None = Field(None, description="true: who calls it without showing a number is answered 433. Default: false.")
    blocks_from: list[Name] | None = Field(
        None, min_length=1, description="Which `blocks` objects apply to its own calls: numbers that they may not come from."
    )
    blocks: list[Name] | None = Field(None, min_length=1, description="Which `blocks` objects apply to it: whose calls it does not get.")
    early_offer: bool | None = Field(
        None, description="true: calls to it always carry an offer; where the caller sent none, it has all `codecs` of its media."
    )
    record: Literal["never", "failed", "always"] | None = Field(
        None,
        description="Keep the signalling of its calls, both ways, as files that `sbc replay` runs again. "
        "failed: only of calls that were not answered or that we ended. Default: never.",
    )
    redirects: Literal["refuse", "pass", "follow"] | None = Field(
        None,
        description="What becomes of its 3xx answers. refuse (default): the caller hears 480. pass: the caller is told the numbers, at our "
        "address. follow: we call them, by its dial plan, limits and routes.",
    )
    transfers: Literal["refuse", "pass", "perform"] | None = Field(
        None,
        description="Whether it may transfer its calls (REFER, Replaces). refuse: no, the default of trunks. perform: we call the target "
        "by its dial plan, limits and routes and connect both, the default of users. pass: the other party is asked to call.",
    )
    attest: Literal["A", "B", "C", "no"] | None = Field(
        None,
        description="The most that is said for its callers where calls are signed. A (default): its own numbers get A, others B, or C "
        "when it is trusted. no: its calls are not signed.",
    )
    messages: Literal["pass", "refuse"] | None = Field(
        None, description="Text messages (MESSAGE): pass to where its calls to that number would go, and from there, or refuse (default)."
    )
    events: list[Token] | None = Field(
        None,
        min_length=1,
        description="Event packages that may pass: SUBSCRIBE, NOTIFY and PUBLISH go where its calls to that number would go, and come from "
        "there. Default: none.",
    )
    priorities: list[PriorityNamespace] | None = Field(
        None,
        min_length=1,
        description="Namespaces of Resource-Priority that are taken from it and told to it. Default: none. Emergency calls keep theirs.",
    )
    info: Literal["pass", "refuse"] | None = Field(
        None, description="INFO within a call (DTMF digits, video refresh): pass to the other side and from it, or refuse (default)."
    )
    info_packages: list[Token] | None = Field(
        None, min_length=1, description="Info Packages (RFC 6086) that may pass. Needs `info: pass`. Default: none, legacy INFO only."
    )


class TrunkModel(PartyModel):
    """A peer that sends us calls, takes calls from us, or both."""

    model_config = ConfigDict(json_schema_extra=values.media_or_profile)
    profile: Name | None = Field(
        None,
        description="What kind of peer it is: asterisk, freepbx, 3cx, teams, generic-carrier, or one of yours in profiles/. "
        "Its keys hold where this trunk has none.",
    )
    verify: Literal["no", "tag", "require"] | None = Field(
        None,
        description="Proofs of who calls (STIR/SHAKEN) in its INVITEs. no (default): they pass as they are. tag: they are verified, and "
        "whom we trust is told what came of it (verstat); no call is refused. require: calls without a good one are refused, emergency "
        "calls never. Needs `identity`.",
    )
    verify_reasons: bool | None = Field(
        None, description="true: our answers to its calls say what was wrong with their proofs (Reason, RFC 9410). Default: false."
    )
    sign: Literal["no", "A", "B", "C"] | None = Field(
        None,
        description="Calls to it are signed (STIR/SHAKEN), with no more than this attestation, and less where the facts say less. "
        "no: the default. Needs `identity: {sign: …}`.",
    )
    trusted: bool | None = Field(
        None,
        description="true: it belongs to our trust domain (RFC 3325). What it asserts of callers is believed, "
        "and it is told what is hidden from others. Default: false.",
    )
    diversions_as: Literal["diversion", "history-info", "none"] | None = Field(
        None, description="The header that tells this trusted trunk who sent a call on; none: it is not told. Default: whichever came."
    )
    responses_from: Translation | None = Field(
        None,
        min_length=1,
        description="Final answers of this trunk, and what we take them for before anything else: {484: 404, 6xx: 480}.",
    )
    responses_to: Translation | None = Field(
        None, min_length=1, description="Final answers this trunk would get from us, and what it gets instead: {486: 480}."
    )
    overload_control: bool | None = Field(
        None,
        description="true: when it is overloaded, it may say what share of new requests it is to be spared (RFC 7339). Default: false.",
    )

    cli: Literal["shown", "hidden", "call-center"] | None = Field(
        None, description="What becomes of a caller's number there, which routes that lead to it have to fit: see `cli` of routes."
    )
    refuse_from: NumberKinds | None = Field(
        None,
        description='Kinds of numbers its calls may not come from: [invalid, premium, "GB geographic"]. invalid: emergency numbers, too. '
        "Emergency calls, and emergency services that call back, always pass.",
    )
    foreign_numbers: Literal["pass", "replace", "refuse"] | None = Field(
        None,
        description="Calls of it that show a number which is not its own. pass (default). replace: they show its main number. "
        "refuse: 403. Emergency calls always pass.",
    )
    accept_from: list[Network] | None = Field(
        None, min_length=1, description="Calls from these addresses are its calls. The longest prefix wins between trunks."
    )
    accepts_registration: RegistrationModel | None = Field(None, description="It registers to us and is reached where it registered from.")
    authenticates: AuthenticationModel | None = Field(
        None,
        description="Its calls are asked for this password, however well their address is known; with accept_from, others are not taken.",
    )
    link: Name | None = Field(None, description="Which of `sites` it is at: its calls come and go by the link of that site.")
    peer: PeerUri | None = Field(
        None,
        description="Where calls for it are sent: a name (DNS: NAPTR, SRV, A, AAAA) or an address. "
        "With ;transport=udp nothing is ever sent by TCP, however long it is.",
    )
    register_to: RegisterToModel | None = Field(
        None, description="We register there. Calls for it go where we are registered, unless there is a `peer`, and come from there."
    )
    credentials: CredentialsModel | None = Field(
        None, description="Answers its password challenges to our calls. Default: the account of `register_to`."
    )
    timers: TimersModel | None = Field(None, description="How soon we repeat a request, and how soon another server is tried.")
    accept_certificate: list[Host] | None = Field(
        None, min_length=1, description="Calls over TLS connections whose client certificate proves one of these names are its calls."
    )
    certificate: Name | None = Field(
        None, description="NAME of the certificate (certs/NAME.pem, certs/NAME.key) it gets from us over TLS. Default: the realm's first."
    )
    insecure_wildcard_certificates: bool | None = Field(
        None, description="true: *.example.com in its certificate stands for any one name in example.com, which RFC 5922 forbids."
    )

    @property
    def servers(self) -> tuple[Peer, ...]:
        """What we connect to of it."""
        registrar = (self.register_to.registrar,) if self.register_to is not None else ()
        return (*((self.peer,) if self.peer is not None else ()), *registrar)


class UserModel(PartyModel, AccountModel):
    """One phone or client that registers; the name of the object is the user name."""
