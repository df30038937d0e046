"""Payload types and encodings."""

from __future__ import annotations

import pytest

from sbc.errors import NotAcceptableHere
from sbc.sdp.codecs import STATIC, Encoding, full_offer, parse_encoding, uses_annexb, without_annexb
from sbc.sdp.model import Codec
from sbc.sdp.offer import MediaRules
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import PLAIN, Call, CountingIds, audio, body, leg, stream

OTHER = "198.51.100.20"


def test_COD_01_static_payload_types() -> None:
    wanted = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "18": "G729", "13": "CN"}
    assert {number: STATIC[number].name for number in wanted} == wanted
    assert all(STATIC[number].clock == 8000 for number in wanted)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("pcma/8000", Encoding("PCMA", 8000)),
        ("PCMU/8000/1", Encoding("PCMU", 8000)),
        ("opus/48000", Encoding("opus", 48000, 2)),
        ("OPUS/48000/2", Encoding("opus", 48000, 2)),
        ("Telephone-Event/8000", Encoding("telephone-event", 8000)),
        ("L16/44100/2", Encoding("L16", 44100, 2)),
        ("PCMA", None),
        ("PCMA/", None),
        ("PCMA/0", None),
        ("PCMA/\uff18000", None),
        ("PCMA/8000/x", None),
        ("/8000", None),
        ("PCMA/999999999999", None),
        ("x" * 80 + "/8000", None),
    ],
)
def test_COD_01_rtpmap(text: str, encoding: Encoding | None) -> None:
    assert parse_encoding(text) == encoding


def test_COD_01_packet_times_and_bandwidth_cross() -> None:
    call = Call()
    sent, back = call.exchange(
        body("m=audio 40000 RTP/AVP 8", "b=AS:80", "b=TIAS:64000", "b=X-YZ:1", "b=AS:junk", "a=ptime:30", "a=maxptime:150"),
        body("m=audio 50000 RTP/AVP 8", "b=RS:0", "a=ptime:20", "a=maxptime:junk", host=OTHER),
    )
    assert (stream(sent).first("ptime"), stream(sent).first("maxptime"), stream(sent).lines) == (
        "30",
        "150",
        (("b", "AS:80"), ("b", "TIAS:64000")),
    )
    assert (stream(back).first("ptime"), stream(back).first("maxptime"), stream(back).lines) == ("20", None, (("b", "RS:0"),))


def test_formats_that_are_no_payload_types_are_passed_over() -> None:
    offer = body("m=audio 40000 RTP/AVP 8 8 x 128 999 96 \uff18 97", "a=rtpmap:96 junk", "a=rtpmap:128 PCMU/8000", "a=rtpmap:97")
    assert leg().receive_offer(offer, False).codecs == (Codec("PCMA", 8000, 1, 8),)


