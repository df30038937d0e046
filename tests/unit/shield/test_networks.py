from __future__ import annotations

import pytest

from sbc.shield.budgets import source_key
from sbc.shield.networks import Networks, key_of, shown


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["10.1.0.0/16"], "10.1.255.1", "10.2.0.1"),
        (["192.0.2.7"], "192.0.2.7", "192.0.2.8"),
        (["2001:db8:0:7::/64"], "2001:db8:0:7::1", "2001:db8:0:8::1"),
        (["2001:db8::/32"], "2001:db8:ffff::1", "2001:db9::1"),
        (["2001:db8::5"], "2001:db8::6", "2001:db8:0:1::5"),  # its whole /64: bans are no finer
        (["::ffff:192.0.2.7/128", "192.0.2.7"], "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
        (["10.0.0.0/8", "10.1.0.0/16", "fe80::/10"], "fe80::1%eth0", "172.16.0.1"),
        ([], "0.0.0.0", "::"),
    ],
)
def test_who_is_in_it(networks: list[str], inside: str, outside: str) -> None:
    asked = Networks(networks)
    assert asked.has(source_key(inside)) == bool(networks)
    assert not asked.has(source_key(outside))


def test_keys_as_people_write_them() -> None:
    for text in ("192.0.2.7", "2001:db8:0:7::/64"):
        assert shown(key_of(text)) == text
    assert shown(key_of(" 2001:db8:0:7:1::9 ")) == "2001:db8:0:7::/64"
    assert shown(key_of("::ffff:192.0.2.7")) == "192.0.2.7"
    with pytest.raises(ValueError, match="'office' is not an address"):
        key_of("office")
