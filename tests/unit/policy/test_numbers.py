"""Who has which number: what may be written, what two cannot have, and how fast it is found."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.decide import route
from sbc.policy.document import Document
from sbc.policy.inventory import UNASSIGNED, Inventory
from sbc.policy.numbering import check_owners, inventory_of, number_range, read_entries
from sbc.policy.snapshot import HeaderRules, Helped
from sbc.recording.plain import Plain
from sbc.recording.reading import read
from sbc.recording.secrets import Secrets
from tests.cost import least_cpu
from tests.unit.policy.conftest import MINIMAL, Folder

PARTIES = """\
trunks:
  office: {realm: inside, media: plain, peer: sip:10.0.0.20}
  pbx: {realm: outside, media: plain, accepts_registration: {user: "1000", password: {env: SBC_TEST_SECRET}}}
  mute: {realm: inside, media: plain, accept_from: [10.0.0.30]}
users:
  alice: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}}
"""
ROUTES = 'routes: [{name: ours, when: {realm: inside, to: "*"}, send_to: [owner, office]}]\n'
NUMBERS = """\
numbers:
  "+493012345600-+493012345699": office
  +493012345: office
  "+4930123457*": pbx
  +4930999: alice
  "+49301235*": unassigned
  "+493012350-+493012353": office
  +1000: unassigned
