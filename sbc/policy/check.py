"""Checks across objects: names that must exist, addresses that must not collide, rules that could never work. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from media.api import DTLS_SUITES, Suite
from sbc.flow import Transport
from sbc.policy import model
from sbc.policy.document import Document, Plain
from sbc.policy.inventory import OWNER, UNASSIGNED
from sbc.policy.numbering import Entry, by_owner, check_owners
from sbc.policy.problems import Path, Place, Problem, did_you_mean
from sbc.policy.proofs import IdentityModel
from sbc.policy.snapshot import Peer
from sbc.policy.values import DEFAULT_PORTS

SECURE: frozenset[Transport] = frozenset({"TLS", "WSS"})
WEB: frozenset[Transport] = frozenset({"WS", "WSS"})
FEW_PORTS = 100  # fewer is a typing error more often than a wish: 50 calls

# Audio formats peers really offer; another one may be right, but is more often a typing error.
KNOWN_CODECS = (
    *("PCMU", "PCMA", "G729", "G722", "G723", "G726-16", "G726-24", "G726-32", "G726-40", "G728", "GSM", "GSM-EFR", "iLBC", "L16"),
    *("opus", "speex", "SILK", "AMR", "AMR-WB", "EVS", "telephone-event", "CN"),
)
NOT_AUDIO = {"telephone-event", "cn"}


@dataclass(frozen=True, slots=True)
class Policy:
    """The objects that are valid by themselves; `routes` by their position in the list."""

    realms: Mapping[str, model.RealmModel]
    trunks: Mapping[str, model.TrunkModel]
    users: Mapping[str, model.UserModel]
    routes: Mapping[int, model.RouteModel]
    limits: Mapping[str, model.LimitsModel]
    media: Mapping[str, model.MediaModel]
    blocks: Mapping[str, model.BlockModel]
    numbers: Sequence[Entry]
    emergency: Mapping[str, model.EmergencyModel]
    no_emergency: frozenset[str]
    strangers: model.StrangersModel
    identity: IdentityModel | None

    def parties(self) -> Iterable[tuple[str, str, model.TrunkModel | model.UserModel]]:
        """(section, name, object) of all trunks and users."""
        yield from (("trunks", name, trunk) for name, trunk in self.trunks.items())
        yield from (("users", name, user) for name, user in self.users.items())


def check(document: Document, policy: Policy, suites: Collection[Suite]) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings. `suites` are those of the media engine."""
    checker = _Checker(document, policy, suites)
    checker.references()
    checker.realms()
    checker.listeners()
    checker.relays()
    checker.parties()
    checker.sources()
    checker.certificates()
    checker.accounts()
    checker.routes()
    checker.numbers()
    checker.emergency()
    checker.limits()
    checker.media()
    return checker.errors, checker.warnings


