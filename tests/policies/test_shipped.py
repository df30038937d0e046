"""The policies we ship load without a warning and do what their comments say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.policy.decide import emergency_route, identify, normalise, password, registers_through, route
from sbc.policy.load import load_policy
from sbc.policy.realms import Terms
from sbc.policy.snapshot import Snapshot
from sbc.sdp.rules import USUAL_SUITES
from sbc.sip.uri import Uri

POLICIES = Path(__file__).parents[2] / "policies"
EXAMPLES = sorted((POLICIES / "examples").glob("*.yaml"))


def load(tmp_path: Path, file: Path) -> Snapshot:
    (tmp_path / "policies").mkdir()
    shutil.copy(file, tmp_path / "policies")
    devcerts.make(tmp_path / "certs", users=["alice", "office", "tel"])
    devcerts.make_stir(tmp_path / "certs")
    loaded = load_policy(tmp_path / "policies")
    assert loaded.warnings == ()
    return loaded.snapshot


def chosen(snapshot: Snapshot, party: str, number: str) -> str | None:
    source = snapshot.party(party)
    found = route(snapshot, source, normalise(source, number))
    return found.name if found else None


@pytest.mark.parametrize("file", [POLICIES / "sbc.yaml", *EXAMPLES], ids=lambda file: file.name)
def test_it_loads_and_names_its_schema(tmp_path: Path, file: Path) -> None:
    load(tmp_path, file)
    first = file.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("=")[2]).resolve() == POLICIES / "schema.json"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


def test_quick_start(tmp_path: Path) -> None:
    snapshot = load(tmp_path, POLICIES / "sbc.yaml")
    assert [(each.transport, each.local) for each in snapshot.realms["outside"].listeners] == [
        ("TLS", ("127.0.0.1", 5061)),
        ("UDP", ("127.0.0.1", 5060)),
        ("TCP", ("127.0.0.1", 5060)),
    ]
    assert chosen(snapshot, "alice", "+4930123456") == "outbound"
    assert chosen(snapshot, "alice", "service") == "outbound"
    caller = identify(snapshot, "inside", "127.0.0.3")
    assert caller is not None
    assert chosen(snapshot, caller.name, "anybody") == "inbound"
    assert identify(snapshot, "outside", "127.0.0.3") is None
    assert (snapshot.users["alice"].media.srtp, snapshot.users["alice"].media.suites) == ("required", USUAL_SUITES)
    assert snapshot.trunks["testpeer"].media.srtp == "off"
    assert snapshot.strangers.answer is None
    assert emergency_route(snapshot, snapshot.users["alice"], Uri.parse("sip:112@127.0.0.1")) is not None


def test_pbx_behind_nat(tmp_path: Path) -> None:
    snapshot = load(tmp_path, POLICIES / "examples" / "pbx-behind-nat.yaml")
    office = snapshot.trunks["office"]
    assert [normalise(office, number) for number in ("0044201234", "01711234", "1234567")] == ["+44201234", "+491711234", "+49301234567"]
    # Blocked numbers stay blocked however they are dialled.
    assert [chosen(snapshot, "office", number) for number in ("0900123", "00499001", "+4990", "00882123")] == [None] * 4
    assert chosen(snapshot, "office", "004420123") == "outbound"
    realm = snapshot.realms["outside"]
    assert (realm.listeners[0].advertise, realm.relay.address, realm.relay_advertise) == ("203.0.113.10", "10.0.1.10", "203.0.113.10")
    assert (realm.digest_realm, realm.domains) == ("sbc.example.net", ("sbc.example.net",))


def test_core_with_registrar(tmp_path: Path) -> None:
    snapshot = load(tmp_path, POLICIES / "examples" / "core-with-registrar.yaml")
    assert {snapshot.party(name).register_at for name in ("branch", "anna", "ben")} == {"core"}
    assert registers_through(snapshot, "outside", "anna") is snapshot.users["anna"]
    assert registers_through(snapshot, "inside", "anna") is None
    assert (password(snapshot, "outside", "anna"), password(snapshot, "outside", "branch")) == (None, None)
    assert not snapshot.realms["outside"].has_digest_users, "nobody is challenged by us"
    assert chosen(snapshot, "anna", "ben") == "to-core"
    assert snapshot.realms["outside"].terms == Terms(3600, 60)


def test_two_carriers(tmp_path: Path) -> None:
    snapshot = load(tmp_path, POLICIES / "examples" / "two-carriers.yaml")
    assert chosen(snapshot, "acme", "4930123456") == "germany"
    assert chosen(snapshot, "acme", "88212345") is None
    assert snapshot.routes[0].send_to == ("north", "south")
    assert {404, 480, 503} <= snapshot.routes[0].next_on
    assert identify(snapshot, "carriers", "192.0.2.100") is None
    assert identify(snapshot, "customers", "2001:db8:acce:1::1") is snapshot.trunks["acme"]


def test_account_at_carrier(tmp_path: Path) -> None:
    snapshot = load(tmp_path, POLICIES / "examples" / "account-at-carrier.yaml")
    account = snapshot.trunks["tel"].register_to
    assert account is not None
    assert (account.user, account.domain, account.is_way, account.needed) == ("4930123", "sip.carrier.example", True, True)
    assert account.registrar.transport == "TLS"
    assert chosen(snapshot, "tel", "4930123456") == "in"
    assert chosen(snapshot, "tel", "4989123456") is None
    assert chosen(snapshot, "pbx", "0301234567") == "out"
