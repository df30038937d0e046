"""`sbc init` writes what the loader accepts, and nothing over what exists."""

from __future__ import annotations

import ipaddress
import stat
from pathlib import Path

import pytest

from sbc.errors import ConfigError
from sbc.examples import examples
from sbc.explain.testing import examine
from sbc.init import write_example, write_tree
from sbc.policy.load import load_policy


@pytest.mark.parametrize("address", [None, "192.0.2.77", "2001:db8::77"])
@pytest.mark.parametrize("names", [[], ["sbc.example.net", "edge.example.net"]])
def test_the_written_policy_loads_without_a_warning(tmp_path: Path, address: str | None, names: list[str]) -> None:
    messages = write_tree(tmp_path / "new", address, names)
    loaded = load_policy(tmp_path / "new" / "policies")
    assert loaded.warnings == ()
    outside = loaded.snapshot.realms["outside"]
    assert outside.relay.address == (address or outside.relay.address)
    assert outside.domains == (tuple(names) or (outside.relay.address,))
    firewall = "\n".join(line for line in messages if "firewall" in line)
    for realm in loaded.snapshot.realms.values():
        assert f"{realm.relay.first_port}-{realm.relay.last_port}" in firewall
        assert all(str(listener.port) in firewall for listener in realm.listeners)


def test_the_schemas_that_files_name_are_there(tmp_path: Path) -> None:
    write_tree(tmp_path)
    shipped = Path(__file__).parents[2] / "policies"
    for schema in ("schema.json", "tests.schema.json"):
        assert (tmp_path / "policies" / schema).read_text() == (shipped / schema).read_text()


def test_secrets_are_random_and_private(tmp_path: Path) -> None:
    write_tree(tmp_path)
    secrets = [tmp_path / "certs" / name for name in ("office.secret", "alice.secret")]
    assert len({secret.read_text() for secret in secrets}) == 2
    assert all(stat.S_IMODE(secret.stat().st_mode) == 0o600 for secret in secrets)


def test_nothing_is_overwritten_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "sbc.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"would be overwritten:\n  .*/policies/sbc\.yaml$"):
        write_tree(tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "policies" / "sbc.yaml"]
    assert (tmp_path / "policies" / "sbc.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", examples())
def test_an_example_is_good_and_runs_where_it_was_written(tmp_path: Path, name: str) -> None:
    told = "\n".join(write_example(tmp_path, name))
    policies = tmp_path / "policies"
    loaded = load_policy(policies)
    assert loaded.warnings == ()
    examined = examine(policies, loaded)
    assert list(map(str, examined.failures)) == []
    assert ("sbc test" in told) == (examined.cases > 0)
    listeners = [(each.transport == "UDP", each.local) for realm in loaded.snapshot.realms.values() for each in realm.listeners]
    assert len(set(listeners)) == len(listeners), "no two at one port"
    hosts = [*[local[0] for _, local in listeners], *[realm.relay.address for realm in loaded.snapshot.realms.values()]]
    assert all(ipaddress.ip_address(host).is_loopback for host in hosts)


@pytest.mark.parametrize("name", examples())
def test_editors_find_the_schemas_of_an_example(tmp_path: Path, name: str) -> None:
    write_example(tmp_path, name)
    for file in (tmp_path / "policies").rglob("*.yaml"):
        first = file.read_text().splitlines()[0]
        schema = "tests.schema.json" if file.parent.name == "tests" else "schema.json"
        assert (file.parent / first.partition("$schema=")[2]).resolve() == tmp_path / "policies" / schema


def test_an_example_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no example 'transitt': account-at-carrier, .*two-carriers"):
        write_example(tmp_path, "transitt")
    write_example(tmp_path, "transit")
    with pytest.raises(ConfigError, match="would be overwritten"):
        write_example(tmp_path, "transit")


def test_the_addresses_of_an_example_are_told(tmp_path: Path) -> None:
    told = write_example(tmp_path, "two-carriers")
    assert "our address [2001:db8::10] is [::1] here" in told
    policy = (tmp_path / "policies" / "sbc.yaml").read_text()
    assert "#   127.0.0.10 for 198.51.100.10\n" in policy
    assert policy.count("198.51.100.10") == 1
