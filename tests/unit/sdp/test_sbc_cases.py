"""The SBC cases of the collection, each at the behaviour of this version: one stream, T.38, DTLS and ICE only where the rules say so.

What a browser gets under rules with DTLS is in test_dtls.
"""

from __future__ import annotations

from typing import Any

import pytest

from media.api import Suite
from sbc.errors import NotAcceptableHere, SipError
from sbc.sdp.answer import check_answer
from sbc.sdp.offer import MediaRules
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import OFFER, Call, CountingIds, audio, body, leg, sdp, stream, vectors, version

CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in vectors("sbc_offer_answer_cases.json")["sbc_cases"]}
ANCHOR_A = ("203.0.113.5", 20000)
ANCHOR_B = ("203.0.113.5", 30000)
ANSWER = body("m=audio 50000 RTP/AVP 0", host="198.51.100.20")
OUTSIDE = MediaRules(("PCMU", "PCMA", "telephone-event"))


def offer_of(name: str) -> bytes:
    return str(CASES[name]["offer"]).encode()


def relayed(name: str, answer: bytes = ANSWER, rules_a: MediaRules = OUTSIDE, rules_b: MediaRules = OUTSIDE) -> tuple[Call, bytes, bytes]:
    call = Call(rules_a, rules_b)
    call.a.listen(ANCHOR_A)
    call.b.listen(ANCHOR_B)
    sent, back = call.exchange(offer_of(name), answer)
    assert check_answer(sdp(offer_of(name)), sdp(back)) == []
    return call, sent, back


def refused(name: str, rules: MediaRules = OUTSIDE) -> SipError:
    with pytest.raises(SipError) as caught:
        leg(rules).receive_offer(offer_of(name), True)
    assert caught.value.status in CASES[name]["expect"].get("reject", [488])
    return caught.value


def warning(error: SipError) -> str:
    return dict(error.headers)["Warning"].split()[0]


def topology_hide() -> None:
    _, sent, back = relayed("topology-hide")
    for octets in (sent, back):
        assert sdp(octets).origin.endswith("IN IP4 203.0.113.5")
        assert octets.count(b"c=IN IP4 203.0.113.5\r\n") == octets.count(b"c=") == 1
        assert b"192.0.2.10" not in octets
        assert len(sdp(octets).media) == 1


def media_c_line() -> None:
    call, sent, back = relayed("media-c-line")
    assert b"10.0.0.9" not in sent + back
    assert b"a=rtcp" not in sent  # ours is the next port
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=())[0].remote_rtcp == ("10.0.0.9", 30001)


def c_missing() -> None:
    assert refused("c-missing").status == 400


def hold_ipv6_invalid() -> None:
    call, sent, back = relayed("hold-ipv6-invalid", ANSWER + b"a=recvonly\r\n")
    assert stream(sent).first("sendonly") is not None
    assert stream(back).first("recvonly") is not None
    side, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (side.remote, side.send) == (None, False)


def codec_allow_list() -> None:
    rules = MediaRules(tuple(CASES["codec-allow-list"]["policy"]["allow_codecs"]))
    _, sent, _ = relayed("codec-allow-list", body(*audio("8 101"), host="198.51.100.20"), rules_b=rules)
    assert list(stream(sent).formats) == CASES["codec-allow-list"]["expect"]["formats"]
    assert not any(value.startswith("0 ") for value in stream(sent).all("rtpmap") + stream(sent).all("fmtp"))
    assert stream(sent).port


def codec_none_left() -> None:
    rules = MediaRules(tuple(CASES["codec-none-left"]["policy"]["allow_codecs"]))
    assert warning(refused("codec-none-left", rules)) == "305"
    with pytest.raises(NotAcceptableHere) as caught:
        leg(rules).make_offer(leg(OUTSIDE).receive_offer(offer_of("codec-none-left"), False), CountingIds())
    assert warning(caught.value) == "305"


def video_strip() -> None:
    _, sent, back = relayed("video-strip")
    assert len(sdp(sent).media) in CASES["video-strip"]["expect"]["out_m_count"]
    assert [bool(media.port) for media in sdp(back).media] == [True, False]


def srtp_to_rtp() -> None:
    _, sent, back = relayed("srtp-to-rtp", rules_a=MediaRules(OUTSIDE.codecs, "required"))
    assert (stream(sent).protocol, stream(sent).all("crypto")) == ("RTP/AVP", [])
    (line,) = stream(back).all("crypto")
    assert stream(back).protocol == "RTP/SAVP"
    assert line.split("inline:")[1] not in offer_of("srtp-to-rtp").decode()


def rtp_to_srtp() -> None:
    suites = tuple(Suite(name) for name in CASES["rtp-to-srtp"]["policy"]["suites"])
    rules = MediaRules(OUTSIDE.codecs, "required", suites)
    description = leg(OUTSIDE).receive_offer(offer_of("rtp-to-srtp"), False)
    sent = stream(leg(rules).make_offer(description, CountingIds(), secure_hop=True))
    keys = [value.split("inline:")[1] for value in sent.all("crypto")]
    assert (sent.protocol, len(keys), len(set(keys))) == ("RTP/SAVP", 3, 3)
    with pytest.raises(NotAcceptableHere):
        leg(rules).make_offer(description, CountingIds(), secure_hop=False)


