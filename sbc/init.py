"""`sbc init DIR`: a first policy to fill in, or an example; development certificates and secrets. Never overwrites anything."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from sbc import devcerts
from sbc.errors import ConfigError
from sbc.examples import example
from sbc.explain import schema as cases_schema
from sbc.policy import schema

SECRETS = ("office", "alice")
NAMED = 3  # files of passwords, when there are more of them
_CERTS = ("certs/ca.pem", "certs/ca.key", "certs/edge.pem", "certs/edge.key")
_SCHEMAS = ("policies/schema.json", "policies/tests.schema.json")

_POLICY = """\
# yaml-language-server: $schema=./schema.json
#
# What is not allowed here is refused. Lines marked FILL IN are examples until you change them.
# Check it with: sbc check
version: 1

# The networks we stand between.
realms:
  outside:                            # where PBXs and phones come from
    signalling: ["tls://{host}:5061"]
    # advertise: 203.0.113.10         # FILL IN behind 1:1 NAT: the public address, which peers are told
    relay: {{address: {bare}, ports: 20000-29999}}
    certificate: edge                 # certs/edge.pem and certs/edge.key: replace the development certificate
{domains}
    # digest: [MD5]                   # only for old phones that give up when SHA-256 is offered as well
  inside:                             # where the carrier is
    signalling: ["udp://{host}:5060", "tcp://{host}:5060"]
    relay: {{address: {bare}, ports: 30000-39999}}

trunks:
  carrier:
    realm: inside
    accept_from: ["{carrier}"]        # FILL IN: the carrier's signalling addresses
    peer: sip:{carrier_host}              # FILL IN: where it takes calls; ;transport=tcp or ;transport=tls when it wants that
    # trusted: true                   # FILL IN when what it asserts of callers is to be believed, and it may know who hides a number
    media: plain
    limits: carrier
  office:                             # a PBX that registers to us
    realm: outside
    accepts_registration: {{user: office, password: {{file: ../certs/office.secret}}}}
    media: encrypted
    limits: office
    dial_plan: {{"00": "+"}}            # FILL IN what is dialled here: "0": "+49" in Germany, "1": "+1" in America
    # numbers: ["+4930123*"]          # FILL IN its own numbers: those it may assert

users:
  alice:                              # one phone
    realm: outside
    password: {{file: ../certs/alice.secret}}
    media: encrypted
    limits: person
    dial_plan: {{"00": "+"}}

# The first route that matches wins; no match answers 404.
routes:
  - name: to-alice
    when: {{realm: outside, to: alice}}
    send_to: [alice]
  - name: outbound
    when: {{realm: outside, to: "+*"}}  # FILL IN: add not_to: ["+882*", …] for expensive destinations nobody calls
    send_to: [carrier]
    ring_for: 2m
  - name: inbound
    when: {{trunk: carrier, to: "*"}}   # FILL IN your numbers: to: "+4930123*"
    send_to: [office]

media:
  encrypted: {{srtp: [sdes], codecs: [PCMA, PCMU, G729, telephone-event], silence: 5m}}
  plain: {{srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]}}

# Counted for each trunk or user that names them.
limits:
  carrier: {{calls: 100, new_calls: 10/s, burst: 30, longest_call: 4h}}
  office: {{calls: 30, new_calls: 5/s, burst: 15, longest_call: 4h}}
  person: {{calls: 2, new_calls: 30/m, burst: 10, longest_call: 4h}}   # ten at once, then one every two seconds
  stranger: {{requests: 5/s}}

# Dialled as they stand here; exempt from every limit.
emergency:
  outside: {{numbers: ["112", "911"], send_to: [carrier]}}   # FILL IN your country's numbers
  inside: none

strangers: {{answer: nothing, limits: stranger}}
"""


def write_tree(directory: Path, address: str | None = None, names: Sequence[str] = ()) -> list[str]:
    """Create policies/ and certs/ in `directory`; the lines to tell the operator.

    `address` is ours in both networks (default: the one that leads to the Internet); `names` are host names for the certificate, the
    first of them also the name phones use. ConfigError, with nothing written, if any of the files exists.
    """
    address = address or _own_address()
    files = {"sbc.yaml": _policy(address, names)}
    return [
        *_write(directory, files, SECRETS, [*names, address]),
        "edit the lines marked FILL IN in " + str(directory / "policies" / "sbc.yaml"),
        f"open in the firewall, for phones and PBXs: TCP {address} 5061, UDP {address} 20000-29999",
        f"open in the firewall, for the carrier: UDP and TCP {address} 5060, UDP {address} 30000-39999",
        *_next(directory, SECRETS, files),
    ]


def write_example(directory: Path, name: str, names: Sequence[str] = ()) -> list[str]:
    """The same of an example policy with its tests, at addresses of this machine. Raises ConfigError as `write_tree` does."""
    made = example(name)
    return [
        *_write(directory, made.files, made.secrets, [*names, *made.names, *[here.strip("[]") for here in made.moved.values()]]),
        *[f"our address {ours} is {here} here" for ours, here in made.moved.items()],
        *_next(directory, made.secrets, made.files),
    ]


def _write(directory: Path, files: Mapping[str, str], secrets: Sequence[str], names: Sequence[str]) -> list[str]:
    """`files`: those of policies/, by path in it. ConfigError, with nothing written, if any file exists."""
    targets = [*(f"policies/{path}" for path in files), *_SCHEMAS, *_CERTS, *(f"certs/{user}.secret" for user in secrets)]
    if existing := [target for target in targets if (directory / target).exists()]:
        lines = "".join(f"\n  {directory / target}" for target in existing)
        raise ConfigError(f"nothing written, because these would be overwritten:{lines}")
    policies, certs = directory / "policies", directory / "certs"
    policies.mkdir(parents=True, exist_ok=True)
    devcerts.make(certs, names, secrets)
    texts = {**files, "schema.json": schema.text(), "tests.schema.json": cases_schema.text()}
    for path, text in texts.items():
        (policies / path).parent.mkdir(exist_ok=True)
        devcerts.write_new(policies / path, text.encode(), devcerts.PUBLIC_MODE)
    return [f"created {directory / target}" for target in targets]


def _next(directory: Path, secrets: Sequence[str], files: Iterable[str]) -> list[str]:
    names = [str(directory / "certs" / f"{user}.secret") for user in secrets]
    passwords = ", ".join(names if len(names) <= NAMED else [*names[:NAMED], "…"])
    commands = ("sbc check", *(["sbc test"] if any(path.startswith("tests/") for path in files) else []), "sbc run")
    return [*([f"passwords of the accounts: {passwords}"] if names else []), f"then: cd {directory}; {'; '.join(commands)}"]


def _policy(address: str, names: Sequence[str]) -> str:
    six = ":" in address
    domains = f"    domains: [{', '.join(names)}]" if names else "    # domains: [sbc.example.net]    # FILL IN: the name phones use"
    return _POLICY.format(
        host=f"[{address}]" if six else address,
        bare=f'"{address}"' if six else address,
        carrier="2001:db8::10" if six else "192.0.2.10",  # documentation addresses: nobody calls from there
        carrier_host="[2001:db8::10]" if six else "192.0.2.10",
        domains=domains,
    )


def _own_address() -> str:
    """The address we would reach the Internet from. Connecting a UDP socket sends nothing."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737 documentation address
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
