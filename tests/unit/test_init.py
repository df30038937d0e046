"""`sbc init` writes what the loader accepts, and nothing over what exists."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sbc.errors import ConfigError
from sbc.init import write_tree
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