def savp_multi_offer() -> None:
    for rules in (MediaRules(OUTSIDE.codecs, mode) for mode in ("off", "optional", "required")):
        _, _, back = relayed("savp-multi-offer", rules_a=rules)
        assert len(sdp(back).media) == 2
        assert sum(bool(media.port) for media in sdp(back).media) == 1


def webrtc_to_rtp() -> None:
    error = refused("webrtc-to-rtp", MediaRules(("opus", "PCMU", "telephone-event"), "optional"))
    assert warning(error) == "302"
    # The parts that need no DTLS: no hold is read out of the ICE default, and nothing of it crosses.
    plain = offer_of("webrtc-to-rtp").replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVPF")
    call = Call(MediaRules(("opus", "PCMU", "telephone-event")), OUTSIDE)
    sent, back = call.exchange(plain, ANSWER)
    assert sdp(sent).direction(stream(sent)) == "sendrecv"
    assert stream(sent).protocol == "RTP/AVP"
    for name in CASES["webrtc-to-rtp"]["expect"]["out_no_attr"]:
        assert stream(sent).first(name) is None
        assert sdp(sent).first(name) is None
    assert stream(back).first("rtcp-mux") == ""
    side, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (side.remote, side.send) == (None, True)


def ice_mismatch() -> None:
    _, sent, back = relayed("ice-mismatch")
    for octets in (sent, back):
        assert b"ice" not in octets
        assert b"candidate" not in octets
        assert b"10.9.9.9" not in octets


def t38_refused() -> None:
    call = Call(OUTSIDE, OUTSIDE)
    call.exchange(OFFER, ANSWER)
    before = relay_sides(call.a, call.b, latch_a=(), latch_b=()), call.a.last_body
    with pytest.raises(NotAcceptableHere) as caught:
        call.a.receive_offer(offer_of("t38-refused"), True)
    assert (caught.value.status, warning(caught.value)) == (488, "304")
    assert (relay_sides(call.a, call.b, latch_a=(), latch_b=()), call.a.last_body) == before
    # Fax beside audio: the audio stays, the image gets port 0.
    both = OFFER + b"m=image 40020 udptl t38\r\n"
    _, back = call.exchange(both, ANSWER)
    assert [(media.kind, bool(media.port)) for media in sdp(back).media] == [("audio", True), ("image", False)]


def early_answer() -> None:
    assert CASES["early-answer"]["offer"] is None
    call = Call(OUTSIDE, OUTSIDE)
    in_200 = call.a.make_offer(call.b.receive_offer(body(*audio("0 101", port=50000), host="198.51.100.20"), False), call.ids)
    assert not relay_sides(call.a, call.b, latch_a=(), latch_b=())[0].payload_types
    in_ack = call.b.make_answer(call.a.receive_answer(body(*audio("0 101"))), call.ids)
    assert stream(in_200).formats == stream(in_ack).formats == ("0", "101")
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=())[0].payload_types == {0: 0, 101: 101}


def precondition_required() -> None:
    _, sent, back = relayed("precondition-required")
    assert b"qos" not in sent + back


def multicast_c() -> None:
    assert warning(refused("multicast-c")) == "330"


def loopback_c() -> None:
    assert warning(refused("loopback-c")) == "399"


def lf_only() -> None:
    _, sent, back = relayed("lf-only")
    for octets in (sent, back):
        assert octets.count(b"\n") == octets.count(b"\r\n") > 5


def direction_default() -> None:
    description = leg(OUTSIDE).receive_offer(offer_of("direction-default"), False)
    assert description.direction == CASES["direction-default"]["expect"]["direction"]
    of_session = offer_of("direction-default").replace(b"m=audio", b"a=recvonly\r\nm=audio")
    assert leg(OUTSIDE).receive_offer(of_session, False).direction == "recvonly"
    assert leg(OUTSIDE).receive_offer(of_session + b"a=sendonly\r\n", False).direction == "sendonly"


def resume_after_hold() -> None:
    call = Call(OUTSIDE, OUTSIDE)
    resume = offer_of("resume-after-hold")
    sent, _ = call.exchange(resume + b"a=sendonly\r\n", ANSWER + b"a=recvonly\r\n")
    again, _ = call.exchange(resume, ANSWER)
    assert version(again) == version(sent) + 1
    assert sdp(again).origin.split()[:2] == sdp(sent).origin.split()[:2]


def refresh_no_change() -> None:
    call = Call(OUTSIDE, OUTSIDE)
    first = call.exchange(offer_of("refresh-no-change"), ANSWER)
    sides = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert call.exchange(offer_of("refresh-no-change"), ANSWER) == first
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=()) == sides


ASSERTIONS = {
    function.__name__.replace("_", "-"): function
    for function in (
        topology_hide,
        media_c_line,
        c_missing,
        hold_ipv6_invalid,
        codec_allow_list,
        codec_none_left,
        video_strip,
        srtp_to_rtp,
        rtp_to_srtp,
        savp_multi_offer,
        webrtc_to_rtp,
        ice_mismatch,
        t38_refused,
        early_answer,
        precondition_required,
        multicast_c,
        loopback_c,
        lf_only,
        direction_default,
        resume_after_hold,
        refresh_no_change,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_SDP_05_SDP_07_SDP_08_SDP_12_SDP_14_SDP_16_TRAP_13_cases(name: str) -> None:
    ASSERTIONS[name]()


def test_all_21_cases_are_asserted() -> None:
    assert set(ASSERTIONS) == set(CASES)
    assert len(CASES) == 21
