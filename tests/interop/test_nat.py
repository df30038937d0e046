"""A phone at home: its own addresses lead nowhere, everything it sends comes from the router in front of it.

home 192.168.7.0/24 ── router .1 ── outside 10.99.1.3 ── the edge ── carrier
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import baresip, server
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.namespaces import Lab, Link, Namespace
from tests.interop.server import PASSWORD, POLICY, Server
from tests.interop.test_baresip import NUMBER, connect

HOME = "192.168.7.2"
ROUTER = "10.99.1.3"
PLUGS = """\
link add home type bridge
link set home up
addr add 192.168.7.1/24 dev home
link add port type veth peer name home netns {phone}
link set port master home up
"""
PHONE = f"""\
link set lo up
link set home up
addr add {HOME}/24 dev home
route add default via 192.168.7.1
"""
MASQUERADE = """\
table ip home {
    chain out { type nat hook postrouting priority srcnat; oifname outside masquerade random; }
    chain in { type filter hook forward priority filter; iifname outside ct state != established drop; }
}
"""
WITH_BOB = POLICY.replace(
    "routes:\n",
    """\
  bob:
    realm: outside
    password: {{file: ../certs/alice.secret}}
    media: plain
    dial_plan: {{"0": "+49"}}
routes:
  - name: to-bob
    when: {{trunk: carrier, to: "+4930222"}}
    send_to: [bob]
""",
)


@pytest.fixture
def home(lab: Lab) -> Iterator[Namespace]:
    router = Namespace.create("router", (Link("outside", ROUTER, "fd99:1::3"),))
    phone = Namespace.create("home", (Link("home", HOME, "fd99:7::2"),))
    try:
        lab.switch.run(
            ["ip", "-batch", "-"],
            text=f"link add router-out type veth peer name outside netns {router.holder.pid}\nlink set router-out master outside up\n",
        )
        router.run(["ip", "-batch", "-"], text=f"link set lo up\nlink set outside up\naddr add {ROUTER}/24 dev outside\n")
        router.run(["ip", "-batch", "-"], text=PLUGS.format(phone=phone.holder.pid))
        router.run(["tee", "/proc/sys/net/ipv4/ip_forward"], text="1")
        router.run(["nft", "-f", "-"], text=MASQUERADE)
        phone.run(["ip", "-batch", "-"], text=PHONE)
        yield phone
    finally:
        phone.close()
        router.close()


@pytest.fixture
def edge(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    with server.serve(lab, tmp_path / "sbc", WITH_BOB) as running:
        yield running


@pytest.fixture
def carrier(lab: Lab, edge: Server, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


@pytest.fixture(params=["udp", "tls"])
def phone(request: pytest.FixtureRequest, lab: Lab, home: Namespace, edge: Server, tmp_path: Path) -> Iterator[Phone]:
    user, port, media = ("bob", 5060, "") if request.param == "udp" else ("alice", 5061, "mediaenc=srtp-mand;")
    address = f"{lab.outside}:{port};transport={request.param}"
    account = (
        f'<sip:{user}@{address}>;auth_user={user};auth_pass={PASSWORD};outbound="sip:{address}";regint=60;'
        f"{media}audio_codecs=PCMA/8000/1;answermode=manual"
    )
    with baresip.phone(home, tmp_path / user, account, tone=ALICE, trust=edge.trust()) as started:
        started.registered()
        yield started


def test_a_phone_behind_a_nat_calls_and_is_called(lab: Lab, edge: Server, phone: Phone, carrier: Phone) -> None:
    """The audio goes to where the phone's comes from, not to what it says of itself."""
    connect(phone, carrier, "030123")
    hears(phone, CARRIER)
    hears(carrier, ALICE)
    phone.command("hangup")
    carrier.expect("CALL_CLOSED")
    number = "+4930222" if phone.folder.name == "bob" else "+4930111"
    connect(carrier, phone, f"sip:{number}@{lab.inside}")
    hears(phone, CARRIER)
    hears(carrier, ALICE)
    carrier.command("hangup")
    phone.expect("CALL_CLOSED")
    out, in_ = edge.records(2)
    for leg in (out["a"], in_["b"]):
        assert isinstance(leg, dict)
        assert leg["peer"].startswith(f"{ROUTER}:")
        assert leg["media"]["source"].startswith(f"{ROUTER}:")
        assert leg["media"]["verdict"] == "ok"


def test_the_router_gives_the_phone_another_port(lab: Lab, edge: Server, home: Namespace, tmp_path: Path, carrier: Phone) -> None:
    """A new mapping, as after a restart of the router: the next REGISTER says where the phone is, and calls go there."""
    address = f"{lab.outside}:5060;transport=udp"
    account = f'<sip:bob@{address}>;auth_user=bob;auth_pass={PASSWORD};outbound="sip:{address}";regint=60;answermode=manual'
    for attempt in ("before", "after"):  # another socket of the phone is another mapping of the router
        with baresip.phone(home, tmp_path / attempt, account, tone=ALICE, listen=f"{HOME}:{5070 + len(attempt)}") as phone:
            phone.registered()
            connect(carrier, phone, f"sip:+4930222@{lab.inside}")
            hears(phone, CARRIER)
            carrier.command("hangup")
            phone.expect("CALL_CLOSED")
    peers = {record["b"]["peer"] for record in edge.records(2) if isinstance(record["b"], dict)}
    assert len(peers) == 2
