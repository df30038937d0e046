"""The policy language: what may be written in policies/*.yaml. `schema.json` is generated from this file.

Nothing here is lenient: unknown keys, empty lists and values of the wrong kind are errors.
A description is what an editor shows the operator while typing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, field_validator, model_validator

from sbc.policy import values
from sbc.policy.proofs import IdentityModel
from sbc.policy.snapshot import Peer
from sbc.policy.words import (
    NUMBER_OR_TEXT,
    Account,
    Address,
    BodyType,
    Codec,
    CryptoSuite,
    DialPrefix,
    DialReplacement,
    DigestAlgorithm,
    DigestUser,
    Dscp,
    Duration,
    HeaderToken,
    Host,
    Listener,
    Model,
    Name,
    Network,
    NumberRange,
    Origin,
    OwnNumbers,
    Patterns,
    PeerUri,
    Ports,
    PriorityNamespace,
    Rate,
    RedressEmail,
    RedressTel,
    RedressUrl,
    RoundTrip,
    ShortNumber,
    Statuses,
    Text,
    Token,
    Translation,
    UnwantedNumbers,
    one_or_many,
    word,
)


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
        min_length=1, description="Where we listen for SIP: udp://, tcp://, tls://, ws:// or wss:// with address and port."
    )
    advertise: Address | None = Field(None, description="Behind 1:1 NAT: the public address that peers are told instead of ours.")
    relay: RelayModel = Field(description="Our media address and ports in this network.")
    certificate: Annotated[list[Name], BeforeValidator(one_or_many), Field(min_length=1)] | None = Field(
        None,
        description="NAME of certs/NAME.pem (certificate and chain) and certs/NAME.key. Needed for tls:// and wss://. "
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

    @field_validator("digest")
    @classmethod
    def _each_once(cls, algorithms: list[str] | None) -> list[str] | None:
        if algorithms is not None and len(set(algorithms)) < len(algorithms):
            raise ValueError("names an algorithm twice")
        return algorithms


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
    limits: Name | None = Field(None, description="Which `limits` object applies to it.")
    dial_plan: dict[DialPrefix, DialReplacement] | None = Field(
        None, min_length=1, description='Turns what it dials into +E.164 before routing, longest prefix first: {"00": "+", "0": "+49"}.'
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
    refuse_anonymous: bool | None = Field(None, description="true: who calls it without showing a number is answered 433. Default: false.")
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
    trusted: bool | None = Field(
        None,
        description="true: it belongs to our trust domain (RFC 3325). What it asserts of callers is believed, "
        "and it is told what is hidden from others. Default: false.",
    )
    diversions_as: Literal["diversion", "history-info"] | None = Field(
        None, description="The header that tells this trusted trunk who sent a call on. Default: whichever came."
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


class WhenModel(Model):
    """Which calls. Exactly one of trunk, user and realm says whose."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in ("trunk", "user", "realm")]})
    trunk: Name | None = Field(None, description="Calls from this trunk.")
    user: Name | None = Field(None, description="Calls from this user.")
    realm: Name | None = Field(None, description="Calls from any trunk or user of this realm.")
    to: Patterns = Field(description='Called number after the dial plan, or name; "+49*" means any that begins so, "*" any at all.')
    not_to: Patterns | None = Field(None, description="But not these.")

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


class PolicyModel(Model):
    """Policy of the session border controller. All *.yaml files of the folder count as one."""

    version: Literal[1] = Field(description="Version of the policy language.")
    realms: dict[Name, RealmModel] = Field(min_length=1, description="The networks we stand between.")
    trunks: dict[Name, TrunkModel] = Field(default_factory=dict, description="Peers: carriers and PBXs.")
    users: dict[Name, UserModel] = Field(default_factory=dict, description="Phones that register.")
    routes: list[RouteModel] = Field(default_factory=list, description="Where calls go. First match wins; no match answers 404.")
    limits: dict[Name, LimitsModel] = Field(default_factory=dict, description="How many calls, how fast, how long.")
    media: dict[Name, MediaModel] = Field(default_factory=dict, description="Codecs and encryption.")
    blocks: dict[Name, BlockModel] = Field(default_factory=dict, description="Who may not call, and what it is told.")
    numbers: dict[NumberRange, Name] = Field(
        default_factory=dict,
        description='Which trunk or user has which number: "+4930123456", "+493012300-+493012349", "+4930124*". '
        "unassigned: it is ours, and nobody has it.",
    )
    emergency: dict[Name, EmergencyModel | Literal["none"]] = Field(
        default_factory=dict, description="By realm: emergency numbers, or `none` when nobody dials them there."
    )
    identity: IdentityModel | None = Field(None, description="Whose signatures count when calls are verified (STIR/SHAKEN).")
    strangers: StrangersModel = Field(default=StrangersModel(), description="What the unknown get.")
