"""Which country a number is of, and which type: the numbering plans of all countries, from the library phonenumbers. Pure.

The library looks through its tables anew for each number, and compiles patterns that Python has forgotten meanwhile: up to 3 ms for
one number. Here each country's patterns are compiled once, when its first number comes or when `prepare` is called, and kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

from sbc.frozen import frozen
from sbc.policy.problems import did_you_mean

WORLD = "001"  # UN M.49: numbers of no country, +800, +881 and the like
INVALID = "invalid"
_LONGEST_CODE = 3  # ITU-T E.164 s6.2.1
_CACHED = 4096  # numbers looked up lately

GEOGRAPHIC, MOBILE, EITHER = "geographic", "mobile", "geographic-or-mobile"
# In the order in which the library asks, the first that fits.
_SPECIAL = (
    ("premium", "premium_rate"),
    ("toll-free", "toll_free"),
    ("shared-cost", "shared_cost"),
    ("voip", "voip"),
    ("personal", "personal_number"),
    ("pager", "pager"),
    ("corporate", "uan"),
    ("voicemail", "voicemail"),
)
TYPES = (GEOGRAPHIC, MOBILE, EITHER, *[name for name, _ in _SPECIAL], INVALID)


@frozen
class Kind:
    """Of a number in E.164: its country as ISO 3166 has it (WORLD: none, "": no such country code) and one of TYPES."""

    country: str
    type: str


@frozen
class Kinds:
    """Kinds of numbers: all of a country, all of a type, or those of both, each as `Kind` has them."""

    countries: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    both: frozenset[tuple[str, str]] = frozenset()

    def has(self, number: str) -> bool:
        """Of what is no number in E.164, never."""
        kind = kind_of(number)
        return kind is not None and (kind.country in self.countries or kind.type in self.types or (kind.country, kind.type) in self.both)


@lru_cache(maxsize=_CACHED)
def kind_of(number: str) -> Kind | None:
    """Of a normalised number; None: a short number or a name."""
    if not number.startswith("+"):
        return None
    for length in range(1, _LONGEST_CODE + 1):
        plan = plan_of(number[1 : 1 + length])
        if plan is not None:
            return plan.kind_of(number[1 + length :])
    return Kind("", INVALID)


def kind_word(text: str) -> str:
    """`GB`, `premium` or `GB premium`, as policies write kinds of numbers. ValueError with a text for people."""
    country, _, kind = text.rpartition(" ")
    if not country and kind not in TYPES:
        country, kind = kind, ""
    if country and country not in countries():
        meant = did_you_mean(country, (*TYPES, *sorted(countries())))
        raise ValueError(f"{country!r} is neither a country (GB, as ISO 3166 has it) nor one of {', '.join(TYPES)}{meant}")
    if kind and kind not in TYPES:
        raise ValueError(f"{kind!r} is none of {', '.join(TYPES)}{did_you_mean(kind, TYPES)}")
    return text


def kinds_of(words: Iterable[str]) -> Kinds:
    """`words` have been found right by `kind_word`."""
    parted = [word.split(" ") for word in words]
    single = [parts[0] for parts in parted if len(parts) == 1]
    return Kinds(
        countries=frozenset([each for each in single if each not in TYPES]),
        types=frozenset([each for each in single if each in TYPES]),
        both=frozenset([(parts[0], parts[1]) for parts in parted if len(parts) == 2]),
    )


def prepare() -> None:
    """Have all plans ready: 150 ms, once, instead of up to 3 ms at the first number of each country."""
    for code in COUNTRY_CODE_TO_REGION_CODE:
        plan_of(str(code))


def countries() -> frozenset[str]:
    return frozenset(region for regions in COUNTRY_CODE_TO_REGION_CODE.values() for region in regions)


@lru_cache(maxsize=2000)  # all prefixes of three digits, and the codes
def plan_of(code: str) -> Plan | None:
    """Of that country code; None: no country has it."""
    if not (code.isascii() and code.isdigit()):
        return None
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    return Plan(int(code), regions) if regions is not None else None


class Plan:
    """The numbers of one country code, which a few countries share: the first is the main one."""

    __slots__ = ("_main", "_regions")

    def __init__(self, code: int, regions: Iterable[str]) -> None:
        found = [(region, PhoneMetadata.metadata_for_region_or_calling_code(code, region)) for region in regions]
        self._regions = [Region(region, metadata) for region, metadata in found if metadata is not None]
        self._main = self._regions[0].name

    def kind_of(self, national: str) -> Kind:
        """`national`: the number without its country code."""
        for region in self._regions:
            if region.leading is None:
                kind = region.type_of(national)
                if kind != INVALID:
                    return Kind(region.name, kind)
            elif region.leading.match(national):
                return Kind(region.name, region.type_of(national))
        return Kind(self._main, INVALID)


class Region:
    """`leading`: what all its numbers begin with, where it shares the code; None: its patterns alone tell."""

    __slots__ = ("_either", "_fixed", "_general", "_mobile", "_special", "leading", "name")

    def __init__(self, name: str, metadata: PhoneMetadata) -> None:
        self.name = name
        self.leading = re.compile(metadata.leading_digits) if metadata.leading_digits is not None else None
        self._general = _Numbers(metadata.general_desc)
        self._special = [(kind, _Numbers(getattr(metadata, key))) for kind, key in _SPECIAL]
        self._fixed = _Numbers(metadata.fixed_line)
        self._mobile = _Numbers(metadata.mobile)
        self._either = bool(metadata.same_mobile_and_fixed_line_pattern)

    def type_of(self, national: str) -> str:
        if not self._general.has(national):
            return INVALID
        for kind, numbers in self._special:
            if numbers.has(national):
                return kind
        if self._fixed.has(national):
            return EITHER if self._either or self._mobile.has(national) else GEOGRAPHIC
        return MOBILE if self._mobile.has(national) else INVALID


class _Numbers:
    """What fits one pattern of the library; lengths first, which spares most of the matching."""

    __slots__ = ("_lengths", "_pattern")

    def __init__(self, described: PhoneNumberDesc | None) -> None:
        pattern = described.national_number_pattern if described is not None else None
        self._lengths = frozenset(described.possible_length) if described is not None else frozenset()
        self._pattern = re.compile(pattern) if pattern else None

    def has(self, national: str) -> bool:
        if self._pattern is None or (self._lengths and len(national) not in self._lengths):
            return False
        return self._pattern.fullmatch(national) is not None