"""


def written(numbers: str) -> str:
    return MINIMAL + PARTIES + ROUTES + numbers


def owners(folder: Folder) -> Inventory:
    return folder.load(written(NUMBERS)).snapshot.inventory


@pytest.mark.parametrize(
    ("number", "owner"),
    [
        ("+493012345600", "office"),
        ("+493012345699", "office"),
        ("+493012345599", None),
        ("+493012345700", "pbx"),
        ("+4930123456000", None),  # a range has the numbers of its own length
        ("+49301234560", None),
        ("+493012345", "office"),
        ("+4930123457", "pbx"),
        ("+49301234579999", "pbx"),
        ("+4930999", "alice"),
        ("+49309990", None),
        ("+493012350", "office"),
        ("+493012353", "office"),
        ("+493012354", UNASSIGNED),
        ("+4930123500", UNASSIGNED),
        ("+49301235", UNASSIGNED),
        ("+1000", UNASSIGNED),
        ("4930999", None),
        ("alice", None),
        ("", None),
        ("+", None),
        ("+٤٩٣٠٩٩٩", None),
        ("++4930999", None),
    ],
)
def test_whose_number_it_is(folder: Folder, number: str, owner: str | None) -> None:
    assert owners(folder).owner_of(number) == owner


def test_nothing_is_anybodys_without_numbers(folder: Folder) -> None:
    assert folder.load(MINIMAL).snapshot.inventory.owner_of("+4930999") is None


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ('"+4930123": alice', None),
        ("numbers", "a.yaml:14:10: numbers: must be a mapping, numbers to owners: write a number in full"),
        ('"+4930*-+4931": alice', 'numbers.+4930*-+4931: write a number in full, "+4930123456"'),
        ("4930123: alice", "a.yaml:15:3: numbers.4930123: write a number in full"),
        ("+0930123: alice", "write a number in full"),
        ("+49 30: alice", "write a number in full"),
        ("+4930\uff11: alice", "write a number in full"),
        ("+4930123456789012: alice", "write a number in full"),
        ('"+4930-+49300": alice', "both ends of a range have equally many digits"),
        ('"+4939-+4930": alice', "the range ends before it begins, did you mean '+4930-+4939'?"),
        ("+4930123: true", "must be the name of a trunk or user, unassigned, or {owner: NAME, limits: NAME}"),
        ("+4930123: [alice]", "must be the name of a trunk or user, unassigned, or {owner: NAME, limits: NAME}"),
        ("+4930123: {limits: l}", "a.yaml:15:3: numbers.+4930123: needs 'owner'"),
        ("+4930123: {owner: alice, limit: l}", "a.yaml:15:28: numbers.+4930123.limit: unknown key, did you mean 'limits'?"),
        ("+4930123: {owner: alise}", "a.yaml:15:21: numbers.+4930123.owner: there is no trunk or user 'alise', did you mean 'alice'?"),
        ("+4930123: {owner: alice, limits: l}", "a.yaml:15:36: numbers.+4930123.limits: there is no limits 'l'"),
        ("+4930123: {owner: alice, limits: []}", "numbers.+4930123.limits: must not be empty"),
        ("+4930123: {owner: alice}", None),
        ("+4930123:", "numbers.+4930123: has no value: give it one or remove it"),
        ("+4930123: alise", "a.yaml:15:13: numbers.+4930123: there is no trunk or user 'alise', did you mean 'alice'?"),
        ("+4930123: mute", "trunk 'mute' cannot be reached: it has neither 'peer' nor 'accepts_registration' nor 'link'"),
        ("+4930123: alice\n  +4930123: office", "numbers.+4930123: is already defined at"),
    ],
)
def test_what_may_be_written(folder: Folder, numbers: str, problem: str | None) -> None:
    text = written("numbers: [+4930]\n" if numbers == "numbers" else f"numbers:\n  {numbers}\n")
    if problem is None:
        folder.load(text)
    else:
        errors = folder.errors(text)
        assert len(errors) == 1
        assert problem in errors[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+4930123", "+4930123*"),
        ("+49301234", "+4930123*"),
        ("+4930123*", "+493012*"),
        ("+4930100-+4930199", "+4930150"),
        ("+4930100-+4930199", "+4930199-+4930220"),
        ("+4930100-+4930199", "+49301*"),
        ("+4930100-+4930199", "+493015*"),  # a block within a range
        ("+4930100-+4930199", "+4930199*"),
    ],
)
def test_a_number_has_one_owner(folder: Folder, one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        (error,) = folder.errors(written(f'numbers:\n  "{first}": office\n'), f'numbers: {{"{second}": alice}}\n')
        what = f"has numbers that {first} at a.yaml:15:3 gives to 'office': a number has one owner"
        assert error == f"b.yaml:1:11: numbers.{second}: {what}"


def test_twice_to_one_owner_is_a_mistake_too(folder: Folder) -> None:
    (error,) = folder.errors(written('numbers: {"+49301*": office, "+493012": office}\n'))
    assert error.endswith("numbers.+493012: has numbers that +49301* at a.yaml:14:11 gives to 'office': once is enough")


@pytest.mark.parametrize(
    ("spare", "assigned", "fits"),
    [
        ("+4930*", "+493012", True),
        ("+4930*", "+4930*", None),
        ("+4930*", "+493012*", True),
        ("+4930*", "+493000-+493099", True),
        ("+4930*", "+4929-+4931", False),
        ("+4930*", "+4929-+4930", False),
        ("+4930*", "+493-+494", True),  # shorter: nothing in common
        ("+4930*", "+493*", False),
        ("+493010-+493019", "+493010-+493019", None),
        ("+493010-+493019", "+493012", True),
        ("+493010-+493019", "+493012-+493019", True),
        ("+493010-+493019", "+493012-+493020", False),
        ("+493010-+493019", "+493009-+493020", False),
        ("+493010-+493019", "+493009-+493012", False),
        ("+493010-+493019", "+493012*", False),
        ("+493010-+493019", "+4930120", True),
    ],
)
def test_only_what_nobody_has_may_be_shared_out(folder: Folder, spare: str, assigned: str, fits: bool | None) -> None:
    text = written(f'numbers: {{"{spare}": unassigned, "{assigned}": office}}\n')
    if fits:
        folder.load(text)
    else:
        (error,) = folder.errors(text)
        assert ("is already defined" if fits is None else f"has numbers that {spare} at a.yaml:14:11 gives to 'unassigned'") in error


keys = st.text("12", min_size=1, max_size=3).map(lambda text: f"+4{text}")
ranges = st.tuples(keys, keys).map(sorted).filter(lambda ends: len(ends[0]) == len(ends[1])).map(lambda ends: f"{ends[0]}-{ends[1]}")
lines = st.dictionaries(keys | keys.map(lambda text: text + "*") | ranges, st.sampled_from(["a", "b", UNASSIGNED]), min_size=1, max_size=5)
ALL = [
    f"+4{text}"
    for text in ("1", "2", "11", "12", "21", "22", "111", "112", "121", "122", "211", "212", "221", "222", "1111", "2222", "1212")
]


def fits(key: str, number: str) -> bool:
    if key.endswith("*"):
        return number.startswith(key[:-1])
    first, _, last = key.partition("-")
    return len(number) == len(first) and first <= number <= (last or first)


@given(lines)
def test_the_tables_agree_with_reading_the_lines_one_by_one(found: dict[str, str]) -> None:
    document = Document("x")
    document.read("x", json.dumps({"numbers": found}).encode())
    entries = read_entries(document, found, lambda *_: None)
    if list(check_owners(document, entries)):
        return
    inventory = inventory_of(entries)
    for number in ALL:
        named = {owner for key, owner in found.items() if fits(key, number)}
        assert len(named - {UNASSIGNED}) <= 1
        assert inventory.owner_of(number) == next(iter(named - {UNASSIGNED}), UNASSIGNED if named else None)


@given(lines)
def test_what_overlaps_is_found(found: dict[str, str]) -> None:
    """And nothing else: two lines that share a number, unless one of them is assigned and lies within an unassigned one."""
    document = Document("x")
    document.read("x", json.dumps({"numbers": found}).encode())
    errors = list(check_owners(document, read_entries(document, found, lambda *_: None)))
    every = [f"+4{text}" for length in range(1, 6) for text in _texts(length)]
    shares = {key: {number for number in every if fits(key, number)} for key in found}
    wrong = any(
        shares[one] & shares[other] and not (found[one] == UNASSIGNED != found[other] and shares[other] <= shares[one])
        for one in found
        for other in found
        if one != other and not (found[other] == UNASSIGNED != found[one])
    )
    assert bool(errors) == wrong


def _texts(length: int) -> list[str]:
    return ["".join("12"[number >> place & 1] for place in range(length)) for number in range(1 << length)]


def test_a_route_to_the_owner(folder: Folder) -> None:
    routes = """\
