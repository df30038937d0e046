"""Codec policy: which codecs of an offer go on, in which order, what is missed, and what is asked of peers besides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.call.selected import selected
from sbc.errors import NotAcceptableHere
from sbc.frozen import replace
from sbc.sdp.codecs import STATIC, is_audible
from sbc.sdp.model import Codec
from sbc.sdp.offer import MediaRules
from sbc.sdp.parse import parse_session
from sbc.sdp.rules import KEPT, OfferRules
from sbc.sdp.selection import let_through, ordered, stripped_of
from tests.unit.sdp.bodies import Call, audio, body

NAMES = ("PCMA", "PCMU", "G722", "G729")
RULES = MediaRules(NAMES, kept=KEPT)
ALL = body(*audio("9 18 0 8 13 101"))  # G722, G729, PCMU, PCMA, CN, telephone-event
NAME_OF = {"101": "telephone-event", **{payload: encoding.name for payload, encoding in STATIC.items()}}


def names(sent: bytes) -> str:
    (media,) = parse_session(sent).media
    return " ".join(NAME_OF[payload] for payload in media.formats)


def offered(offers_from: OfferRules | None = None, offers_to: OfferRules | None = None, offer: bytes = ALL) -> str:
    """What the other side is offered."""
    call = Call(replace(RULES, offers_from=offers_from or OfferRules()), replace(RULES, offers_to=offers_to or OfferRules()))
    return names(call.b.make_offer(call.a.receive_offer(offer, True), call.ids))


PREFER = OfferRules(prefer=("G729", "PCMU"))


@pytest.mark.parametrize(
    ("offers_from", "offers_to", "goes_on"),
    [
        (None, None, "PCMA PCMU G722 G729 CN telephone-event"),
        (None, OfferRules(prefer=()), "G722 G729 PCMU PCMA CN telephone-event"),
        (None, PREFER, "G729 PCMU G722 PCMA CN telephone-event"),
        (PREFER, None, "G729 PCMU G722 PCMA CN telephone-event"),
        (OfferRules(prefer=()), None, "G722 G729 PCMU PCMA CN telephone-event"),
        (PREFER, OfferRules(prefer=("PCMA",)), "PCMA G729 PCMU G722 CN telephone-event"),
        (OfferRules(strip=frozenset({"G722", "CN"})), None, "PCMA PCMU G729 telephone-event"),
        (None, OfferRules(strip=frozenset({"PCMA", "telephone-event"})), "PCMU G722 G729 CN"),
        (OfferRules(allow=frozenset({"G729"})), None, "G729 CN telephone-event"),
        (None, OfferRules(allow=frozenset({"PCMA", "PCMU"}), prefer=("PCMU",)), "PCMU PCMA CN telephone-event"),
        (OfferRules(require=("G729", "CN")), OfferRules(require=("telephone-event",)), "PCMA PCMU G722 G729 CN telephone-event"),
    ],
)
def test_what_goes_on_and_in_which_order(offers_from: OfferRules | None, offers_to: OfferRules | None, goes_on: str) -> None:
    assert offered(offers_from, offers_to) == goes_on


def test_rules_of_one_direction_are_not_those_of_the_other() -> None:
    away = OfferRules(strip=frozenset({"G722"}), require=("GSM",))
    call = Call(replace(RULES, offers_to=away), replace(RULES, offers_from=away))
    assert names(call.b.make_offer(call.a.receive_offer(ALL, True), call.ids)) == "PCMA PCMU G722 G729 CN telephone-event"


@pytest.mark.parametrize("side", ["offers_from", "offers_to"])
def test_SDP_07_what_is_required_and_missing_is_488(side: str) -> None:
    rules = OfferRules(require=("PCMA", "telephone-event"))
    with pytest.raises(NotAcceptableHere) as error:
        offered(**{side: rules}, offer=body(*audio("8 0")))
    assert error.value.headers == (("Warning", '305 sbc "telephone-event is required"'),)
    assert offered(**{side: rules}, offer=body(*audio("8 101"))) == "PCMA telephone-event"


def test_CN_01_digits_and_comfort_noise_pass_though_nobody_named_them() -> None:
    call = Call(RULES, RULES)
    sent, answer = call.exchange(ALL, body(*audio("8 13 101", port=50000)))
    assert (names(sent), names(answer)) == ("PCMA PCMU G722 G729 CN telephone-event", "PCMA CN telephone-event")
    sent, answer = Call(RULES, RULES).exchange(ALL, body(*audio("8", port=50000)))
    assert names(answer) == "PCMA", "only if both know them"
    old = MediaRules(NAMES)
    assert names(Call(old, old).exchange(ALL, body(*audio("8", port=50000)))[0]) == "PCMA PCMU G722 G729"


def test_an_offer_of_our_own_has_what_is_left_in_the_order_preferred() -> None:
    call = Call(RULES, replace(RULES, offers_to=OfferRules(strip=frozenset({"PCMU"}), prefer=("G729",))))
    assert names(call.b.make_offer(None, call.ids)) == "G729 PCMA G722"


def test_a_law_that_was_stripped_is_not_translated_to() -> None:
    rules = replace(RULES, g711="translate")
    call = Call(rules, replace(rules, offers_to=OfferRules(strip=frozenset({"PCMU"}))))
    assert names(call.b.make_offer(call.a.receive_offer(body(*audio("8")), True), call.ids)) == "PCMA"


@pytest.mark.parametrize(("offer", "answer"), [("", ""), ("", "annexb=yes"), ("annexb=yes", ""), ("annexb=no", "annexb=yes")])
@pytest.mark.parametrize("refuses", ["a", "b"])
def test_SDP_10_silence_suppression_of_g729_can_be_refused_for_either_side(refuses: str, offer: str, answer: str) -> None:
    def said(text: str) -> tuple[str, ...]:
        return audio("18", *((f"a=fmtp:18 {text}",) if text else ()))

    rules = replace(RULES, annexb="refuse")
    call = Call(rules if refuses == "a" else RULES, rules if refuses == "b" else RULES)
    sent, answered = call.exchange(body(*said(offer)), body(*said(answer)))
    assert [parse_session(each).media[0].all("fmtp") for each in (sent, answered)] == [["18 annexb=no"]] * 2


@pytest.mark.parametrize(
    ("said", "ptime", "maxptime", "told"),
    [
        ((), None, None, []),
        (("a=ptime:30", "a=maxptime:60"), None, None, [("ptime", "30"), ("maxptime", "60")]),
        (("a=ptime:30",), 20, None, [("ptime", "20")]),
        ((), 20, 40, [("ptime", "20"), ("maxptime", "40")]),
        (("a=ptime:60", "a=maxptime:150"), None, 40, [("ptime", "40"), ("maxptime", "40")]),
    ],
)
def test_packet_times_are_passed_or_ours(
    said: tuple[str, ...], ptime: int | None, maxptime: int | None, told: list[tuple[str, str]]
) -> None:
    call = Call(replace(RULES, ptime=50), replace(RULES, ptime=ptime, maxptime=maxptime))
    sent, answer = call.exchange(body(*audio("8", *said)), body(*audio("8", port=50000)))
    assert [each for each in parse_session(sent).media[0].attributes if "ptime" in each[0]] == told
    assert parse_session(answer).media[0].first("ptime") == "50"


def test_what_was_decided_can_be_told() -> None:
    a = replace(RULES, codecs=("PCMA", "PCMU", "G729"), offers_from=OfferRules(strip=frozenset({"CN"})))
    b = replace(RULES, codecs=("PCMU", "PCMA", "G729"), offers_to=OfferRules(allow=frozenset({"PCMU", "G729"})))
    call = Call(a, b)
    assert selected(call.a, call.b, "office", "carrier") is None
    call.b.make_offer(call.a.receive_offer(ALL, True), call.ids)
    told = selected(call.a, call.b, "office", "carrier")
    assert told == {
        "side": "a",
        "offered": ["G722", "G729", "PCMU", "PCMA", "CN", "telephone-event"],
        "kept": ["PCMU", "G729", "telephone-event"],
        "chosen": [],
        "stripped": [
            {"codec": "G722", "by": "office", "why": "not among the codecs"},
            {"codec": "CN", "by": "office", "why": "stripped from such offers"},
            {"codec": "PCMA", "by": "carrier", "why": "not allowed in such offers"},
        ],
    }
    call.a.make_answer(call.b.receive_answer(body(*audio("18 101", port=50000))), call.ids)
    told = selected(call.a, call.b, "office", "carrier")
    assert told is not None
    assert told["chosen"] == ["G729", "telephone-event"]
    call.exchange(body(*audio("0 8"), version=2), body(*audio("0", port=50000), version=2), caller="b")
    told = selected(call.a, call.b, "office", "carrier")
    assert told is not None
    assert (told["side"], told["offered"], told["chosen"]) == ("b", ["PCMU", "PCMA"], ["PCMU"])


CODECS = st.lists(
    st.sampled_from(
        [Codec(*STATIC[payload], int(payload)) for payload in ("0", "3", "8", "9", "13", "18")] + [Codec("telephone-event", 8000, 1, 101)]
    ),
    unique=True,
)
SPELLED = st.sampled_from(["PCMU", "PCMA", "GSM", "G722", "G729", "CN", "telephone-event"])
WAYS = st.builds(
    OfferRules,
    allow=st.none() | st.frozensets(SPELLED),
    strip=st.frozensets(SPELLED),
    prefer=st.none() | st.lists(SPELLED, unique=True).map(tuple),
)


@given(codecs=CODECS, way=WAYS, named=st.lists(SPELLED, unique=True).map(tuple), as_offered=st.booleans())
def test_nothing_is_made_up_and_nothing_gets_lost(codecs: list[Codec], way: OfferRules, named: tuple[str, ...], as_offered: bool) -> None:
    """What goes on was offered and is allowed; what does not has a reason; and the order says nothing of what is there."""
    rules = MediaRules(named, kept=KEPT)
    left = let_through(codecs, rules, way)
    assert [codec for codec in codecs if codec in left] == left
    stripped = stripped_of(codecs, left, rules, way)
    assert {codec.name for codec in left} | {name for name, _ in stripped} == {codec.name for codec in codecs}
    assert not {codec.name for codec in left} & way.strip
    for name in KEPT - way.strip:
        assert (name in {codec.name for codec in codecs}) == (name in {codec.name for codec in left})
    sorted_ = ordered(left, rules, way, as_offered=as_offered)
    assert sorted(codec.payload for codec in sorted_) == sorted(codec.payload for codec in left)
    if way.prefer is not None or as_offered:
        speech = [codec for codec in sorted_ if is_audible((codec,))]
        assert sorted_[: len(speech)] == speech
        first = [codec.name for codec in speech if codec.name in (way.prefer or ())]
        assert [codec.name for codec in speech][: len(first)] == [name for name in way.prefer or () if name in first]