def test_codecs_are_cut_down_to_both_rules_in_the_order_of_the_callee() -> None:
    call = Call(MediaRules(("opus", "PCMU", "pcma", "CN", "telephone-event")), MediaRules(("PCMA", "telephone-event", "pcmu", "G729")))
    offer = body(*audio("111 0 18 13 8 101", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 useinbandfec=1", "a=fmtp:101 0-16"))
    sent, back = call.exchange(offer, body(*audio("0 101", port=50000), host=OTHER))
    assert stream(sent).formats == ("8", "101", "0")
    assert stream(sent).all("rtpmap") == ["8 PCMA/8000", "101 telephone-event/8000", "0 PCMU/8000"]
    assert stream(sent).all("fmtp") == ["101 0-16"]
    assert stream(back).formats == ("0", "101")


@pytest.mark.parametrize("left", ["18", "101 13"])
def test_SDP_07_no_voice_left_is_a_488_with_warning_305(left: str) -> None:
    rules = MediaRules(("PCMA", "telephone-event", "CN"))
    with pytest.raises(NotAcceptableHere) as caught:
        leg(rules).receive_offer(body(*audio(left)), False)
    assert caught.value.status == 488
    assert caught.value.headers == (("Warning", '305 sbc "no permitted codec"'),)
    description = leg(MediaRules(("G729", "CN", "telephone-event"))).receive_offer(body(*audio("18 101 13")), False)
    far = leg(rules)
    with pytest.raises(NotAcceptableHere) as caught:
        far.make_offer(description, CountingIds())
    assert caught.value.headers[0][1].startswith("305 ")
    assert far.open_offer == ""


def test_CN_01_comfort_noise_is_offered_only_if_both_rules_name_it() -> None:
    with_noise, without = MediaRules(("PCMA", "CN")), MediaRules(("PCMA",))
    offer = body("m=audio 40000 RTP/AVP 8 13")
    answer = body("m=audio 50000 RTP/AVP 8", host=OTHER)
    assert stream(Call(with_noise, with_noise).exchange(offer, answer)[0]).formats == ("8", "13")
    assert stream(Call(with_noise, without).exchange(offer, answer)[0]).formats == ("8",)
    assert stream(Call(without, with_noise).exchange(offer, answer)[0]).formats == ("8",)


@pytest.mark.parametrize(
    ("offered", "answered", "seen_by_b", "seen_by_a"),
    [
        ("", "", [], []),
        ("", "annexb=no", [], ["18 annexb=no"]),
        ("annexb=no", "", ["18 annexb=no"], ["18 annexb=no"]),
        ("annexb=no", "annexb=yes", ["18 annexb=no"], ["18 annexb=no"]),
        ("annexb = NO", "annexb=no", ["18 annexb = NO"], ["18 annexb=no"]),
        ("annexb=yes", "annexb=yes", ["18 annexb=yes"], ["18 annexb=yes"]),
    ],
)
def test_SDP_10_annexb_any_no_makes_it_no(offered: str, answered: str, seen_by_b: list[str], seen_by_a: list[str]) -> None:
    call = Call()
    sent, back = call.exchange(
        body("m=audio 40000 RTP/AVP 18", *([f"a=fmtp:18 {offered}"] if offered else [])),
        body("m=audio 50000 RTP/AVP 18", *([f"a=fmtp:18 {answered}"] if answered else []), host=OTHER),
    )
    assert stream(sent).all("fmtp") == seen_by_b
    assert stream(back).all("fmtp") == seen_by_a
    assert call.b.agreed is not None
    assert uses_annexb(call.b.agreed.peer.codecs[0]) is (seen_by_a != ["18 annexb=no"])


def test_SDP_10_other_parameters_stay() -> None:
    assert without_annexb(Codec("G729", 8000, 1, 18, "annexb=yes;x=1")).fmtp == "x=1;annexb=no"


def test_a_full_offer_names_what_the_rules_name() -> None:
    rules = MediaRules(("opus", "PCMA", "g722", "unheard-of", "G729", "CN", "telephone-event"))
    assert [(codec.name, codec.payload) for codec in full_offer(rules)] == [
        ("opus", 111),
        ("PCMA", 8),
        ("G722", 9),
        ("G729", 18),
        ("CN", 13),
        ("telephone-event", 101),
    ]


@pytest.mark.parametrize(
    ("offered", "crosses"),
    [
        (("101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"), "101 0-15"),
        (("101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"), "101 0-16"),
        (("101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-11,16"), "101 0-11,16"),
        (("96", "a=rtpmap:96 TELEPHONE-EVENT/8000/1", "a=fmtp:96 0-15,66,70"), "96 0-15,66,70"),
        (("101", "a=rtpmap:101 telephone-event/8000"), None),
    ],
)
def test_DTMF_01_DTMF_02_events_are_agreed_on_with_their_range(offered: tuple[str, ...], crosses: str | None) -> None:
    payload, *lines = offered
    call = Call()
    sent, back = call.exchange(
        body(f"m=audio 40000 RTP/AVP 8 {payload}", *lines),
        body("m=audio 50000 RTP/AVP 8 100", "a=rtpmap:100 telephone-event/8000", "a=fmtp:100 0-15", host=OTHER),
    )
    assert stream(sent).formats == ("8", payload)
    assert stream(sent).all("fmtp") == ([crosses] if crosses else [])
    assert stream(back).all("fmtp") == [f"{payload} 0-15"], "the range of who will receive them, by the number of who asked"
    a, b = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (a.payload_types[int(payload)], b.payload_types[int(payload)]) == (100, int(payload))


def test_DTMF_01_events_keep_the_clock_of_their_speech() -> None:
    rules = MediaRules(("opus", "PCMA", "telephone-event"))
    both = ("a=rtpmap:111 opus/48000/2", "a=rtpmap:110 telephone-event/48000", "a=rtpmap:101 telephone-event/8000")
    call = Call(rules, rules)
    sent, back = call.exchange(
        body("m=audio 40000 RTP/AVP 111 8 110 101", *both),
        body("m=audio 50000 RTP/AVP 8 97", "a=rtpmap:97 telephone-event/8000", host=OTHER),
    )
    assert set(stream(sent).all("rtpmap")) >= {"110 telephone-event/48000", "101 telephone-event/8000"}
    assert stream(back).all("rtpmap") == ["8 PCMA/8000", "101 telephone-event/8000"]
    a, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (a.payload_types, a.clock_rates) == ({8: 8, 101: 97}, {8: 8000, 101: 8000})


def test_DTMF_01_without_events_on_one_side_the_other_is_not_promised_any() -> None:
    call = Call(PLAIN, MediaRules(("PCMA",)))
    sent, back = call.exchange(body(*audio("8 101")), body("m=audio 50000 RTP/AVP 8", host=OTHER))
    assert (stream(sent).formats, stream(back).formats) == (("8",), ("8",))


def test_COD_01_opus_without_channels_is_answered_with_two() -> None:
    rules = MediaRules(("opus",))
    call = Call(rules, rules)
    sent, back = call.exchange(
        body("m=audio 40000 RTP/AVP 99", "a=rtpmap:99 opus/48000"), body("m=audio 50000 RTP/AVP 99", "a=rtpmap:99 opus/48000/2", host=OTHER)
    )
    assert stream(sent).all("rtpmap") == stream(back).all("rtpmap") == ["99 opus/48000/2"]
