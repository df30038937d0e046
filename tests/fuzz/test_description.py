"""Session descriptions that nobody should write: refused with a status, or agreed on by both legs in words that can be read again."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import SipError
from sbc.sdp.offer import MediaLeg, MediaRules
from sbc.sdp.parse import SdpError, parse_session
from sbc.sdp.sides import relay_sides
from tests.fuzz.mutate import CHEAP, descriptions, mutate, mutated
from tests.unit.sdp.bodies import OUR_A, OUR_B, CountingIds

RULES = [
    MediaRules(codecs, srtp, silence=silence, fax="pass" if silence else "refuse")
    for codecs, silence in ((("PCMA", "PCMU", "G729", "G722", "opus", "telephone-event", "CN"), 60.0), (("pcmu",), None))
    for srtp in ("off", "required", "optional")
]


@CHEAP
@given(mutated(descriptions()))
def test_parsed_written_and_parsed_again(body: bytes) -> None:
    try:
        session = parse_session(body)
    except SdpError:
        return
    written = session.encode()  # in the order of RFC 8866 s5, whatever it was before
    again = parse_session(written)
    assert again.encode() == written
    assert (again.media, sorted(again.lines)) == (session.media, sorted(session.lines))


def leg(rules: MediaRules, ours: tuple[str, int]) -> MediaLeg:
    made = MediaLeg(rules, 1001)
    made.listen(ours)
    return made


@CHEAP
@given(mutated(descriptions()), mutated(descriptions()), st.integers(0, 2**32))
def test_offer_and_answer_across_two_legs(offer: bytes, answer: bytes, seed: int) -> None:
    """The far answer is some description, or our own offer turned round and spoilt: that comes further."""
    random = Random(seed)
    ids = CountingIds()
    a, b = leg(random.choice(RULES), OUR_A), leg(random.choice(RULES), OUR_B)
    statuses = set()
    for _ in range(random.randint(1, 3)):
        try:
            ours = b.make_offer(a.receive_offer(offer, random.random() < 0.8), ids)
            readable(ours)
            if random.random() < 0.8:
                answer = ours.replace(OUR_B[0].encode(), b"198.51.100.7")
                answer = mutate(answer, random, descriptions()) if random.random() < 0.5 else answer
            readable(a.make_answer(b.receive_answer(answer), ids))
            relay_sides(a, b, latch_a=(), latch_b=())
        except SipError as error:
            statuses.add(error.status)
            for side in (a, b):
                if side.open_offer:
                    side.rollback()
        offer = mutate(offer, random, descriptions())
    assert statuses <= {400, 488, 491, 500}


def readable(body: bytes) -> None:
    """What we write can be read, and names nobody but us."""
    session = parse_session(body)
    assert session.encode() == body