class _Checker:
    def __init__(self, document: Document, policy: Policy, suites: Collection[Suite]) -> None:
        self._document = document
        self._policy = policy
        self._available = suites
        self._owned = by_owner(policy.numbers)
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        # All names of a section, those of faulty objects too: a reference to them is not a second error.
        self._names = {section: self._names_of(section) for section in model.PolicyModel.model_fields}

    # What each check is about stands at `path`, its value unless it is an object.

    def error(self, path: Path, what: str) -> None:
        self.errors.append(Problem(self._place(path), path, what))

    def warn(self, path: Path, what: str) -> None:
        self.warnings.append(Problem(self._place(path), path, what))

    def _place(self, path: Path) -> Place:
        place = self._document.key_place if isinstance(self._document.plain(path), dict) else self._document.place
        return place(path)

    def _names_of(self, section: str) -> dict[str, None]:
        entries = self._plain(section)
        return dict.fromkeys(entries) if isinstance(entries, dict) else {}

    def references(self) -> None:
        """Every name that refers to something, in faulty objects too."""
        for section in ("trunks", "users"):
            for name in self._names[section]:
                for key, target in (("realm", "realms"), ("media", "media"), ("limits", "limits")):
                    self._reference((section, name, key), target)
                self._references((section, name, "blocks"), "blocks")
        for name in self._names["users"]:
            self._reference(("users", name, "register_at"), "trunks")
        for name in self._names["trunks"]:
            self._reference(("trunks", name, "accepts_registration", "register_at"), "trunks")
        routes = self._plain("routes")
        for index in range(len(routes) if isinstance(routes, list) else 0):
            for key, target in (("trunk", "trunks"), ("user", "users"), ("realm", "realms")):
                self._reference(("routes", index, "when", key), target)
            self._references(("routes", index, "send_to"), "trunks", "users", instead=OWNER)
        for name in self._names["emergency"]:
            if name not in self._names["realms"]:
                what = f"there is no realm {name!r}{did_you_mean(name, self._names['realms'])}"
                self.error(("emergency", name), what)
            self._references(("emergency", name, "send_to"), "trunks", "users")
        self._reference(("strangers", "limits"), "limits")

    def _references(self, path: Path, *sections: str, instead: str | None = None) -> None:
        names = self._plain(*path)
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if name != instead:
                self._reference((*path, index), *sections)

    def _reference(self, path: Path, *sections: str) -> None:
        name = self._plain(*path)
        if isinstance(name, bool) or not isinstance(name, (str, int)) or any(str(name) in self._names[section] for section in sections):
            return
        known = [known for section in sections for known in self._names[section]]
        what = " or ".join(
            {"realms": "realm", "trunks": "trunk", "users": "user", "blocks": "block"}.get(section, section) for section in sections
        )
        self.error(path, f"there is no {what} {str(name)!r}{did_you_mean(str(name), known)}")

    def _plain(self, *path: str | int) -> Plain:
        """What is written at `path`; None when nothing is."""
        return self._document.plain(path) if self._document.trim(path) == path else None

    def realms(self) -> None:
        for name, realm in self._policy.realms.items():
            path: Path = ("realms", name)
            transports = {listener.transport for listener in realm.signalling}
            if secure := transports & SECURE:
                if realm.certificate is None:
                    what = f"{min(secure).lower()}:// needs 'certificate: NAME' (certs/NAME.pem and certs/NAME.key)"
                    self.error((*path, "signalling"), what)
            else:
                for key in ("client_ca", "client_certificates"):
                    if getattr(realm, key) is not None:
                        self.error((*path, key), "asks for client certificates, but no listener is tls:// or wss://")
            if realm.origins is not None and not transports & WEB:
                self.error((*path, "origins"), "is about WebSockets, but no listener is ws:// or wss://")
            if realm.origins is None and transports & WEB:
                self.warn((*path, "signalling"), "browsers will be refused: say in 'origins' from which pages they may come")
            if realm.digest is not None and "MD5" in realm.digest[:-1] and transports & WEB:
                self.warn((*path, "digest"), "JsSIP and SIP.js read the last challenge only, and know none but MD5: put it last")
            families = {_version(listener.address) for listener in realm.signalling}
            if realm.advertise is not None and _version(realm.advertise) not in families:
                self.error((*path, "advertise"), "no listener has an address of this family")
            if _version(realm.relay.address) not in families:
                self.warn((*path, "relay", "address"), "no listener has an address of this family")
            size = realm.relay.ports.last - realm.relay.ports.first + 1
            if size < FEW_PORTS:
                self.warn((*path, "relay", "ports"), f"room for {size // 2} calls only")

    def listeners(self) -> None:
        taken: dict[tuple[bool, str, int], Path] = {}
        for name, realm in self._policy.realms.items():
            for index, listener in enumerate(realm.signalling):
                path: Path = ("realms", name, "signalling", index)
                socket = (listener.transport == "UDP", listener.address, listener.port)  # TLS and TCP cannot share one
                if socket in taken:
                    other = self._document.place(taken[socket])
                    self.error(path, f"this address and port is already listened on at {other}")
                taken.setdefault(socket, path)

    def relays(self) -> None:
        sockets = [
            (realm_name, listener)
            for realm_name, realm in self._policy.realms.items()
            for listener in realm.signalling
            if listener.transport == "UDP"
        ]
        seen: list[tuple[str, model.RelayModel]] = []
        for name, realm in self._policy.realms.items():
            path: Path = ("realms", name, "relay", "ports")
            relay = realm.relay
            for _, listener in sockets:
                if listener.address == relay.address and relay.ports.first <= listener.port <= relay.ports.last:
                    self.error(path, f"contains the signalling port of {listener}")
            for other_name, other in seen:
                same = other.address == relay.address
                if same and relay.ports.first <= other.ports.last and other.ports.first <= relay.ports.last:
                    self.error(path, f"overlaps with the ports of realm {other_name!r} on the same address")
            seen.append((name, relay))
        self._express()

    def _express(self) -> None:
        """One network alone has it for calls that stay there."""
        express = [name for name, realm in self._policy.realms.items() if realm.relay.packets == "xdp"]
        if len(express) == 1 and len(self._policy.realms) > 1:
            self.warn(("realms", express[0], "relay", "packets"), "xdp serves calls between networks that both have it; no other one does")

    def parties(self) -> None:
        for name in self._names["users"]:
            if name in self._names["trunks"]:
                place = self._document.key_place(("trunks", name))
                self.error(("users", name), f"there is a trunk of this name at {place}; routes could not tell them apart")
        for section, name, party in self._policy.parties():
            limits = self._policy.limits.get(party.limits or "")
            if limits is not None and limits.requests is not None:
                self.error((section, name, "limits"), "'requests' is counted for strangers only; take it out of these limits")
            self._keys_in_clear(section, name, party)
            self._services((section, name), party)
        for name, trunk in self._policy.trunks.items():
            self._peer(name, trunk)
            self._verifies(name, trunk)
            self._tls_keys(name, trunk)
            self._headers(name, trunk)
        self._listed_alone()

    def _keys_in_clear(self, section: str, name: str, party: model.TrunkModel | model.UserModel) -> None:
        """RFC 4568 s7: SDES sends the keys in the SDP, so that anybody who reads the signalling can decrypt the speech."""
        realm, media = self._policy.realms.get(party.realm), self._policy.media.get(party.media)
        if realm is None or media is None or media.srtp == "off" or (media.srtp != "optional" and "sdes" not in media.srtp):
            return
        open_listeners = [
            listener
            for listener in realm.signalling
            if listener.transport not in SECURE and not ipaddress.ip_address(listener.address).is_loopback
        ]
        path: Path = (section, name, "media")
        if isinstance(party, model.TrunkModel) and party.servers:
            called = party.servers[0]
            if called.transport != "TLS" and not called.secure:
                why = f"the peer is reached by {called.transport or 'UDP'}, not TLS"
                self.warn(path, f"SRTP keys cross the network readable: {why}")
        elif not any(listener.transport in SECURE for listener in realm.signalling):
            self.warn(path, f"SRTP keys cross the network readable: realm {party.realm!r} has no tls:// or wss:// listener")
        elif open_listeners:
            self.warn(path, f"SRTP keys cross the network readable when signalling comes by {open_listeners[0]} instead of tls://")

    def _headers(self, name: str, trunk: model.TrunkModel) -> None:
        if trunk.diversions_as is not None and not trunk.trusted:
            self.error(("trunks", name, "diversions_as"), "only a trunk with 'trusted: true' is told who sent a call on")
        for statuses in trunk.responses_to or ():
            if max(statuses) < 400:
                self.error(("trunks", name, "responses_to"), "we send no redirections: 3xx stands in 'responses_from' only")
        if trunk.foreign_numbers in ("replace", "refuse"):
            self._own_numbers(name, trunk)

    def _own_numbers(self, name: str, trunk: model.TrunkModel) -> None:
        path: Path = ("trunks", name, "foreign_numbers")
        owned = self._owned.get(name, [])
        full = [number for number in trunk.numbers or () if not number.endswith("*")]
        if trunk.trusted:
            self.error(path, "a trusted trunk is believed whatever number it shows: take out one of the two")
        elif not owned and not trunk.numbers:
            self.error(path, "it has no number of its own: give it 'numbers', or numbers of the policy's 'numbers'")
        elif trunk.foreign_numbers == "replace" and not full and not any(entry.is_single for entry in owned):
            self.error(path, "by which number? Write one in full, in its 'numbers' or in those of the policy")

    def _listed_alone(self) -> None:
        for key in ("pass_headers", "pass_bodies"):
            listed = Counter(item for _, _, party in self._policy.parties() for item in set(getattr(party, key) or ()))
            for section, name, party in self._policy.parties():
                for index, item in enumerate(getattr(party, key) or ()):
                    if listed[item] == 1:
                        self.warn((section, name, key, index), "crosses only to somebody who lists it too, and nobody does")

    def _services(self, path: Path, party: model.TrunkModel | model.UserModel) -> None:
        if party.info_packages is not None and party.info != "pass":
            self.error((*path, "info_packages"), "no INFO passes at all: say 'info: pass', too")
        media = self._policy.media.get(party.media)
        if media is not None and media.digits == "info" and party.info != "pass":
            self.error((*path, "media"), f"media {party.media!r} has its digits come by INFO, which is refused: say 'info: pass', too")
        if media is not None and "withhold" in (media.digits_from, media.digits_to):
            for index, event in enumerate(party.events or ()):
                if event == "kpml":  # RFC 4730
                    self.error((*path, "events", index), f"tells digits, which media {party.media!r} withholds")

    def _verifies(self, name: str, trunk: model.TrunkModel) -> None:
        if trunk.verify in ("tag", "require") and self._policy.identity is None:
            self.error(("trunks", name, "verify"), "by whose certificates? Say so under 'identity: {roots: FILE}'")

    def _peer(self, name: str, trunk: model.TrunkModel) -> None:
        path: Path = ("trunks", name, "peer")
        if trunk.peer is not None:
            if trunk.accepts_registration is not None:
                self.error(path, "calls go to where it registered from (accepts_registration) or to 'peer': remove one")
            self._connectable(path, trunk.realm, trunk.peer)
        if trunk.register_to is not None:
            if trunk.accepts_registration is not None:
                self.error(("trunks", name, "register_to"), "it registers at us (accepts_registration) or we register there: remove one")
            self._connectable(("trunks", name, "register_to", "registrar"), trunk.realm, trunk.register_to.registrar)
        if trunk.credentials is not None and not trunk.servers:
            self.error(("trunks", name, "credentials"), "is for calls to a 'peer', and this trunk has none")

    def _connectable(self, path: Path, realm_name: str, peer: Peer) -> None:
        realm = self._policy.realms.get(realm_name)
        if realm is None:
            return
        version = _version(peer.host)
        if peer.transport is None and not peer.secure and version is None and peer.port is None:
            return  # DNS says by which transports: any listener may do
        transport = peer.transport or ("TLS" if peer.secure else "UDP")
        fitting = [listener for listener in realm.signalling if listener.transport == transport]
        if not fitting:
            self.error(path, f"realm {realm_name!r} has no {transport.lower()}:// listener to send from")
            return
        if version is not None and all(_version(listener.address) != version for listener in fitting):
            self.error(path, f"realm {realm_name!r} has no {transport.lower()}:// listener of this address family")
        port = peer.port or DEFAULT_PORTS[transport]
        if any((listener.address, listener.port) == (peer.host, port) for listener in fitting):
            self.error(path, "is our own listener: calls would come back to us")

    def _tls_keys(self, name: str, trunk: model.TrunkModel) -> None:
        """Keys that only TLS gives a meaning."""
        realm = self._policy.realms.get(trunk.realm)
        no_tls = realm is not None and all(each.transport != "TLS" for each in realm.signalling)
        if no_tls and trunk.accept_certificate is not None:
            self.error(("trunks", name, "accept_certificate"), f"realm {trunk.realm!r} has no tls:// listener")
        for key in ("certificate", "insecure_wildcard_certificates"):
            if getattr(trunk, key) is not None and (no_tls or not any(server.may_be_tls for server in trunk.servers)):
                self.error(("trunks", name, key), "is for connections to a 'peer' over TLS, and this trunk has none")

    def sources(self) -> None:
        taken: dict[tuple[str, str], Path] = {}
        for name, trunk in self._policy.trunks.items():
            for index, network in enumerate(trunk.accept_from or ()):
                path: Path = ("trunks", name, "accept_from", index)
                key = (trunk.realm, str(network))
                other = taken.setdefault(key, path)
                if other is not path:
                    self._same_source(path, str(network), trunk, other)

    def _same_source(self, path: Path, network: str, trunk: model.TrunkModel, other: Path) -> None:
        """Who calls without a password would be the one, whoever of them it is: so each of them has one, or none shares."""
        name = str(other[1])
        place = self._document.place(other)
        if name == path[1]:
            self.error(path, f"{network} is already in this list")
        elif trunk.authenticates is None or self._policy.trunks[name].authenticates is None:
            what = f"{network} is already trunk {name!r} at {place}"
            self.error(path, f"{what}: give both of them 'authenticates'; of nested networks the longest wins")

    def certificates(self) -> None:
        """Who is known by a name in a certificate, and who is shown or believed what: one answer for each name and realm."""
        taken: dict[tuple[str, str], Path] = {}
        called: dict[tuple[str, str], tuple[str, tuple[str | None, bool | None]]] = {}
        for name, trunk in self._policy.trunks.items():
            for index, each in enumerate(trunk.accept_certificate or ()):
                path: Path = ("trunks", name, "accept_certificate", index)
                key = (trunk.realm, each)
                if key in taken:
                    self.error(path, f"{each} is already trunk {taken[key][1]!r} at {self._document.place(taken[key])}")
                taken.setdefault(key, path)
            for server in trunk.servers:
                rules = (trunk.certificate, trunk.insecure_wildcard_certificates)
                other, others = called.setdefault((trunk.realm, server.host), (name, rules)) if server.may_be_tls else (name, rules)
                if others != rules:
                    what = f"connections to {server.host} are shared with trunk {other!r}, which has other certificate rules"
                    self.error(("trunks", name, "peer" if server is trunk.peer else "register_to"), what)

    def accounts(self) -> None:
        taken: dict[tuple[str, str], Path] = {(user.realm, name): ("users", name) for name, user in self._policy.users.items()}
        for name, trunk in self._policy.trunks.items():
            if trunk.accepts_registration is not None and trunk.authenticates is not None:
                what = "'accepts_registration' has an account that proves it: leave out 'accept_from' and each of its calls is asked for it"
                self.error(("trunks", name, "authenticates"), what)
            for kind, account in (("accepts_registration", trunk.accepts_registration), ("authenticates", trunk.authenticates)):
                if account is None:
                    continue
                path: Path = ("trunks", name, kind, "user")
                key = (trunk.realm, account.user)
                if key in taken:
                    place = self._document.key_place(taken[key])
                    self.error(path, f"{key[1]!r} is already an account of realm {trunk.realm!r} at {place}")
                taken.setdefault(key, path)
        self._ours()
        for name, user in self._policy.users.items():
            self._registrar(("users", name, "register_at"), user.register_at)
        for name, trunk in self._policy.trunks.items():
            if trunk.accepts_registration is not None:
                self._registrar(("trunks", name, "accepts_registration", "register_at"), trunk.accepts_registration.register_at)

    def _ours(self) -> None:
        """Accounts that we have elsewhere: each is registered once."""
        taken: dict[tuple[str, str], str] = {}
        for name, trunk in self._policy.trunks.items():
            account = trunk.register_to
            if account is not None:
                other = taken.setdefault((account.user, account.domain or account.registrar.host), name)
                if other != name:
                    place = self._document.key_place(("trunks", other, "register_to"))
                    self.error(
                        ("trunks", name, "register_to", "user"), f"{account.user!r} is registered by trunk {other!r} already at {place}"
                    )

    def _registrar(self, path: Path, name: str | None) -> None:
        """Whether that trunk can be registered at, and whether its calls to who registers there are known as its own."""
        trunk = self._policy.trunks.get(name or "")
        if trunk is None:
            return
        if trunk.peer is None:
            self.error(path, f"trunk {name!r} has no 'peer' to send REGISTER to")
        elif not (trunk.accept_from or trunk.accept_certificate or trunk.authenticates):
            self.warn(path, f"trunk {name!r} has no accept_from, accept_certificate or authenticates: it cannot call who registers there")

    def routes(self) -> None:
        names: dict[str, int] = {}
        for index, route in self._policy.routes.items():
            path: Path = ("routes", index)
            if route.name in names:
                place = self._document.place(("routes", names[route.name], "name"))
                self.error((*path, "name"), f"{route.name!r} is already a route at {place}")
            names.setdefault(route.name, index)
            when = route.when
            trunk = self._policy.trunks.get(when.trunk or "")
            if trunk is not None and not (
                trunk.accept_from or trunk.accept_certificate or trunk.accepts_registration or trunk.authenticates or trunk.register_to
            ):
                ways = "accept_from, accept_certificate, accepts_registration, authenticates or register_to"
                why = f"trunk {when.trunk!r} has no {ways}, so no call is ever its"
                self.warn((*path, "when", "trunk"), why)
            self._targets((*path, "send_to"), route.send_to)
            self._slips_past(path, when)

    def _slips_past(self, path: Path, when: model.WhenModel) -> None:
        """Exceptions are compared after the dial plan: without one, `00882…` is no `+882…`."""
        if not any(number.startswith("+") for number in when.not_to or ()) or all(number.startswith("+") for number in when.to):
            return
        for _, name, party in self._policy.parties():
            if party.dial_plan is None and (name in (when.trunk, when.user) or party.realm == when.realm):
                what = f"{name!r} has no dial_plan: what it dials as 00… has no '+', and passes; say 'to: \"+*\"', or give it one"
                self.warn((*path, "when", "not_to"), what)
                return

    def _targets(self, path: Path, send_to: Sequence[str]) -> None:
        for index, name in enumerate(send_to):
            here: Path = (*path, index)
            if name in send_to[:index]:
                self.error(here, f"{name!r} is already in this list")
            self._reachable(here, name)

    def _reachable(self, path: Path, name: str) -> None:
        trunk = self._policy.trunks.get(name)
        if trunk is not None and not trunk.servers and trunk.accepts_registration is None:
            self.error(path, f"trunk {name!r} cannot be reached: it has neither 'peer' nor 'accepts_registration'")

    def numbers(self) -> None:
        self.errors += check_owners(self._document, self._policy.numbers)
        for owner, entries in self._owned.items():
            path: Path = ("numbers", entries[0].key)
            if owner != UNASSIGNED:
                self._reference(path, "trunks", "users")
                self._reachable(path, owner)
        to_owner = [(index, route.send_to.index(OWNER)) for index, route in self._policy.routes.items() if OWNER in route.send_to]
        for index, position in to_owner if not self._plain("numbers") else ():
            self.error(("routes", index, "send_to", position), "nobody owns a number: there are no 'numbers'")
        if self._owned and not to_owner:
            self.warn(("numbers",), f"no route leads to them: say 'send_to: [{OWNER}]' in one")
        for section in ("trunks", "users"):
            for word in (OWNER, UNASSIGNED):
                if word in self._names[section]:
                    self.error((section, word), f"{word!r} has a meaning of its own where names stand: choose another one")

    def emergency(self) -> None:
        for name, emergency in self._policy.emergency.items():
            self._targets(("emergency", name, "send_to"), emergency.send_to)
        for name in self._names["realms"]:
            if name not in self._names["emergency"]:
                what = f"has no 'emergency': say where its emergency calls go, or 'emergency: {{{name}: none}}'"
                self.warn(("realms", name), what)

    def limits(self) -> None:
        name = self._policy.strangers.limits
        rules = self._policy.limits.get(name or "")
        if rules is not None and (rules.calls is not None or rules.new_calls is not None or rules.longest_call is not None):
            self.error(("strangers", "limits"), "strangers make no calls; only 'requests' is counted for them")

    def media(self) -> None:
        for name, media in self._policy.media.items():
            folded = [codec.lower() for codec in media.codecs]
            for index, codec in enumerate(media.codecs):
                path: Path = ("media", name, "codecs", index)
                if folded[index] in folded[:index]:
                    self.error(path, f"{codec!r} is already in this list")
                elif folded[index] not in map(str.lower, KNOWN_CODECS):
                    self.warn(path, f"{codec!r} is not a usual codec name{did_you_mean(codec, KNOWN_CODECS)}")
            if not set(folded) - NOT_AUDIO:
                self.error(("media", name, "codecs"), "no audio codec among them: every call would be refused")
            if media.suites is not None:
                self._suites(("media", name, "suites"), media)
            if media.fax == "pass" and not isinstance(media.srtp, str):
                self.error(("media", name, "fax"), f"T.38 has no encryption here: with 'srtp: {', '.join(media.srtp)}' it cannot pass")
            self._digits(name, media, folded)
            if media.g711 == "translate" and not {"pcma", "pcmu"} & set(folded):
                self.error(("media", name, "g711"), "neither PCMA nor PCMU is among the codecs: there is nothing to translate")
            if media.follow == "authenticated" and media.srtp == "off":
                self.error(("media", name, "follow"), "plain RTP authenticates nothing: 'never', or 'same_address'")
            if media.follow == "same_address" and not isinstance(media.srtp, str):
                self.error(("media", name, "follow"), f"is for plain RTP: with 'srtp: {', '.join(media.srtp)}' it is 'authenticated'")

    def _digits(self, name: str, media: model.MediaModel, codecs: Sequence[str]) -> None:
        """What is withheld has to be told from speech."""
        if media.digits == "rfc4733" and "telephone-event" not in codecs:
            self.error(("media", name, "digits"), "RFC 4733 is telephone-event, which is not among the codecs")
        if media.digits == "info":
            return
        for key in ("digits_from", "digits_to"):
            if getattr(media, key) != "withhold":
                continue
            if "telephone-event" not in codecs:
                self.error(("media", name, key), "without telephone-event among the codecs digits are tones in the speech, and pass")
            elif "red" in codecs:
                self.error(("media", name, key), "RED (RFC 2198) carries digits among the speech: take it from the codecs")

    def _suites(self, path: Path, media: model.MediaModel) -> None:
        if media.srtp == "off":
            self.error(path, "suites without SRTP: 'srtp' is off")
        elif "dtls" in media.srtp and not DTLS_SUITES & set(media.suites or ()):
            self.error(path, f"none of these can come of DTLS: {', '.join(sorted(DTLS_SUITES))} can")
        for index, suite in enumerate(media.suites or ()):
            if suite in (media.suites or ())[:index]:
                self.error((*path, index), f"{suite!s} is already in this list")
            if suite not in self._available:
                self.error((*path, index), f"the media engine that runs here has no {suite!s}: install the compiled one, or leave it out")


def _version(host: str) -> int | None:
    """4 or 6 of a numeric address; None of a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None
