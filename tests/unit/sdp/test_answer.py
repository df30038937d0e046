"""Whether an answer fits its offer."""

from __future__ import annotations

from typing import Any

import pytest

from sbc.sdp.answer import Problem, check_answer
from sbc.sdp.parse import parse_session
from tests.unit.sdp.bodies import KEY_A, KEY_B, audio, body, crypto_line, vectors

PAIRS = vectors("sbc_offer_answer_cases.json")["pair_validity"]
PROBLEM = {
    "mline-dropped": Problem.COUNT,
    "mline-added": Problem.COUNT,
    "proto-changed": Problem.PROTOCOL,
    "sendonly-sendonly": Problem.DIRECTION,
    "recvonly-recvonly": Problem.DIRECTION,
    "inactive-sendrecv": Problem.DIRECTION,
    "offer-port0": Problem.REVIVED,
    "no-common-format": Problem.FORMAT,
    "avpf-proto": Problem.PROTOCOL,
    "savp-no-crypto": Problem.NO_KEY,
    "crypto-tag-mismatch": Problem.CRYPTO,
    "crypto-two-in-answer": Problem.CRYPTO_COUNT,
    "crypto-key-echo": Problem.KEY_ECHO,
    "dtls-answer-actpass": Problem.SETUP,
    "dtls-active-active": Problem.SETUP,
    "rtcp-mux-unsolicited": Problem.RTCP_MUX,
}


@pytest.mark.parametrize("case", PAIRS, ids=[case["id"] for case in PAIRS])
def test_SDP_01_SDP_02_pairs(case: dict[str, Any]) -> None:
    problems = check_answer(parse_session(case["offer"].encode()), parse_session(case["answer"].encode()))
    assert (problems == []) is case["valid"]
    if problems:
        assert problems[0] is PROBLEM[case["id"]]


def test_all_24_pairs_are_there() -> None:
    assert len(PAIRS) == 24


def test_SDP_01_the_media_type_stays() -> None:
    offer, answer = body("m=audio 4000 RTP/AVP 0"), body("m=video 4000 RTP/AVP 0")
    assert check_answer(parse_session(offer), parse_session(answer)) == [Problem.KIND]


def test_SRTP_05_the_same_key_under_another_suite_is_an_echo() -> None:
    offer = body(
        *audio("8", crypto_line(1), crypto_line(2, "AES_CM_128_HMAC_SHA1_32", KEY_B), protocol="RTP/SAVP"),
    )
    answer = body(*audio("8", crypto_line(2, "AES_CM_128_HMAC_SHA1_32", KEY_A), protocol="RTP/SAVP"))
    assert check_answer(parse_session(offer), parse_session(answer)) == [Problem.KEY_ECHO]


def test_formats_outside_rtp_are_compared_as_they_are() -> None:
    offer = body("m=image 4000 udptl t38")
    assert check_answer(parse_session(offer), parse_session(offer)) == []
    assert check_answer(parse_session(offer), parse_session(body("m=image 4000 udptl t30"))) == [Problem.FORMAT]


def test_a_direction_of_the_session_counts_for_its_streams() -> None:
    offer = body("a=sendonly", "m=audio 4000 RTP/AVP 0")
    assert check_answer(parse_session(offer), parse_session(body("m=audio 4000 RTP/AVP 0"))) == [Problem.DIRECTION]
    assert check_answer(parse_session(offer), parse_session(body("a=recvonly", "m=audio 4000 RTP/AVP 0"))) == []
