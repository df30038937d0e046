"""Networks: what we listen on and relay media through. Pure."""

from __future__ import annotations

from sbc.flow import Transport
from sbc.policy import model
from sbc.policy.checking.checker import SECURE, Checker, version
from sbc.policy.problems import Path

WEB: frozenset[Transport] = frozenset({"WS", "WSS"})
DATAGRAMS: frozenset[Transport] = frozenset({"UDP", "QUIC"})
FEW_PORTS = 100  # fewer is a typing error more often than a wish: 50 calls


def check(checker: Checker) -> None:
    _realms(checker)
    _listeners(checker)
    _relays(checker)


def _realms(checker: Checker) -> None:
    for name, realm in checker.policy.realms.items():
        path: Path = ("realms", name)
        transports = {listener.transport for listener in realm.signalling}
        if secure := transports & SECURE:
            if realm.certificate is None:
                what = f"{min(secure).lower()}:// needs 'certificate: NAME' (certs/NAME.pem and certs/NAME.key)"
                checker.error((*path, "signalling"), what)
        else:
            for key in ("client_ca", "client_certificates"):
                if getattr(realm, key) is not None:
                    checker.error((*path, key), "asks for client certificates, but no listener is tls:// or wss://")
        if realm.origins is not None and not transports & WEB:
            checker.error((*path, "origins"), "is about WebSockets, but no listener is ws:// or wss://")
        if realm.origins is None and transports & WEB:
            checker.warn((*path, "signalling"), "browsers will be refused: say in 'origins' from which pages they may come")
        if realm.digest is not None and "MD5" in realm.digest[:-1] and transports & WEB:
            checker.warn((*path, "digest"), "JsSIP and SIP.js read the last challenge only, and know none but MD5: put it last")
        families = {version(listener.address) for listener in realm.signalling}
        if realm.advertise is not None and version(realm.advertise) not in families:
            checker.error((*path, "advertise"), "no listener has an address of this family")
        if version(realm.relay.address) not in families and "QUIC" not in transports:
            checker.warn((*path, "relay", "address"), "no listener has an address of this family")
        size = realm.relay.ports.last - realm.relay.ports.first + 1
        if size < FEW_PORTS:
            checker.warn((*path, "relay", "ports"), f"room for {size // 2} calls only")


def _listeners(checker: Checker) -> None:
    taken: dict[tuple[bool, str, int], Path] = {}
    for name, realm in checker.policy.realms.items():
        for index, listener in enumerate(realm.signalling):
            path: Path = ("realms", name, "signalling", index)
            socket = (listener.transport in DATAGRAMS, listener.address, listener.port)  # TLS and TCP cannot share one
            if socket in taken:
                other = checker.document.place(taken[socket])
                checker.error(path, f"this address and port is already listened on at {other}")
            taken.setdefault(socket, path)


def _relays(checker: Checker) -> None:
    sockets = [
        (realm_name, listener)
        for realm_name, realm in checker.policy.realms.items()
        for listener in realm.signalling
        if listener.transport in DATAGRAMS
    ]
    seen: list[tuple[str, model.RelayModel]] = []
    for name, realm in checker.policy.realms.items():
        path: Path = ("realms", name, "relay", "ports")
        relay = realm.relay
        for _, listener in sockets:
            if listener.address == relay.address and relay.ports.first <= listener.port <= relay.ports.last:
                checker.error(path, f"contains the signalling port of {listener}")
        for other_name, other in seen:
            same = other.address == relay.address
            if same and relay.ports.first <= other.ports.last and other.ports.first <= relay.ports.last:
                checker.error(path, f"overlaps with the ports of realm {other_name!r} on the same address")
        seen.append((name, relay))
    _express(checker)


def _express(checker: Checker) -> None:
    """One network alone has it for calls that stay there."""
    express = [name for name, realm in checker.policy.realms.items() if realm.relay.packets == "xdp"]
    if len(express) == 1 and len(checker.policy.realms) > 1:
        checker.warn(("realms", express[0], "relay", "packets"), "xdp serves calls between networks that both have it; no other one does")
