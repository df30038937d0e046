"""Country and type of a number, and what policies do with them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from sbc.errors import SipError
from sbc.policy.decide import check_called, check_caller, route
from sbc.policy.plans import TYPES, Kind, Kinds, countries, kind_of, kinds_of, prepare
from tests.cost import least_cpu
from tests.unit.policy.conftest import MINIMAL, Folder

OF_THE_LIBRARY = {
    PhoneNumberType.FIXED_LINE: "geographic",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "geographic-or-mobile",
    PhoneNumberType.TOLL_FREE: "toll-free",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared-cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "corporate",
    PhoneNumberType.VOICEMAIL: "voicemail",
    PhoneNumberType.UNKNOWN: "invalid",
}


def examples() -> Iterator[str]:
    """One number of each type of each country."""
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in OF_THE_LIBRARY:
            found = phonenumbers.example_number_for_type(country, kind)
            if found is not None:
                yield phonenumbers.format_number(found, PhoneNumberFormat.E164)


def changed(number: str, dice: random.Random) -> str:
    place = dice.randrange(3, len(number))
    return number[:place] + dice.choice("0123456789") + number[place + 1 :]


NUMBERS = list(examples())


def test_as_the_library_says() -> None:
    """Of real numbers and of numbers beside them. A trunk prefix behind the country code, which it takes away, is none in E.164."""
    dice = random.Random(5)
    assert len(NUMBERS) > 1000
    for number in (*NUMBERS, *[changed(number, dice) for number in NUMBERS]):
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            continue
        if number == phonenumbers.format_number(parsed, PhoneNumberFormat.E164):
            found = kind_of(number)
            assert found is not None
            assert found.type == OF_THE_LIBRARY[phonenumbers.number_type(parsed)], number
            assert found.country == phonenumbers.region_code_for_number(parsed) or found.type == "invalid", number


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+442079460958", Kind("GB", "geographic")),
        ("+447400123456", Kind("GB", "mobile")),
        ("+441534456789", Kind("JE", "geographic")),
        ("+449012345678", Kind("GB", "premium")),
        ("+12025550143", Kind("US", "geographic-or-mobile")),
        ("+12425550143", Kind("BS", "invalid")),
        ("+14165550143", Kind("CA", "geographic-or-mobile")),
        ("+10000000000", Kind("US", "invalid")),
        ("+390212345678", Kind("IT", "geographic")),
        ("+80012345678", Kind("001", "toll-free")),
        ("+4420794609581", Kind("GB", "invalid")),
        ("+21012345678", Kind("", "invalid")),
        ("+4", Kind("", "invalid")),
        ("112", None),
        ("alice", None),
        ("", None),
    ],
)
def test_kinds(number: str, kind: Kind | None) -> None:
    assert kind_of(number) == kind


def test_it_is_never_slow() -> None:
    """2.5 µs where it was written, 8 at the worst; the library takes 80, and 3,000 at the worst."""
    prepare()
    fresh = [number[:-4] + f"{serial:04d}" for serial in range(4) for number in NUMBERS]  # more than are remembered
    each = least_cpu(lambda: [kind_of(number) for number in fresh], tries=3) / len(fresh)
    assert each < 25e-6


def test_rules_of_kinds() -> None:
    kinds = kinds_of(["premium", "NO", "GB mobile"])
    assert kinds == Kinds(frozenset({"NO"}), frozenset({"premium"}), frozenset({("GB", "mobile")}))
    numbers = ("+449012345678", "+4721234567", "+447400123456", "+442079460958", "premium", "NO")
    assert [kinds.has(number) for number in numbers] == [True, True, True, False, False, False]
    assert {"GB", "NO", "001"} <= countries()
    assert not countries() & set(TYPES)


TRUNK = "trunks: {t: {realm: inside, media: plain, peer: sip:x, accept_from: [10.0.0.1], %s}}\n"
ROUTE = "routes:\n  - {name: %s, when: {trunk: t, %s}, send_to: [t]}\n"


@pytest.mark.parametrize(
    ("keys", "number", "goes"),
    [
        ('to: "*", to_kind: premium', "+449012345678", True),
        ('to: "*", to_kind: premium', "+447400123456", False),
        ('to: "+44*", to_kind: [DE, GB mobile]', "+447400123456", True),
        ('to: "+44*", to_kind: [DE, GB mobile]', "+442079460958", False),
        ('to: "*", to_kind: [NO]', "+4721234567", True),
        ('to: "*", to_kind: GB', "alice", False),
        ('to: "+*", not_to_kind: [invalid, premium]', "+449012345678", False),
        ('to: "+*", not_to_kind: [invalid, premium]', "+44999123456", False),
        ('to: "+*", not_to_kind: [invalid, premium]', "+442079460958", True),
        ('to: "*", not_to_kind: GB', "alice", True),
        ('to: "+4420*", to_kind: GB, not_to_kind: geographic', "+442079460958", False),
    ],
)
def test_routes_by_kind(folder: Folder, keys: str, number: str, goes: bool) -> None:
    snapshot = folder.load(MINIMAL + TRUNK % "dial_plan: {'0': '+49'}" + ROUTE % ("r", keys)).snapshot
    assert (route(snapshot, snapshot.trunks["t"], number) is not None) == goes


def test_the_next_route_gets_what_the_first_does_not_want(folder: Folder) -> None:
    routes = ROUTE % ("first", 'to: "+*", to_kind: mobile') + ROUTE.removeprefix("routes:\n") % ("second", 'to: "+*"')
    snapshot = folder.load(MINIMAL + TRUNK % "record: never" + routes).snapshot
    found = [route(snapshot, snapshot.trunks["t"], number) for number in ("+447400123456", "+442079460958")]
    assert [each.name for each in found if each is not None] == ["first", "second"]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("refuse_to: [premuim]", "trunks.t.refuse_to.0: 'premuim' is neither a country (GB, as ISO 3166 has it) nor one of geographic"),
        ("refuse_to: [premuim]", "did you mean 'premium'?"),
        ("refuse_to: [UK]", "trunks.t.refuse_to.0: 'UK' is neither a country"),
        ("refuse_to: [GB mobil]", "trunks.t.refuse_to.0: 'mobil' is none of geographic, mobile"),
        ("refuse_to: [mobile GB]", "trunks.t.refuse_to.0: 'mobile' is neither a country"),
        ("refuse_from: []", "trunks.t.refuse_from: must not be empty"),
        ("refuse_from: [44]", "trunks.t.refuse_from.0: '44' is neither a country"),
    ],
)
def test_what_may_not_be_written(folder: Folder, keys: str, problem: str) -> None:
    assert problem in folder.errors(MINIMAL + TRUNK % keys)[0]


def test_norway_is_no_boolean(folder: Folder) -> None:
    found = folder.load(MINIMAL + TRUNK % "refuse_to: NO").snapshot.trunks["t"].numbers.refused_to
    assert found == Kinds(frozenset({"NO"}))


def test_numbers_without_plus_slip_past_an_exception_of_kinds(folder: Folder) -> None:
    text = MINIMAL + TRUNK % "record: never" + ROUTE % ("r", 'to: "*", not_to_kind: premium')
    (warning,) = folder.warnings(text)
    assert "routes.0.when.not_to_kind: 't' has no dial_plan: what it dials as 00… has no '+', and passes" in warning


@pytest.mark.parametrize(
    ("number", "status"),
    [("+449012345678", 403), ("+44999123456", 484), ("+442079460958", None), ("+4721234567", 403), ("112", None), ("alice", None)],
)
def test_numbers_that_may_not_be_called(folder: Folder, number: str, status: int | None) -> None:
    party = folder.load(MINIMAL + TRUNK % "refuse_to: [invalid, premium, NO]").snapshot.trunks["t"]
    if status is None:
        check_called(party, number)
        return
    with pytest.raises(SipError) as refused:
        check_called(party, number)
    assert refused.value.status == status


def test_who_has_no_rules_may_call_and_be_called_from_anything(folder: Folder) -> None:
    snapshot = folder.load(MINIMAL + TRUNK % "record: never").snapshot
    check_called(snapshot.trunks["t"], "+44999123456")
    check_caller(snapshot, snapshot.trunks["t"], ["+44999123456"])


def test_a_user_has_them_too(folder: Folder) -> None:
    user = "users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}, refuse_to: premium}}\n"
    assert folder.load(MINIMAL + user).snapshot.users["u"].numbers.refused_to == Kinds(types=frozenset({"premium"}))
