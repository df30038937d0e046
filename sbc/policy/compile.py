"""From valid models to the `Snapshot`: names become objects, lists become tables that are fast to ask. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from media.api import EXPEDITED, Follow, Interface, Packets, Suite
from sbc.policy import model, shielding
from sbc.policy.checking.callers import cli_of
from sbc.policy.checking.checker import Policy
from sbc.policy.counters import LimitRules
from sbc.policy.document import Document
from sbc.policy.editing import compiled, with_edits
from sbc.policy.inventory import NO_NUMBERS, OWNER, Numbers
from sbc.policy.numbering import Entry, by_owner, inventory_of, lines_of, numbers_owned
from sbc.policy.plans import Kinds, kinds_of
from sbc.policy.problems import Path as Keys
from sbc.policy.proofs import rules_of
from sbc.policy.realms import KeyPair, Listener, Presented, Realm, Terms
from sbc.policy.sites import sites_of, with_link
from sbc.policy.snapshot import (
    RFC_TIMERS,
    Block,
    Cli,
    Credentials,
    DialPlan,
    HeaderRules,
    Helped,
    NumberRules,
    Party,
    Patterns,
    PrefixTable,
    Presentation,
    RegisterTo,
    Route,
    RouteTable,
    Services,
    Snapshot,
    Strangers,
    Trunk,
    User,
    stranger_in,
)
from sbc.sdp.codecs import spelled
from sbc.sdp.rules import AS_NAMED, KEPT, USUAL_SUITES, MediaRules, OfferRules
from sbc.sip.timers import TimerValues

DEFAULT_NEXT_ON = frozenset({408, *range(500, 600)})  # the far end is dead or out of order; anything else is an answer
EMERGENCY_NEXT_ON = frozenset(range(300, 700))  # nothing that one trunk says ends an emergency call
DEFAULT_RING_FOR = 180.0  # RFC 3261 s16.6: timer C is more than 3 minutes at a proxy; we give up before it
DEFAULT_EXPIRES_S = 600.0  # a registrar over UDP that has lost us is noticed within five minutes or so; an hour, RFC 3261's, is too long
SIGNALLING_DSCP = 24  # CS3: what most networks have for it, whatever RFC 4594 s4.2 (CS5) says
DEFAULT_DIGEST = ("SHA-256", "MD5")  # strongest first (RFC 8760 s2.4): a phone takes the topmost it knows


def compile_policy(
    document: Document,
    policy: Policy,
    secrets: Mapping[Keys, str],
    lists: Mapping[str, Numbers],
    digest: str,
    folder: Path,
    certs: Path,
    suites: Collection[Suite],
) -> Snapshot:
    """`policy` has passed every check; `document` gives the lines of the routes, `folder` and `certs` are absolute, `suites` are
    those of the media engine.
    """
    limits = {name: _limits(name, rules) for name, rules in policy.limits.items()}
    media = {
        (network, name): _media(name, rules, suites, realm.dscp)
        for network, realm in policy.realms.items()
        for name, rules in policy.media.items()
    }
    blocks = {name: _block(name, rules, lists.get(name, NO_NUMBERS)) for name, rules in policy.blocks.items()}
    owned = by_owner(policy.numbers)
    headers = compiled(document, policy.headers)
    trunks = {name: _trunk(name, trunk, media, limits, blocks, owned, secrets, certs) for name, trunk in policy.trunks.items()}
    users = {name: _user(name, user, media, limits, blocks, owned, secrets) for name, user in policy.users.items()}
    trunks = {name: with_edits(document, ("trunks", name), trunk, policy.trunks[name], headers) for name, trunk in trunks.items()}
    users = {name: with_edits(document, ("users", name), user, policy.users[name], headers) for name, user in users.items()}
    sites = sites_of(policy.sites, limits)
    trunks = {name: with_link(trunk, policy.trunks[name].link, sites) for name, trunk in trunks.items()}
    helped = {realm: rule.strangers for realm, rule in policy.emergency.items() if rule.strangers is not None}
    trunks |= {stranger_in(realm): _stranger(realm, rule, media) for realm, rule in helped.items()}
    accounts = _accounts(trunks, users)
    with_digest = {realm for (realm, _), party in accounts.items() if party.register_at is None}
    certified = {(trunk.realm, each): trunk for trunk in trunks.values() for each in trunk.accept_certificate}
    with_certificates = {realm for realm, _ in certified}
    routes = tuple(_route(document, index, route, limits, cli_of(route, policy.trunks)) for index, route in policy.routes.items())
    realms = {name: _realm(name, realm, limits, with_digest, with_certificates, folder, certs) for name, realm in policy.realms.items()}
    return Snapshot(
        version=1,
        digest=digest,
        realms=realms,
        trunks=trunks,
        users=users,
        routes=routes,
        everybody=_named(limits, policy.everybody.limits if policy.everybody is not None else None),
        emergency={name: _emergency(document, name, rule) for name, rule in policy.emergency.items()},
        strangers=_strangers(policy.strangers, limits, helped),
        limits=limits,
        sources={name: _sources(policy, name) for name in policy.realms},
        accounts=accounts,
        route_tables=_route_tables(routes, [*trunks.values(), *users.values()]),
        certified=certified,
        inventory=inventory_of(policy.numbers),
        limited=lines_of(policy.numbers),
        limits_of={each.key: (each.owner, _named(limits, each.limits)) for each in policy.numbers if each.limits},
        identity=rules_of(policy.identity, folder, certs, secrets),
        shield=shielding.rules_of(policy.shield, realms, trunks),
        sites=sites,
    )


def _strangers(rules: model.StrangersModel, limits: Mapping[str, LimitRules], helped: Mapping[str, model.HelpedModel]) -> Strangers:
    counted = limits[rules.limits] if rules.limits is not None else None
    return Strangers(rules.answer, counted, {realm: Helped(rule.calls, rule.new_calls) for realm, rule in helped.items()})


def _accounts(trunks: Mapping[str, Trunk], users: Mapping[str, User]) -> dict[tuple[str, str], Party]:
    """By realm and user name."""
    accounts: dict[tuple[str, str], Party] = {(user.realm, name): user for name, user in users.items()}
    for trunk in trunks.values():
        credentials = trunk.registers or trunk.authenticates
        if credentials is not None:
            accounts[trunk.realm, credentials.user] = trunk
    return accounts


def _realm(
    name: str,
    realm: model.RealmModel,
    limits: Mapping[str, LimitRules],
    with_digest: Collection[str],
    with_certificates: Collection[str],
    folder: Path,
    certs: Path,
) -> Realm:
    def told(address: str) -> str:
        """What peers are told instead of `address`."""
        return realm.advertise if realm.advertise is not None and (":" in realm.advertise) == (":" in address) else address

    presented: Presented = realm.client_certificates or ("optional" if name in with_certificates else "never")
    if realm.client_certificates is None and realm.client_ca is not None:
        presented = "required"
    main = realm.advertise or realm.signalling[0].address
    domains = tuple(realm.domains) if realm.domains is not None else (main,)
    return Realm(
        name=name,
        listeners=tuple(Listener(each.transport, each.address, each.port, told(each.address)) for each in realm.signalling),
        advertise=realm.advertise,
        relay=Interface(realm.relay.address, realm.relay.ports.first, realm.relay.ports.last, Packets(realm.relay.packets or "sockets")),
        relay_advertise=told(realm.relay.address),
        certificates=tuple(_key_pair(certs, each) for each in realm.certificate or ()),
        client_ca=str(folder / realm.client_ca) if realm.client_ca is not None else None,
        client_certificates=presented,
        domains=domains,
        digest_realm=domains[0],
        digest_algorithms=tuple(realm.digest) if realm.digest is not None else DEFAULT_DIGEST,
        has_digest_users=name in with_digest,
        name_servers=tuple(realm.name_servers or ()),
        origins=tuple(realm.origins or ()),
        terms=_terms(realm.registration),
        limits=_named(limits, realm.limits),
        dscp=realm.dscp.signalling if realm.dscp is not None and realm.dscp.signalling is not None else SIGNALLING_DSCP,
    )


def _terms(terms: model.TermsModel | None) -> Terms:
    default = Terms()
    longest = int(terms.longest or default.longest) if terms is not None else default.longest
    behind_nat = int(terms.behind_nat or default.behind_nat) if terms is not None else default.behind_nat
    return Terms(longest, min(behind_nat, longest))


def _key_pair(certs: Path, name: str) -> KeyPair:
    return KeyPair(str(certs / f"{name}.pem"), str(certs / f"{name}.key"))


def _trunk(
    name: str,
    trunk: model.TrunkModel,
    media: Mapping[tuple[str, str], MediaRules],
    limits: Mapping[str, LimitRules],
    blocks: Mapping[str, Block],
    owned: Mapping[str, Sequence[Entry]],
    secrets: Mapping[Keys, str],
    certs: Path,
) -> Trunk:
    account = trunk.accepts_registration
    register_to = _register_to(name, trunk, secrets)
    t1 = trunk.timers.t1 if trunk.timers is not None and trunk.timers.t1 is not None else RFC_TIMERS.t1
    return Trunk(
        name=name,
        realm=trunk.realm,
        accept_from=tuple(map(str, trunk.accept_from or ())),
        peer=trunk.peer or (register_to.registrar if register_to is not None else None),
        registers=Credentials(account.user, secrets.get(("trunks", name, "accepts_registration", "password"), "")) if account else None,
        media=media[trunk.realm, trunk.media],
        limits=_named(limits, trunk.limits),
        dial_plan=_longest_first(trunk.dial_plan),
        timers=TimerValues(t1),
        invite_timers=TimerValues(t1, invite_timeout=trunk.timers.give_up_after if trunk.timers is not None else None),
        accept_certificate=tuple(trunk.accept_certificate or ()),
        certificate=_key_pair(certs, trunk.certificate) if trunk.certificate is not None else None,
        wildcard_certificates=trunk.insecure_wildcard_certificates or False,
        headers=_headers(
            trunk,
            blocks,
            owned.get(name, ()),
            trusted=trunk.trusted or False,
            diversions_as=trunk.diversions_as,
            foreign_numbers=trunk.foreign_numbers or "pass",
        ),
        responses_from=_translation(trunk.responses_from),
        responses_to=_translation(trunk.responses_to),
        overload_control=trunk.overload_control or False,
        early_offer=trunk.early_offer or False,
        record=trunk.record or "never",
        services=_services(trunk, transfers="refuse"),
        register_at=account.register_at if account is not None else None,
        authenticates=_authenticates(name, trunk, secrets),
        register_to=register_to,
        credentials=_credentials(name, trunk, register_to, secrets),
        verify=trunk.verify or "no",
        verify_reasons=trunk.verify_reasons or False,
        numbers=NumberRules(_kinds(trunk.refuse_to), _kinds(trunk.refuse_from)),
        sign=trunk.sign or "no",
    )


def _stranger(realm: str, helped: model.HelpedModel, media: Mapping[tuple[str, str], MediaRules]) -> Trunk:
    """Who calls for help and has proved nothing: may do nothing else, and is believed nothing."""
    return Trunk(stranger_in(realm), realm, accept_from=(), peer=None, registers=None, media=media[realm, helped.media])


def _register_to(name: str, trunk: model.TrunkModel, secrets: Mapping[Keys, str]) -> RegisterTo | None:
    account = trunk.register_to
    if account is None:
        return None
    return RegisterTo(
        registrar=account.registrar,
        user=account.user,
        domain=account.domain or account.registrar.host,
        port=None if account.domain is not None else account.registrar.port,
        credentials=Credentials(account.auth_user or account.user, secrets["trunks", name, "register_to", "password"]),
        expires=int(account.expires or DEFAULT_EXPIRES_S),
        needed=account.needed_for_calls is not False,
        in_from=account.from_header == "account",
        is_way=trunk.peer is None,
    )


def _credentials(name: str, trunk: model.TrunkModel, register_to: RegisterTo | None, secrets: Mapping[Keys, str]) -> Credentials | None:
    if trunk.credentials is not None:
        return Credentials(trunk.credentials.user, secrets["trunks", name, "credentials", "password"])
    return register_to.credentials if register_to is not None else None


def _authenticates(name: str, trunk: model.TrunkModel, secrets: Mapping[Keys, str]) -> Credentials | None:
    if trunk.authenticates is None:
        return None
    return Credentials(trunk.authenticates.user, secrets.get(("trunks", name, "authenticates", "password"), ""))


def _user(
    name: str,
    user: model.UserModel,
    media: Mapping[tuple[str, str], MediaRules],
    limits: Mapping[str, LimitRules],
    blocks: Mapping[str, Block],
    owned: Mapping[str, Sequence[Entry]],
    secrets: Mapping[Keys, str],
) -> User:
    return User(
        name=name,
        realm=user.realm,
        password=secrets.get(("users", name, "password"), ""),
        media=media[user.realm, user.media],
        limits=_named(limits, user.limits),
        dial_plan=_longest_first(user.dial_plan),
        headers=_headers(user, blocks, owned.get(name, ())),
        early_offer=user.early_offer or False,
        record=user.record or "never",
        services=_services(user, transfers="perform"),  # it could call and hang up just as well
        register_at=user.register_at,
        numbers=NumberRules(_kinds(user.refuse_to)),
    )


def _services(party: model.PartyModel, transfers: Literal["refuse", "perform"]) -> Services:
    """`transfers`: what counts when the policy says nothing."""
    return Services(
        redirects=party.redirects or "refuse",
        transfers=party.transfers or transfers,
        messages=party.messages == "pass",
        events=tuple(party.events or ()),
        priorities=tuple(party.priorities or ()),
        info=party.info == "pass",
        info_packages=tuple(party.info_packages or ()),
    )


def _longest_first(plan: Mapping[str, str] | None) -> DialPlan:
    return tuple(sorted((plan or {}).items(), key=lambda entry: -len(entry[0])))


def _headers(
    party: model.PartyModel,
    blocks: Mapping[str, Block],
    owned: Sequence[Entry],
    *,
    trusted: bool = False,
    diversions_as: Literal["diversion", "history-info", "none"] | None = None,
    foreign_numbers: Literal["pass", "replace", "refuse"] = "pass",
) -> HeaderRules:
    in_full = (*[number for number in party.numbers or () if not number.endswith("*")], *[each.key for each in owned if each.is_single])
    return HeaderRules(
        trusted=trusted,
        numbers=_patterns(party.numbers or ()),
        main_number=next(iter(in_full), None),
        pass_headers=frozenset(party.pass_headers or ()),
        pass_bodies=frozenset(party.pass_bodies or ()),
        diversions_as=diversions_as,
        refuse_anonymous=party.refuse_anonymous or False,
        blocks=tuple(blocks[name] for name in party.blocks or ()),
        blocks_from=tuple(blocks[name] for name in party.blocks_from or ()),
        assigned=numbers_owned(owned),
        foreign_numbers=foreign_numbers,
        presents=_presents(party),
        attest=party.attest or "A",
    )


def _presents(party: model.PartyModel) -> Presentation | None:
    found = Presentation(
        called=_longest_first(party.called_as),
        callers=_longest_first(party.callers_as),
        user_phone=party.user_phone,
        identity=party.identity_as or "p-asserted-identity",
        domain=party.callers_at,
        names=party.display_names != "drop",
        anonymous="domain" if party.anonymous_at == "callers_at" else "nowhere",
    )
    return None if found == Presentation() else found


def _translation(rules: Mapping[frozenset[int], int] | None) -> dict[int, int]:
    """One status counts more than a class of them, in whatever order they were written."""
    by_size = sorted((rules or {}).items(), key=lambda rule: -len(rule[0]))
    return {status: instead for statuses, instead in by_size for status in statuses}


def _limits(name: str, rules: model.LimitsModel) -> LimitRules:
    return LimitRules(
        name,
        rules.calls,
        rules.new_calls,
        rules.longest_call,
        rules.requests,
        rules.shared or False,
        calls_from=rules.calls_from,
        calls_to=rules.calls_to,
        new_calls_from=rules.new_calls_from,
        new_calls_to=rules.new_calls_to,
        burst=rules.burst,
        for_each=rules.for_each,
        bandwidth=rules.bandwidth,
    )


def _named(limits: Mapping[str, LimitRules], names: Sequence[str] | None) -> tuple[LimitRules, ...]:
    return tuple(limits[name] for name in names or ())


def _block(name: str, rules: model.BlockModel, listed: Numbers) -> Block:
    told = rules.redress.model_dump(exclude_none=True) if rules.redress is not None else {}
    redress = ";".join(("v=analytics1", *(f"{key}={value}" for key, value in told.items()))) if told else ""
    return Block(name, _patterns(rules.callers or ()), rules.answer or 603, redress, listed)


def _media(name: str, rules: model.MediaModel, available: Collection[Suite], marks: model.MarksModel | None) -> MediaRules:
    """`marks`: of the realm the party is in."""
    marked = marks.media if marks is not None and marks.media is not None else EXPEDITED
    codecs = [codec for codec in rules.codecs if rules.digits != "info" or codec.lower() != "telephone-event"]
    return MediaRules(
        codecs=tuple(codecs),
        srtp=rules.srtp if isinstance(rules.srtp, str) else "required",
        keying=("sdes",) if isinstance(rules.srtp, str) else rules.srtp,
        suites=tuple(rules.suites) if rules.suites is not None else tuple(suite for suite in USUAL_SUITES if suite in available),
        silence=rules.silence,
        early=rules.early_media or "both",
        fax=rules.fax or "refuse",
        g711=rules.g711 or "pass",
        digits=rules.digits or "pass",
        ssrc=rules.ssrc or "keep",
        digits_from=rules.digits_from or "pass",
        digits_to=rules.digits_to or "pass",
        follow=Follow(rules.follow) if rules.follow is not None else Follow.AUTHENTICATED,
        dscp=rules.dscp if rules.dscp is not None else marked,
        kept=KEPT - {"telephone-event"} if rules.digits == "info" else KEPT,
        offers_from=_offers(rules.offers_from),
        offers_to=_offers(rules.offers_to),
        annexb=rules.annexb or "pass",
        ptime=rules.ptime,
        maxptime=rules.maxptime,
        name=name,
    )


def _offers(rules: model.OffersModel | None) -> OfferRules:
    if rules is None:
        return AS_NAMED
    return OfferRules(
        allow=frozenset(map(spelled, rules.allow)) if rules.allow is not None else None,
        strip=frozenset(map(spelled, rules.strip or ())),
        prefer=None if rules.prefer is None else () if isinstance(rules.prefer, str) else tuple(map(spelled, rules.prefer)),
        require=tuple(map(spelled, rules.require or ())),
    )


def _patterns(texts: Iterable[str]) -> Patterns:
    texts = list(texts)
    return Patterns(
        exact=frozenset(text for text in texts if not text.endswith("*")),
        prefixes=tuple(text[:-1] for text in texts if text.endswith("*")),
    )


def _kinds(words: Iterable[str] | None) -> Kinds | None:
    return kinds_of(words) if words is not None else None


def _route(document: Document, index: int, route: model.RouteModel, limits: Mapping[str, LimitRules], cli: Cli | None) -> Route:
    return Route(
        name=route.name,
        to=_patterns(route.when.to),
        not_to=_patterns(route.when.not_to or ()),
        send_to=tuple(route.send_to),
        to_owner=OWNER in route.send_to,
        needs_caller=route.needs_caller or cli in ("shown", "call-center"),
        shows="nobody" if cli == "hidden" else None if route.shows in (None, "caller") else route.shows,
        cli=cli,
        to_kinds=_kinds(route.when.to_kind),
        not_to_kinds=_kinds(route.when.not_to_kind),
        next_on=frozenset().union(*route.next_on) if route.next_on is not None else DEFAULT_NEXT_ON,
        ring_for=route.ring_for if route.ring_for is not None else DEFAULT_RING_FOR,
        line=str(document.place(("routes", index))),
        when_realm=route.when.realm,
        when_trunk=route.when.trunk,
        when_user=route.when.user,
        limits=_named(limits, route.limits),
    )


def _emergency(document: Document, realm: str, rule: model.EmergencyModel) -> Route:
    return Route(
        name=f"emergency.{realm}",
        to=_patterns(rule.numbers),
        not_to=Patterns(),
        send_to=tuple(rule.send_to),
        next_on=EMERGENCY_NEXT_ON,
        ring_for=DEFAULT_RING_FOR,
        line=str(document.key_place(("emergency", realm))),
        when_realm=realm,
        emergency=True,
    )


def _sources(policy: Policy, realm: str) -> PrefixTable:
    tables: dict[int, dict[int, dict[int, tuple[str, ...]]]] = {4: defaultdict(dict), 6: defaultdict(dict)}
    for name, trunk in policy.trunks.items():
        if trunk.realm == realm:
            for network in trunk.accept_from or ():
                shift = (32 if network.version == 4 else 128) - network.prefixlen
                others = tables[network.version][shift].get(network.first >> shift, ())
                tables[network.version][shift][network.first >> shift] = (*others, name)
    return PrefixTable(v4=tuple(sorted(tables[4].items())), v6=tuple(sorted(tables[6].items())))


def _route_tables(routes: tuple[Route, ...], parties: list[Party]) -> dict[str, RouteTable]:
    by_party: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, route in enumerate(routes):
        key = ("realm", route.when_realm) if route.when_realm is not None else ("party", route.when_trunk or route.when_user or "")
        by_party[key].append(index)
    shared: dict[tuple[int, ...], RouteTable] = {}  # a realm's parties mostly have the same routes: one table, not thousands
    tables: dict[str, RouteTable] = {}
    for party in parties:
        indexes = tuple(sorted((*by_party.get(("party", party.name), ()), *by_party.get(("realm", party.realm), ()))))
        if indexes not in shared:
            shared[indexes] = _route_table(routes, indexes)
        tables[party.name] = shared[indexes]
    return tables


def _route_table(routes: tuple[Route, ...], indexes: tuple[int, ...]) -> RouteTable:
    exact: dict[str, list[int]] = defaultdict(list)
    prefixes: dict[str, list[int]] = defaultdict(list)
    for index in indexes:
        for number in routes[index].to.exact:
            exact[number].append(index)
        for prefix in set(routes[index].to.prefixes):
            prefixes[prefix].append(index)
    return RouteTable(
        exact={number: tuple(found) for number, found in exact.items()},
        prefixes={prefix: tuple(found) for prefix, found in prefixes.items()},
        lengths=tuple(sorted({len(prefix) for prefix in prefixes})),
    )