routes:
  - {name: ours, when: {realm: inside, to: "*"}, send_to: [owner, office]}
  - {name: rest, when: {realm: inside, to: "*"}, send_to: [pbx]}
"""
    snapshot = folder.load(MINIMAL + PARTIES + routes + NUMBERS).snapshot
    found = {number: route(snapshot, snapshot.trunks["mute"], number) for number in ("+4930999", "+493012345", "+44207", "+1000", "bob")}
    targets = {number: (each.name, each.send_to) if each is not None else None for number, each in found.items()}
    assert targets == {
        "+4930999": ("ours", ("alice", "office")),
        "+493012345": ("ours", ("office",)),
        "+44207": ("rest", ("pbx",)),
        "+1000": None,
        "bob": ("rest", ("pbx",)),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (MINIMAL + PARTIES + ROUTES, "routes.0.send_to.0: nobody owns a number: there are no 'numbers'"),
        (written(NUMBERS).replace("[owner,", "[owner, owner,"), "routes.0.send_to.1: 'owner' is already in this list"),
        (written(NUMBERS).replace("  alice:", "  owner:").replace(": alice", ": owner"), "users.owner: 'owner' has a meaning of its own"),
        (written(NUMBERS).replace("  mute:", "  unassigned:"), "trunks.unassigned: 'unassigned' has a meaning of its own"),
        (written(NUMBERS) + "emergency: {x: {numbers: [1], send_to: [owner]}}", "there is no trunk or user 'owner'"),
    ],
)
def test_owner_is_a_word_of_routes(folder: Folder, text: str, problem: str) -> None:
    assert problem in "\n".join(folder.errors(text.replace("emergency: {outside: none, inside: none}\n", "")))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{owner: office, limits: [l, l]}", "a.yaml:15:42: numbers.+4930123*.limits.1: 'l' is already in this list"),
        ("{owner: office, limits: r}", "limits: 'requests' is for trunks, users, realms, everybody and strangers: a number has calls only"),
        ("{owner: unassigned, limits: l}", "limits: nobody has these numbers, so that there are no calls to count"),
    ],
)
def test_limits_that_numbers_cannot_have(folder: Folder, line: str, problem: str) -> None:
    (error,) = folder.errors(written(f"numbers:\n  +4930123*: {line}\n") + "limits: {l: {calls: 1}, r: {requests: 1/s}}\n")
    assert problem in error


def test_which_numbers_have_limits(folder: Folder) -> None:
    numbers = "numbers:\n  +4930123*: {owner: office, limits: l}\n  +4930124: alice\n"
    snapshot = folder.load(written(numbers) + "limits: {l: {calls: 1}}\n").snapshot
    assert [snapshot.limited.owner_of(number) for number in ("+49301235", "+4930124", "+49")] == ["+4930123*", None, None]
    assert snapshot.limits_of == {"+4930123*": ("office", (snapshot.limits["l"],))}
    assert snapshot.inventory.owner_of("+49301235") == "office"


def test_numbers_that_no_route_leads_to_are_a_warning(folder: Folder) -> None:
    (warning,) = folder.warnings(MINIMAL + PARTIES + NUMBERS)
    assert warning == "a.yaml:13:1: numbers: no route leads to them: say 'send_to: [owner]' in one"


def test_what_somebody_is_assigned_is_its_own(folder: Folder) -> None:
    snapshot = folder.load(written(NUMBERS)).snapshot
    office, alice, pbx = snapshot.trunks["office"].headers, snapshot.users["alice"].headers, snapshot.trunks["pbx"].headers
    assert [office.own(number) for number in ("+493012345610", "+4930999", "+493012354", "office")] == [True, False, False, False]
    assert (office.main_number, alice.main_number, pbx.main_number) == ("+493012345", "+4930999", None)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("foreign_numbers: replace", None),
        ("foreign_numbers: pass, trusted: true", None),
        ("foreign_numbers: refuse, trusted: true", "a trusted trunk is believed whatever number it shows"),
        ("foreign_numbers: block", "trunks.mute.foreign_numbers: must be 'pass', 'replace' or 'refuse'"),
    ],
)
def test_foreign_numbers(folder: Folder, keys: str, problem: str | None) -> None:
    text = written(NUMBERS).replace("accept_from: [10.0.0.30]", f"accept_from: [10.0.0.30], numbers: +4930777, {keys}")
    if problem is None:
        folder.load(text)
    else:
        assert problem in "\n".join(folder.errors(text))


@pytest.mark.parametrize(
    ("owned", "way", "problem"),
    [
        ("", "refuse", "it has no number of its own"),
        ('"+49307*": mute', "refuse", None),
        ('"+49307*": mute', "replace", "by which number? Write one in full"),
        ("+49307: mute", "replace", None),
    ],
)
def test_foreign_numbers_need_own_ones(folder: Folder, owned: str, way: str, problem: str | None) -> None:
    parties = PARTIES.replace("accept_from: [10.0.0.30]", f"peer: sip:10.0.0.30, foreign_numbers: {way}")
    text = MINIMAL + parties + ROUTES + f"numbers:\n  +493: office\n  {owned}\n"
    if problem is None:
        folder.load(text)
    else:
        (error,) = folder.errors(text)
        assert problem in error


def test_a_recording_keeps_the_inventory(folder: Folder) -> None:
    snapshot = folder.load(written(NUMBERS)).snapshot
    assert read(json.loads(json.dumps(Plain(Secrets(None))(snapshot.inventory))), snapshot.party) == snapshot.inventory


def test_an_editor_knows_how_numbers_are_written() -> None:
    with pytest.raises(ValueError, match="write a number in full"):
        number_range("4930")
    assert number_range("+4930*") == "+4930*"


def test_a_hundred_thousand_numbers_load_in_seconds_and_are_found_at_once(folder: Folder) -> None:
    trunks = [f'  t{n}: {{realm: inside, media: plain, peer: "sip:10.1.{n // 250}.{n % 250 + 1}"}}\n' for n in range(500)]
    lines = [f'  "+4930{10_000_000 + 7 * n}": t{n % 500}\n' for n in range(100_000)]
    text = MINIMAL + ROUTES.replace(", office", "") + "trunks:\n" + "".join(trunks) + "numbers:\n" + "".join(lines)
    loaded = []
    cost = least_cpu(lambda: loaded.append(folder.load(text)), tries=1)
    inventory = loaded[0].snapshot.inventory
    assert cost < 8.0  # 1.3 s where it was written
    assert inventory.owner_of("+493010000007") == "t1"
    assert inventory.owner_of("+493010000008") is None
    each = least_cpu(lambda: [inventory.owner_of("+493010350007") for _ in range(2000)], tries=5) / 2000
    assert each < 15e-6  # 1.3 µs; looking through them would take 1,000


HELPED = 'emergency: {outside: {numbers: ["112"], send_to: [t], strangers: {%s}}, inside: none}\n'


def test_strangers_who_call_for_help(folder: Folder) -> None:
    text = MINIMAL.replace("emergency: {outside: none, inside: none}\n", HELPED % "media: plain, calls: 2, new_calls: 6/m")
    text += "trunks: {t: {realm: inside, media: plain, peer: sip:x}}\n"
    snapshot = folder.load(text).snapshot
    stranger = snapshot.trunks["stranger.outside"]
    assert (stranger.limits, stranger.realm, stranger.headers) == ((), "outside", HeaderRules())
    assert snapshot.strangers.helped == {"outside": Helped(2, 0.1)}
    assert "stranger.inside" not in folder.load(text).snapshot.trunks
    assert "stranger.outside" not in folder.load(text.replace(", strangers: {media: plain, calls: 2, new_calls: 6/m}", "")).snapshot.trunks


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("media: plain, calls: 2", "emergency.outside.strangers: needs 'new_calls'"),
        ("calls: 2, new_calls: 6/m", "emergency.outside.strangers: needs 'media'"),
        ("media: plain, calls: 0, new_calls: 6/m", "emergency.outside.strangers.calls: must be at least 1"),
        ("media: plan, calls: 1, new_calls: 6/m", "emergency.outside.strangers.media: there is no media 'plan', did you mean 'plain'?"),
        ("media: plain, calls: 1, new_calls: 6/m", "trunks.stranger.outside: means the strangers of realm 'outside' who call for help"),
    ],
)
def test_mistakes_about_strangers(folder: Folder, keys: str, problem: str) -> None:
    text = MINIMAL.replace("emergency: {outside: none, inside: none}\n", HELPED % keys)
    text += "trunks:\n  t: {realm: inside, media: plain, peer: sip:x}\n  stranger.outside: {realm: inside, media: plain}\n"
    assert any(problem in error for error in folder.errors(text)), folder.errors(text)
