"""Who is it, which number, where to."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.compile import _patterns, _route_tables
from sbc.policy.decide import NumberRefused, account, dialled, emergency_route, identify, normalise, password, route
from sbc.policy.snapshot import DialPlan, Route, Snapshot, Strangers, User
from sbc.sdp.rules import MediaRules
from sbc.sip.uri import Uri
from tests.cost import least_cpu
from tests.unit.policy.conftest import MINIMAL, Folder

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "numbers" / "e164.json").read_text())

SHORT_CODES = {"999", "911", "5550143"}  # no E.164 number, but what a route may ask for

TRUNKS = """\
trunks:
  wide: {realm: inside, media: plain, accept_from: [10.0.0.0/8, "2001:db8::/32"]}
  narrow: {realm: inside, media: plain, accept_from: [10.20.0.0/16, "2001:db8:1::/48"]}
  host: {realm: inside, media: plain, accept_from: [10.20.30.40], peer: sip:10.20.30.40}
  elsewhere: {realm: outside, media: plain, accept_from: [192.0.2.0/24]}
  pbx: {realm: outside, media: plain, accepts_registration: {user: "1000", password: {env: SBC_TEST_SECRET}}}
users:
  alice: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}}
"""


@pytest.fixture
def snapshot(folder: Folder) -> Snapshot:
    return folder.load(MINIMAL + TRUNKS).snapshot


def user(plan: DialPlan = (), realm: str = "outside") -> User:
    return User("u", realm, "", MediaRules(("PCMA",), "off", (), None), (), tuple(sorted(plan, key=lambda entry: -len(entry[0]))))


@pytest.mark.parametrize(
    ("realm", "source", "trunk"),
    [
        ("inside", "10.1.2.3", "wide"),
        ("inside", "10.20.1.1", "narrow"),
        ("inside", "10.20.30.40", "host"),
        ("inside", "10.20.30.41", "narrow"),
        ("inside", "::ffff:10.20.30.40", "host"),
        ("inside", "11.0.0.0", None),
        ("inside", "9.255.255.255", None),
        ("inside", "2001:db8:1::5", "narrow"),
        ("inside", "2001:db8:2::5", "wide"),
        ("inside", "2001:db9::", None),
        ("inside", "::a00:1", None),  # 10.0.0.1 as IPv4-compatible IPv6 is not IPv4-mapped
        ("inside", "fe80::1%eth0", None),
        ("inside", "192.0.2.1", None),
        ("outside", "192.0.2.1", "elsewhere"),
        ("outside", "10.20.30.40", None),
    ],
)
def test_AUTH_08_longest_prefix_of_the_realm(snapshot: Snapshot, realm: str, source: str, trunk: str | None) -> None:
    found = identify(snapshot, realm, source)
    assert (found.name if found else None) == trunk


def test_AUTH_08_identify_is_fast_with_a_thousand_prefixes(folder: Folder) -> None:
    lines = [f"  t{n}: {{realm: inside, media: plain, accept_from: [10.{n // 250}.{n % 250}.0/{24 + n % 5}]}}" for n in range(1000)]
    snapshot = folder.load(MINIMAL + "trunks:\n" + "\n".join(lines)).snapshot
    each = least_cpu(lambda: [identify(snapshot, "inside", "10.3.248.1") for _ in range(2000)], tries=5) / 2000
    found = identify(snapshot, "inside", "10.3.248.1")
    assert found is not None
    assert found.name == "t998"
    assert each < 10e-6  # 1 µs where it was written; a linear search would take 100


def test_accounts_are_users_and_registering_trunks_of_one_realm(snapshot: Snapshot) -> None:
    assert account(snapshot, "outside", "alice") is snapshot.users["alice"]
    assert account(snapshot, "outside", "1000") is snapshot.trunks["pbx"]
    assert account(snapshot, "inside", "alice") is None
    assert account(snapshot, "outside", "pbx") is None
    assert [password(snapshot, "outside", name) for name in ("alice", "1000", "bob")] == ["geheim", "geheim", None]
    assert (snapshot.realms["outside"].has_digest_users, snapshot.realms["inside"].has_digest_users) == (True, False)


def plan_of(case: dict[str, str]) -> DialPlan:
    """The dial plan an operator would write for the country of a vector."""
    country, trunk, international = case["country"], case["trunk_prefix"], case["intl_prefix"]
    plan = {international: "+", trunk: f"+{country}"} if trunk else {international: "+", **{d: f"+{country}{d}" for d in "0123456789"}}
    if country == "44":
        plan["44"] = "+44"  # "only if the trunk is configured so"
    if country == "1":
        plan |= {f"{d}": f"+1{d}" for d in "23456789"} | {"911": "911", "555": "555"}
    return tuple(plan.items())


@pytest.mark.parametrize("case", VECTORS["normalise"], ids=lambda case: case["why"] or case["input"])
def test_number_vectors(case: dict[str, str]) -> None:
    text = case["input"]
    uri = Uri.parse(text) if text.startswith("tel:") else Uri.sip(quote(text, safe="+;=%-"), "h")
    party = user(plan_of(case))
    if case["e164"] is not None:
        assert normalise(party, dialled(uri)) == case["e164"]
    elif case["input"] in SHORT_CODES:
        assert normalise(party, dialled(uri)) == case["input"]
    else:
        with pytest.raises(NumberRefused):
            normalise(party, dialled(uri))


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "+0123",
        "+1234567890123456",
        "\uff11\uff11\uff12",
        "١٢٣",
        "+49x",
        "a b",
        "a\r\nb",
        "é",
        "\x00",
        "1+2",
        "-",
        "x" * 65,
        "1" * 300,
    ],
)
def test_REJ_04_TRAP_07_neither_number_nor_name(number: str) -> None:
    with pytest.raises(NumberRefused):
        normalise(user(), number)


@pytest.mark.parametrize("name", ["alice", "service", "a.b-c_d", "44207946O958", "*98", "112", "1" * 32])
def test_names_and_short_numbers_stay(name: str) -> None:
    assert normalise(user((("0", "+49"),)), name) == name


def test_the_longest_prefix_of_a_dial_plan_wins_and_once() -> None:
    party = user((("0", "+49"), ("00", "+"), ("010", "+4910"), ("9", "")))
    assert [normalise(party, number) for number in ("030123", "0044123", "010123", "90044123", "+44123")] == [
        "+4930123", "+44123", "+4910123", "0044123", "+44123",
    ]  # fmt: skip
    assert normalise(user((("", "+"),)), "44123") == "+44123"
    assert normalise(user((("", "+"),)), "+44123") == "+44123"
    assert normalise(user((("+44", "+49"),)), "+44123") == "+49123"


@given(st.text(max_size=300))
def test_normalise_gives_clean_text_or_refuses(text: str) -> None:
    try:
        result = normalise(user((("0", "+49"), ("", "+1"))), text)
    except NumberRefused:
        return
    assert result.isascii()
    assert result.isprintable()
    assert " " not in result
    assert 0 < len(result) <= 64


@pytest.mark.parametrize("case", VECTORS["emergency"], ids=lambda case: case["input"])
def test_emergency_vectors(folder: Folder, case: dict[str, object]) -> None:
    rules = 'emergency: {inside: none, outside: {numbers: [112, "911", "999", "000", 110], send_to: [host]}}\n'
    snapshot = folder.load(MINIMAL.replace("emergency: {outside: none, inside: none}\n", rules) + TRUNKS).snapshot
    found = emergency_route(snapshot, snapshot.users["alice"], Uri.parse(str(case["input"])))
    assert (found is not None) == case["emergency"]
    if found is not None:
        assert found.emergency
        assert found.send_to == ("host",)
    assert emergency_route(snapshot, snapshot.trunks["host"], Uri.parse(str(case["input"]))) is None  # `inside: none`


ROUTES = """\
routes:
  - {name: blocked-but-alice, when: {user: alice, to: "+49*", not_to: ["+4990*", "+491234"]}, send_to: [host], ring_for: 2m}
  - {name: exact, when: {realm: outside, to: ["+491234", bob]}, send_to: [alice], next_on: [404, 6xx]}
  - {name: long, when: {trunk: pbx, to: "+4990*"}, send_to: [host, alice]}
  - {name: rest, when: {realm: outside, to: "*", not_to: "+882*"}, send_to: [host]}
