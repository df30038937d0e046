"""Trunks and users: what they are promised and can be told. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter

from sbc.policy import model
from sbc.policy.checking.checker import SECURE, Checker, version
from sbc.policy.problems import Path
from sbc.policy.snapshot import Peer
from sbc.policy.values import DEFAULT_PORTS


def check(checker: Checker) -> None:
    for name in checker.names["users"]:
        if name in checker.names["trunks"]:
            place = checker.document.key_place(("trunks", name))
            checker.error(("users", name), f"there is a trunk of this name at {place}; routes could not tell them apart")
    for section, name, party in checker.policy.parties():
        _keys_in_clear(checker, section, name, party)
        _services(checker, (section, name), party)
    for name, trunk in checker.policy.trunks.items():
        _peer(checker, name, trunk)
        _verifies(checker, name, trunk)
        _tls_keys(checker, name, trunk)
        _headers(checker, name, trunk)
    _listed_alone(checker)


def _keys_in_clear(checker: Checker, section: str, name: str, party: model.TrunkModel | model.UserModel) -> None:
    """RFC 4568 s7: SDES sends the keys in the SDP, so that anybody who reads the signalling can decrypt the speech."""
    realm, media = checker.policy.realms.get(party.realm), checker.policy.media.get(party.media)
    if realm is None or media is None or media.srtp == "off" or (media.srtp != "optional" and "sdes" not in media.srtp):
        return
    open_listeners = [
        listener
        for listener in realm.signalling
        if listener.transport not in SECURE and not ipaddress.ip_address(listener.address).is_loopback
    ]
    path: Path = (section, name, "media")
    if isinstance(party, model.TrunkModel) and party.link is not None:
        return
    if isinstance(party, model.TrunkModel) and party.servers:
        called = party.servers[0]
        if called.transport != "TLS" and not called.secure:
            why = f"the peer is reached by {called.transport or 'UDP'}, not TLS"
            checker.warn(path, f"SRTP keys cross the network readable: {why}")
    elif not any(listener.transport in SECURE for listener in realm.signalling):
        checker.warn(path, f"SRTP keys cross the network readable: realm {party.realm!r} has no tls:// or wss:// listener")
    elif open_listeners:
        checker.warn(path, f"SRTP keys cross the network readable when signalling comes by {open_listeners[0]} instead of tls://")


def _headers(checker: Checker, name: str, trunk: model.TrunkModel) -> None:
    if trunk.diversions_as is not None and not trunk.trusted:
        checker.error(("trunks", name, "diversions_as"), "only a trunk with 'trusted: true' is told who sent a call on")
    for statuses in trunk.responses_to or ():
        if max(statuses) < 400:
            checker.error(("trunks", name, "responses_to"), "we send no redirections: 3xx stands in 'responses_from' only")
    if trunk.foreign_numbers in ("replace", "refuse"):
        _own_numbers(checker, name, trunk)


def _own_numbers(checker: Checker, name: str, trunk: model.TrunkModel) -> None:
    path: Path = ("trunks", name, "foreign_numbers")
    owned = checker.owned.get(name, [])
    full = [number for number in trunk.numbers or () if not number.endswith("*")]
    if trunk.trusted:
        checker.error(path, "a trusted trunk is believed whatever number it shows: take out one of the two")
    elif not owned and not trunk.numbers:
        checker.error(path, "it has no number of its own: give it 'numbers', or numbers of the policy's 'numbers'")
    elif trunk.foreign_numbers == "replace" and not full and not any(entry.is_single for entry in owned):
        checker.error(path, "by which number? Write one in full, in its 'numbers' or in those of the policy")


def _listed_alone(checker: Checker) -> None:
    for key in ("pass_headers", "pass_bodies"):
        listed = Counter(item for _, _, party in checker.policy.parties() for item in set(getattr(party, key) or ()))
        for section, name, party in checker.policy.parties():
            for index, item in enumerate(getattr(party, key) or ()):
                if listed[item] == 1:
                    checker.warn((section, name, key, index), "crosses only to somebody who lists it too, and nobody does")


def _services(checker: Checker, path: Path, party: model.TrunkModel | model.UserModel) -> None:
    if party.info_packages is not None and party.info != "pass":
        checker.error((*path, "info_packages"), "no INFO passes at all: say 'info: pass', too")
    media = checker.policy.media.get(party.media)
    if media is not None and media.digits == "info" and party.info != "pass":
        checker.error((*path, "media"), f"media {party.media!r} has its digits come by INFO, which is refused: say 'info: pass', too")
    if media is not None and "withhold" in (media.digits_from, media.digits_to):
        for index, event in enumerate(party.events or ()):
            if event == "kpml":  # RFC 4730
                checker.error((*path, "events", index), f"tells digits, which media {party.media!r} withholds")


def _verifies(checker: Checker, name: str, trunk: model.TrunkModel) -> None:
    identity = checker.policy.identity
    if trunk.verify in ("tag", "require") and (identity is None or identity.roots is None):
        checker.error(("trunks", name, "verify"), "by whose certificates? Say so under 'identity: {roots: FILE}'")
    if trunk.verify_reasons and trunk.verify in (None, "no"):
        checker.error(("trunks", name, "verify_reasons"), "nothing is verified of its calls: say 'verify: tag' or 'verify: require', too")
    if trunk.sign not in (None, "no") and (identity is None or identity.sign is None):
        checker.error(("trunks", name, "sign"), "with which key? Say so under 'identity: {sign: {certificate: NAME, url: https://…}}'")


def _peer(checker: Checker, name: str, trunk: model.TrunkModel) -> None:
    path: Path = ("trunks", name, "peer")
    if trunk.peer is not None:
        if trunk.accepts_registration is not None:
            checker.error(path, "calls go to where it registered from (accepts_registration) or to 'peer': remove one")
        _connectable(checker, path, trunk.realm, trunk.peer)
    if trunk.register_to is not None:
        if trunk.accepts_registration is not None:
            checker.error(("trunks", name, "register_to"), "it registers at us (accepts_registration) or we register there: remove one")
        _connectable(checker, ("trunks", name, "register_to", "registrar"), trunk.realm, trunk.register_to.registrar)
    if trunk.credentials is not None and not trunk.servers:
        checker.error(("trunks", name, "credentials"), "is for calls to a 'peer', and this trunk has none")


def _connectable(checker: Checker, path: Path, realm_name: str, peer: Peer) -> None:
    realm = checker.policy.realms.get(realm_name)
    if realm is None:
        return
    family = version(peer.host)
    if peer.transport is None and not peer.secure and family is None and peer.port is None:
        return  # DNS says by which transports: any listener may do
    transport = peer.transport or ("TLS" if peer.secure else "UDP")
    fitting = [listener for listener in realm.signalling if listener.transport == transport]
    if not fitting:
        checker.error(path, f"realm {realm_name!r} has no {transport.lower()}:// listener to send from")
        return
    if family is not None and all(version(listener.address) != family for listener in fitting):
        checker.error(path, f"realm {realm_name!r} has no {transport.lower()}:// listener of this address family")
    port = peer.port or DEFAULT_PORTS[transport]
    if any((listener.address, listener.port) == (peer.host, port) for listener in fitting):
        checker.error(path, "is our own listener: calls would come back to us")


def _tls_keys(checker: Checker, name: str, trunk: model.TrunkModel) -> None:
    """Keys that only TLS gives a meaning."""
    realm = checker.policy.realms.get(trunk.realm)
    no_tls = realm is not None and all(each.transport != "TLS" for each in realm.signalling)
    if no_tls and trunk.accept_certificate is not None:
        checker.error(("trunks", name, "accept_certificate"), f"realm {trunk.realm!r} has no tls:// listener")
    for key in ("certificate", "insecure_wildcard_certificates"):
        if getattr(trunk, key) is not None and (no_tls or not any(server.may_be_tls for server in trunk.servers)):
            checker.error(("trunks", name, key), "is for connections to a 'peer' over TLS, and this trunk has none")
