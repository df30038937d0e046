"""What is offered and answered because we translate, where a scenario would be long."""

from __future__ import annotations

import pytest

from sbc.sdp.describe import Description
from sbc.sdp.model import Codec
from sbc.sdp.rules import MediaRules
from sbc.sdp.sides import fit_together
from sbc.sdp.translation import answer_codecs, offered_codecs

A, MU = Codec("PCMA", 8000, 1, 8), Codec("PCMU", 8000, 1, 0)
G729, NOISE = Codec("G729", 8000, 1, 18), Codec("CN", 8000, 1, 13)
OPUS, WIDE = Codec("opus", 48000, 2, 111), Codec("PCMA", 16000, 1, 96)
EVENT = Codec("telephone-event", 8000, 1, 96, "0-11")
FAST_EVENT = Codec("telephone-event", 48000, 1, 97)


def said(*codecs: Codec, any_law: bool = True, by_info: bool = False) -> Description:
    return Description(codecs, any_law=any_law, digits="info" if by_info else "pass")


@pytest.mark.parametrize(
    ("rules", "far", "offered"),
    [
        ("PCMU PCMA CN", (A, NOISE), (A, MU, NOISE)),
        ("PCMU G729 CN", (A, NOISE, G729), (G729, MU, NOISE)),
        ("PCMU CN", (A, NOISE), (MU, NOISE)),
        ("PCMU PCMA", (A, MU), (MU, A)),
        ("PCMA", (A,), (A,)),
        ("PCMA PCMU", (WIDE,), (WIDE,)),
        ("PCMU", (), ()),
    ],
)
def test_COD_02_what_is_offered(rules: str, far: tuple[Codec, ...], offered: tuple[Codec, ...]) -> None:
    assert tuple(offered_codecs(said(*far), MediaRules(tuple(rules.split())))) == offered


@pytest.mark.parametrize(
    ("offered", "far", "answer"),
    [
        ((A,), (MU,), (A,)),
        ((G729, A), (G729, MU, NOISE), (G729, A)),
        ((A, G729), (MU, G729), (A, G729)),
        ((A,), (MU, A), (A,)),
        ((A, MU), (MU,), (MU,)),
        ((G729,), (MU,), ()),
        ((WIDE,), (MU,), ()),
    ],
)
def test_COD_02_what_is_answered(offered: tuple[Codec, ...], far: tuple[Codec, ...], answer: tuple[Codec, ...]) -> None:
    assert answer_codecs(said(*offered), said(*far, any_law=False)) == answer
    assert answer_codecs(said(*offered, any_law=False), said(*far)) == answer
    assert fit_together(said(*offered), said(*far)) is bool(answer)


def test_COD_02_without_leave_nothing_is_translated() -> None:
    assert offered_codecs(said(A, any_law=False), MediaRules(("PCMU", "PCMA"))) == [A]
    assert answer_codecs(said(A, any_law=False), said(MU, any_law=False)) == ()


def test_DTMF_03_events_have_the_clocks_of_the_speech() -> None:
    rules = MediaRules(("opus", "PCMA", "telephone-event"))
    events = [(codec.clock, codec.fmtp) for codec in offered_codecs(said(A, OPUS, by_info=True), rules) if codec.name == "telephone-event"]
    assert events == [(48000, "0-15"), (8000, "0-15")]
    assert answer_codecs(said(OPUS, A, EVENT, FAST_EVENT), said(A, by_info=True)) == (A, EVENT)
    assert answer_codecs(said(OPUS, A, EVENT, FAST_EVENT), said(OPUS, by_info=True)) == (OPUS, FAST_EVENT)
    assert offered_codecs(said(A, by_info=True), MediaRules(("PCMA",))) == [A]