"""


@pytest.mark.parametrize(
    ("party", "called", "name"),
    [
        ("alice", "+4930", "blocked-but-alice"),
        ("alice", "+491234", "exact"),
        ("alice", "+49123", "blocked-but-alice"),
        ("alice", "+4990123", "rest"),
        ("alice", "bob", "exact"),
        ("alice", "bobby", "rest"),
        ("alice", "+8821", None),
        ("pbx", "+4930", "rest"),
        ("pbx", "+49901", "long"),
        ("pbx", "+491234", "exact"),
        ("host", "+4930", None),
        ("elsewhere", "1", "rest"),
    ],
)
def test_the_first_route_that_matches_wins(folder: Folder, party: str, called: str, name: str | None) -> None:
    snapshot = folder.load(MINIMAL + TRUNKS + ROUTES).snapshot
    found = route(snapshot, snapshot.party(party), called)
    assert (found.name if found else None) == name


def test_what_a_route_carries(folder: Folder) -> None:
    snapshot = folder.load(MINIMAL + TRUNKS + ROUTES).snapshot
    first, exact, long, _ = snapshot.routes
    assert (first.ring_for, exact.ring_for) == (120.0, 180.0)
    assert exact.next_on == {404, *range(600, 700)}
    assert first.next_on == {408, *range(500, 600)}
    assert first.line.endswith("a.yaml:16")
    assert long.send_to == ("host", "alice")


patterns = st.text("12", min_size=1, max_size=3).flatmap(lambda text: st.sampled_from([text, text + "*"])) | st.just("*")


@given(st.lists(st.tuples(patterns, st.none() | patterns), min_size=1, max_size=8), st.text("123", min_size=1, max_size=4))
def test_the_table_agrees_with_reading_the_routes_in_order(rules: list[tuple[str, str | None]], called: str) -> None:
    routes = tuple(
        Route(str(index), _patterns([to]), _patterns([not_to] if not_to else []), (), frozenset(), 1.0, "", when_user="u")
        for index, (to, not_to) in enumerate(rules)
    )
    party = user()
    snapshot = Snapshot(1, "", {}, {}, {}, routes, {}, Strangers(), {}, {}, {}, _route_tables(routes, [party]))
    expected = next((rule for rule in routes if rule.to.match(called) and not rule.not_to.match(called)), None)
    assert route(snapshot, party, called) is expected
