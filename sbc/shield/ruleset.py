"""What nftables is told, as the JSON of libnftables-json(5): one table of our own, and nothing outside of it.

    prerouting, before connection tracking
      to one of our doors (signalling address, protocol and port)
        banned                      ⇒ dropped, counted by source
        spared by the policy, known ⇒ on
        anybody else                ⇒ dropped beyond a rate of datagrams, and of connections begun, by source

What goes elsewhere on this machine is nobody's business here: a banned source still reaches all that is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import collapse_addresses, ip_network
from typing import Any

from sbc.shield.networks import key_of, shown
from sbc.shield.rules import ShieldRules

Command = dict[str, Any]
Door = tuple[str, str, int]  # udp or tcp, numeric address, port

PRIORITY = -310  # raw is -300: before connection tracking makes an entry of each packet (nft(8))
SIZE = 65_536  # elements of a set, some 100 octets of the kernel each; when it is full, packets pass on to us
KNOWN_FOR = 5400  # seconds: KNOWN_FOR of sbc.shield.shield after the last proof, of which we may hear TOLD_AGAIN late
METER = 2.0  # times what we would read of a source ourselves: the kernel takes the brunt, and we decide
AT_ONCE = 4.0  # seconds of it
CONNECTIONS = (50, 500)  # begun in a second, and at once: above what sbc.net.limits has for a handshake
FORGOTTEN = 10  # seconds after which a source is not counted any more
_MASK = "ffff:ffff:ffff:ffff::"
_FAMILIES = (("4", "ip", "ipv4_addr"), ("6", "ip6", "ipv6_addr"))


def ruleset(table: str, doors: Sequence[Door], rules: ShieldRules) -> list[Command]:
    """The whole of our table, in place of whatever there was of it."""
    own = {"family": "inet", "table": table}
    commands: list[Command] = [_add("table", {"family": "inet", "name": table}), {"delete": {"table": {"family": "inet", "name": table}}}]
    commands.append(_add("table", {"family": "inet", "name": table}))
    for family, _, kind in _FAMILIES:
        commands += [_add("set", own | each) for each in _sets(family, kind)]
    named = ["four", "six"]
    commands += [_add("chain", own | {"name": name}) for name in named]
    front = {"name": "front", "type": "filter", "hook": "prerouting", "prio": PRIORITY, "policy": "accept"}
    commands.append(_add("chain", own | front))
    for (family, protocol, _), chain in zip(_FAMILIES, named, strict=True):
        door = {"concat": [_field(protocol, "daddr"), {"meta": {"key": "l4proto"}}, _field("th", "dport")]}
        commands.append(_rule(own, "front", _in(door, f"doors{family}"), {"jump": {"target": chain}}))
        commands += [_rule(own, chain, *each) for each in _steps(family, protocol, rules)]
    for family, _, _ in _FAMILIES:
        there = [{"concat": [address, protocol, port]} for protocol, address, port in doors if (":" in address) == (family == "6")]
        spared = [_network(each) for each in _apart(rules.never_ban, int(family))]
        commands += _elements(table, f"doors{family}", there) + _elements(table, f"spared{family}", spared)
    return commands


def removal(table: str) -> list[Command]:
    """Nothing of ours is left, whether there was anything or not."""
    named = {"table": {"family": "inet", "name": table}}
    return [{"add": named}, {"delete": named}]


def banned(source: str) -> str:
    """The set that it is in, if it is."""
    return f"banned{_family(source)}"


def known(source: str) -> str:
    return f"known{_family(source)}"


def keeping(table: str, wanted: Mapping[tuple[str, str], float]) -> list[Command]:
    """By set and source: for so many seconds from now on, whatever it was before; none: no more."""
    commands: list[Command] = []
    for name in dict.fromkeys(name for name, _ in wanted):
        there = {_address(source): seconds for (each, source), seconds in wanted.items() if each == name}
        # Taken away first: to add what is there would leave it the time it had. And added before that: to delete what is
        # not there would be an error, and all that was to be done at once would not be.
        commands += _elements(table, name, [_timed(address, 1) for address in there])
        commands += _elements(table, name, list(there), "delete")
        commands += _elements(table, name, [_timed(address, max(1, round(seconds))) for address, seconds in there.items() if seconds > 0])
    return commands


def counted(answer: Mapping[str, Any]) -> dict[str, int]:
    """Packets dropped by source, of what `nft -j list set` has answered."""
    found: dict[str, int] = {}
    for each in answer.get("nftables", ()):
        for element in each.get("set", {}).get("elem", ()):
            entry = element.get("elem", {}) if isinstance(element, dict) else {}
            if isinstance(entry.get("val"), str) and isinstance(entry.get("counter"), dict):
                found[key_of(entry["val"])] = int(entry["counter"].get("packets", 0))
    return found


def _sets(family: str, kind: str) -> Iterable[Command]:
    counters = {"stmt": [{"counter": None}]}
    yield {"name": f"banned{family}", "type": kind, "flags": ["timeout"], "size": SIZE, **counters}
    yield {"name": f"known{family}", "type": kind, "flags": ["timeout"], "size": SIZE}
    yield {"name": f"spared{family}", "type": kind, "flags": ["interval"]}
    yield {"name": f"doors{family}", "type": [kind, "inet_proto", "inet_service"]}
    for name in ("datagrams", "connections"):
        yield {"name": f"{name}{family}", "type": kind, "flags": ["timeout"], "timeout": FORGOTTEN, "size": SIZE}


def _steps(family: str, protocol: str, rules: ShieldRules) -> Iterable[tuple[Command, ...]]:
    whole = _field(protocol, "saddr")
    source: Command = {"&": [whole, _MASK]} if family == "6" else whole
    rate = rules.requests * METER
    flags = {"&": [_field("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}
    yield _in(source, f"banned{family}"), {"drop": None}
    yield _in(whole, f"spared{family}"), {"return": None}
    yield _in(source, f"known{family}"), {"return": None}
    if rules.bans == "on":
        udp = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "udp"}}
        syn = {"match": {"op": "==", "left": flags, "right": "syn"}}
        yield udp, _over(source, f"datagrams{family}", rate, rate * AT_ONCE), {"drop": None}
        yield syn, _over(source, f"connections{family}", *CONNECTIONS), {"drop": None}


def _over(source: Command, name: str, rate: float, burst: float) -> Command:
    limit = {"limit": {"rate": max(1, round(rate)), "burst": max(1, round(burst)), "per": "second", "inv": True}}
    return {"set": {"op": "update", "elem": source, "set": f"@{name}", "stmt": [limit]}}


def _field(protocol: str, name: str) -> Command:
    return {"payload": {"protocol": protocol, "field": name}}


def _in(left: Command, name: str) -> Command:
    return {"match": {"op": "==", "left": left, "right": f"@{name}"}}


def _rule(own: Command, chain: str, *steps: Command) -> Command:
    return _add("rule", own | {"chain": chain, "expr": list(steps)})


def _add(kind: str, what: Command) -> Command:
    return {"add": {kind: what}}


def _elements(table: str, name: str, elements: Sequence[object], verb: str = "add") -> list[Command]:
    if not elements:
        return []
    return [{verb: {"element": {"family": "inet", "table": table, "name": name, "elem": list(elements)}}}]


def _timed(address: str, seconds: int) -> Command:
    return {"elem": {"val": address, "timeout": seconds}}


def _family(source: str) -> str:
    return "6" if ":" in source else "4"


def _address(source: str) -> str:
    """Of a key of `source_key`, as it is after the mask."""
    return shown(source).removesuffix("/64")


def _apart(texts: Iterable[str], version: int) -> list[Any]:
    """Networks of that version of which none is in another, as sets of intervals want them."""
    networks: list[Any] = [ip_network(text, strict=False) for text in texts]
    return list(collapse_addresses([each for each in networks if each.version == version]))


def _network(network: Any) -> object:
    address = str(network.network_address)
    return {"prefix": {"addr": address, "len": network.prefixlen}} if network.prefixlen < network.max_prefixlen else address
