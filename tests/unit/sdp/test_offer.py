"""Offer and answer between two legs: numbering, versions, changes, roles, rollback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.api import Follow, SideSpec
from sbc.errors import NotAcceptableHere, SipError
from sbc.sdp.answer import check_answer
from sbc.sdp.model import Direction
from sbc.sdp.offer import MediaLeg, MediaRules, SdpError
from sbc.sdp.parse import parse_session
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import (
    ANSWER,
    OFFER,
    OUR_A,
    OUR_B,
    PLAIN,
    Call,
    CountingIds,
    audio,
    body,
    crypto_line,
    leg,
    sdp,
    stream,
    vectors,
    version,
)

OTHER = "198.51.100.20"


def sides(call: Call, latch_a: tuple[str, ...] = (), latch_b: tuple[str, ...] = ()) -> tuple[SideSpec, SideSpec]:
    return relay_sides(call.a, call.b, latch_a=latch_a, latch_b=latch_b)


def test_SDP_08_a_plain_call_shows_each_side_only_us() -> None:
    call = Call()
    offer = body(
        *audio("8 0 101", "a=fmtp:101 0-15", "a=rtcp:40001 IN IP4 192.0.2.10", "a=ssrc:1 cname:alice@192.0.2.10", "a=x-host:192.0.2.10"),
    ).replace(b"s=-\r\n", b"s=Alice\r\ni=about 192.0.2.10\r\nu=http://192.0.2.10/\r\ne=alice@inside\r\n")
    sent, back = call.exchange(offer, ANSWER)
    assert sent.decode().split("\r\n") == [
        "v=0",
        "o=- 2002 1 IN IP4 203.0.113.6",
        "s=-",
        "c=IN IP4 203.0.113.6",
        "t=0 0",
        "m=audio 30000 RTP/AVP 8 0 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=sendrecv",
        "",
    ]
    assert stream(back).formats == ("8", "101")
    assert b"198.51.100.20" not in back
    assert check_answer(sdp(offer), sdp(back)) == []
    a, b = sides(call, ("192.0.2.99",), ())
    assert a == SideSpec(
        remote=("192.0.2.10", 40000),
        remote_rtcp=("192.0.2.10", 40001),
        latch_from=("192.0.2.99",),
        payload_types={8: 8, 101: 101},
        clock_rates={8: 8000, 101: 8000},
        follow=Follow.AUTHENTICATED,
    )
    assert (b.remote, b.payload_types) == ((OTHER, 50000), {8: 8, 101: 101})


def test_SDP_03_the_answerer_renumbers_telephone_event() -> None:
    call = Call()
    sent, back = call.exchange(OFFER, body(*audio("8 96", port=50000, event=96), host=OTHER))
    assert stream(sent).formats == ("8", "0", "101")
    assert stream(back).formats == ("8", "101")
    a, b = sides(call)
    assert a.payload_types == {8: 8, 101: 96}
    # By the book B sends 101; some send the number of their own description.
    assert b.payload_types == {8: 8, 101: 101, 96: 101}
    assert b.clock_rates == {8: 8000, 101: 8000, 96: 8000}


def test_SDP_03_a_foreign_number_is_not_taken_when_it_means_something_else() -> None:
    rules = MediaRules(("opus", "PCMA", "telephone-event"))
    call = Call(rules, rules)
    offer = body(*audio("96 101", "a=rtpmap:96 opus/48000/2"))
    call.exchange(offer, body(*audio("101 96", "a=rtpmap:101 opus/48000/2", event=96, port=50000), host=OTHER))
    a, b = sides(call)
    assert a.payload_types == {96: 101, 101: 96}
    assert b.payload_types == {96: 96, 101: 101}
    assert b.clock_rates == {96: 48000, 101: 8000}


AMR = ("a=rtpmap:96 AMR/8000", "a=fmtp:96 octet-align=1", "a=rtpmap:97 AMR/8000", "a=fmtp:97 mode-set=7")


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        (("m=audio 50000 RTP/AVP 97", "a=rtpmap:97 AMR/8000"), {97: 97}),
        (("m=audio 50000 RTP/AVP 99", "a=rtpmap:99 AMR/8000", "a=fmtp:99 mode-set=7"), {97: 99}),
        (("m=audio 50000 RTP/AVP 98 99", "a=rtpmap:98 AMR/8000", "a=rtpmap:99 AMR/8000"), {96: 98, 97: 99}),
    ],
    ids=["by number", "by parameters", "by order"],
)
def test_SDP_03_two_variants_of_one_codec_keep_apart(answer: tuple[str, ...], taken: dict[int, int]) -> None:
    rules = MediaRules(("AMR",))
    call = Call(rules, rules)
    sent, back = call.exchange(body("m=audio 40000 RTP/AVP 96 97", *AMR), body(*answer, host=OTHER))
    assert stream(sent).formats == ("96", "97")
    assert stream(back).formats == tuple(map(str, taken))
    assert sides(call)[0].payload_types.items() >= taken.items()
    again, _ = call.exchange(body("m=audio 40000 RTP/AVP 97 96", *AMR), body(*answer, host=OTHER))
    assert stream(again).formats == ("97", "96")
    assert set(stream(again).all("fmtp")) == set(stream(sent).all("fmtp"))


def test_SDP_03_a_number_never_changes_its_meaning_within_a_leg() -> None:
    rules = MediaRules(("opus", "PCMA", "telephone-event"))
    call = Call(rules, rules)
    call.exchange(body(*audio("8 101")), body(*audio("8 101", port=50000), host=OTHER))
    # Another device behind A: 101 is opus now, telephone-event 96.
    changed = body(*audio("101 8 96", "a=rtpmap:101 opus/48000/2", event=96), version=2)
    sent, back = call.exchange(changed, body(*audio("8 101", port=50000), host=OTHER, version=2))
    assert stream(sent).all("rtpmap") == ["96 opus/48000/2", "8 PCMA/8000", "101 telephone-event/8000"]
    assert stream(back).all("rtpmap") == ["8 PCMA/8000", "96 telephone-event/8000"]
    a, b = sides(call)
    assert a.payload_types == {8: 8, 96: 101}
    assert b.payload_types == {8: 8, 101: 96}


def test_SDP_04_versions_of_a_series() -> None:
    call = Call()
    held = audio("8 0 101", "a=sendonly")
    steps = [
        (OFFER, ANSWER, 1),
        (OFFER, ANSWER, 1),  # a refresh changes nothing
        (body(*audio(), version=7), ANSWER, 1),  # their version is theirs
        (body(*held, version=8), body(*audio("8 101", "a=recvonly", port=50000), host=OTHER, version=2), 2),
        (body(*held, version=8), body(*audio("8 101", "a=recvonly", port=50000), host=OTHER, version=2), 2),
        (body(*audio(), version=9), ANSWER, 3),
    ]
    for offer, answer, expected in steps:
        sent, back = call.exchange(offer, answer)
        assert (version(sent), version(back)) == (expected, expected)
        assert sent.splitlines()[1].startswith(b"o=- 2002 ")
        assert back.splitlines()[1].startswith(b"o=- 1001 ")
        assert (call.b.last_body, call.a.last_body) == (sent, back)


def test_SDP_04_a_refused_offer_uses_its_version_up() -> None:
    call = Call()
    first, _ = call.exchange(OFFER, ANSWER)
    before = call.b.agreed
    call.a.receive_offer(body(*audio("8 0 101", "a=inactive"), version=2), True)
    refused = call.b.make_offer(leg().receive_offer(body(*audio("8 0 101", "a=inactive"), version=2), True), call.ids)
    assert version(refused) == 2
    assert call.b.open_offer == "sent"
    for side in (call.a, call.b):
        side.rollback()
        assert side.open_offer == ""
    assert call.b.agreed is before
    assert call.b.last_body == first
    assert sides(call)[1].send
    again, _ = call.exchange(OFFER, ANSWER)
    assert again == first  # the same body keeps its version
    changed, _ = call.exchange(body(*audio("8 0 101", "a=sendonly"), version=3), ANSWER)
    assert version(changed) == 3  # 2 stood for another body


def test_rollback_without_an_open_offer_does_nothing() -> None:
    call = Call()
    call.exchange(OFFER, ANSWER)
    agreed, last = call.a.agreed, call.a.last_body
    with pytest.raises(NotAcceptableHere):
        call.a.receive_offer(body("m=image 40020 udptl t38"), True)
    for _ in range(2):
        call.a.rollback()
        call.b.rollback()
    assert (call.a.agreed, call.a.last_body) == (agreed, last)
    MediaLeg(PLAIN, 1).rollback()


def test_rollback_of_a_first_offer_leaves_an_empty_leg() -> None:
    answering = leg()
    answering.receive_offer(OFFER, False)
    answering.rollback()
    assert (answering.agreed, answering.last_body, answering.open_offer) == (None, b"", "")
    with pytest.raises(SipError):
        answering.make_answer(leg().receive_offer(OFFER, False), CountingIds())


def test_both_legs_in_both_roles() -> None:
    call = Call()
    call.exchange(OFFER, body(*audio("8 96", port=50000, event=96), host=OTHER))
    from_b = body(*audio("8 96", "a=sendonly", port=51000, event=96), host=OTHER, version=2)
    from_a = body(*audio("8 101", "a=recvonly", port=41000), version=2)
    sent, back = call.exchange(from_b, from_a, caller="b")
    assert sent.splitlines()[1] == b"o=- 1001 2 IN IP4 203.0.113.5"
    assert stream(sent).formats == ("8", "101")  # A's own number for telephone-event
    assert stream(sent).first("sendonly") is not None
    assert stream(back).formats == ("8", "96")
    assert stream(back).first("recvonly") is not None
    assert check_answer(sdp(from_b), sdp(back)) == []
    a, b = sides(call)
    assert (a.remote, b.remote) == (("192.0.2.10", 41000), (OTHER, 51000))
    assert (a.payload_types, b.payload_types) == ({8: 8, 101: 96}, {8: 8, 96: 101})
    assert (a.send, b.send) == (True, False)
    again, _ = call.exchange(OFFER, body(*audio("8 96", port=51000, event=96), host=OTHER, version=3))
    assert stream(again).formats == ("8", "0", "101")  # A's number is telephone-event on B's leg, too


def test_a_codec_change_by_reinvite() -> None:
    call = Call()
    call.exchange(OFFER, ANSWER)
    sent, back = call.exchange(body(*audio("0 101"), version=2), body("m=audio 50000 RTP/AVP 0", host=OTHER, version=2))
    assert stream(sent).formats == ("0", "101")
    assert stream(back).formats == ("0",)
    a, b = sides(call)
    assert a.payload_types == b.payload_types == {0: 0}
    assert version(back) == 2


@pytest.mark.parametrize(
    ("offered", "answered", "to_b", "to_a", "sends_to_a", "sends_to_b"),
    [
        ("sendrecv", "sendrecv", "sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", "sendonly", "recvonly", False, True),
        ("sendonly", "inactive", "sendonly", "inactive", False, False),
        ("recvonly", "sendonly", "recvonly", "sendonly", True, False),
        ("inactive", "inactive", "inactive", "inactive", False, False),
        ("sendrecv", "recvonly", "sendrecv", "recvonly", False, True),
        ("sendonly", "sendonly", "sendonly", "inactive", False, False),
        ("inactive", "sendrecv", "inactive", "inactive", False, False),
        ("sendonly", "sendrecv", "sendonly", "recvonly", False, True),
    ],
)
def test_SDP_02_SDP_05_hold_crosses(offered: str, answered: str, to_b: str, to_a: str, sends_to_a: bool, sends_to_b: bool) -> None:
    call = Call(MediaRules(("PCMA",), silence=60.0), MediaRules(("PCMA",), silence=60.0))
    offer = body(*audio("8", f"a={offered}"))
    sent, back = call.exchange(offer, body(*audio("8", f"a={answered}", port=50000), host=OTHER))
    assert sdp(sent).direction(stream(sent)) == to_b
    assert sdp(back).direction(stream(back)) == to_a
    assert check_answer(sdp(offer), sdp(back)) == []
    a, b = sides(call)
    assert (a.send, b.send) == (sends_to_a, sends_to_b)
    # RTP-08: nobody waits for packets of a party that does not send.
    assert (a.silence is not None, b.silence is not None) == (sends_to_b, sends_to_a)


@pytest.mark.parametrize("host", ["IP4 0.0.0.0", "IP6 ::"])
def test_SDP_05_the_old_hold_and_resume(host: str) -> None:
    call = Call()
    call.exchange(OFFER, ANSWER)
    hold = OFFER.replace(b"IP4 192.0.2.10", host.encode())
    sent, back = call.exchange(hold, body(*audio("8 101", "a=recvonly", port=50000), host=OTHER))
    assert stream(sent).first("sendonly") is not None
    assert stream(back).first("recvonly") is not None
    assert host.encode() not in sent + back
    a, b = sides(call)
    assert (a.remote, a.remote_rtcp, a.send, b.send) == (None, None, False, True)
    call.exchange(OFFER, ANSWER)
    assert sides(call)[0] == SideSpec(
        remote=("192.0.2.10", 40000),
        remote_rtcp=("192.0.2.10", 40001),
        payload_types={8: 8, 101: 101},
        clock_rates={8: 8000, 101: 8000},
        follow=Follow.AUTHENTICATED,
    )


def test_SDP_06_one_offer_at_a_time() -> None:
    call = Call()
    description = call.a.receive_offer(OFFER, True)
    with pytest.raises(SipError) as caught:
        call.a.receive_offer(OFFER, True)
    assert (caught.value.status, dict(caught.value.headers)) == (500, {"Retry-After": "2"})
    call.b.make_offer(description, call.ids)
    with pytest.raises(SipError) as caught:
        call.b.receive_offer(OFFER, True)
    assert caught.value.status == 491
    with pytest.raises(SipError):
        call.b.make_offer(description, call.ids)
    assert (call.a.open_offer, call.b.open_offer) == ("received", "sent")


def test_SDP_06_an_answer_given_again_is_the_same() -> None:
    call = Call()
    call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    early = call.a.make_answer(call.b.receive_answer(ANSWER), call.ids)
    final = call.a.make_answer(call.b.receive_answer(ANSWER), call.ids)
    assert final == early
    # Another branch of the fork answers otherwise.
    other = body("m=audio 52000 RTP/AVP 0", host="198.51.100.30")
    changed = call.a.make_answer(call.b.receive_answer(other), call.ids)
    assert (version(changed), stream(changed).formats) == (2, ("0",))
    assert sides(call)[1].remote == ("198.51.100.30", 52000)


def test_SDP_06_delayed_offer() -> None:
    call = Call()
    ours = call.b.make_offer(None, call.ids)
    assert stream(ours).formats == ("8", "0", "18", "101")
    passed_on = call.a.make_offer(call.b.receive_answer(ANSWER), call.ids)
    assert stream(passed_on).formats == ("8", "101")
    call.a.receive_answer(body(*audio("8 101")))
    a, b = sides(call)
    assert (a.payload_types, b.payload_types) == ({8: 8, 101: 101}, {8: 8, 101: 101})
    assert (a.remote, b.remote) == (("192.0.2.10", 40000), (OTHER, 50000))


def test_INV_13_an_offer_that_nobody_takes_is_refused_stream_by_stream() -> None:
    refusing = leg()
    offer = body(*audio("8 0 101"), "m=video 51372 RTP/AVP 31")
    refused = sdp(refusing.refuse(offer))
    assert [(media.kind, media.port) for media in refused.media] == [("audio", 0), ("video", 0)]
    assert check_answer(sdp(offer), refused) == []
    assert refusing.agreed is None
    assert refusing.refuse(b"no description") == b""


def test_INV_05_each_fork_goes_on_from_where_it_was() -> None:
    call = Call()
    asking = call.b
    offer = asking.make_offer(None, call.ids)
    opening = asking.mark
    asking.receive_answer(ANSWER)
    first = asking.mark
    asking.resume(opening)
    assert asking.agreed is None
    asking.receive_answer(body(*audio("0 101", port=52000), host=OTHER))
    assert asking.agreed is not None
    assert asking.agreed.pairs[0][0].name == "PCMU"
    asking.resume(first)
    assert asking.agreed.pairs[0][0].name == "PCMA"
    assert asking.last_body == offer


def test_an_answer_to_no_offer_is_refused() -> None:
    with pytest.raises(SdpError):
        leg().receive_answer(ANSWER)
    answering = leg()
    answering.receive_offer(OFFER, True)
    with pytest.raises(SdpError):
        answering.receive_answer(ANSWER)


@pytest.mark.parametrize(
    "answer",
    [
        body(*audio("8 101"), "m=video 0 RTP/AVP 31", host=OTHER),
        body("m=video 50000 RTP/AVP 8", host=OTHER),
        body(*audio("8 101", protocol="RTP/SAVP"), host=OTHER),
        body(*audio("8 101", port=0), host=OTHER),
        body(*audio("8 101", port=0), host="0.0.0.0"),
        body("m=audio 50000 RTP/AVP 18", host=OTHER),
        body(*audio("101"), host=OTHER),
        body(host=OTHER),
    ],
    ids=["count", "kind", "protocol", "rejected", "rejected and held", "format", "events only", "nothing"],
)
def test_SDP_01_answers_that_do_not_fit_are_refused(answer: bytes) -> None:
    call = Call(MediaRules(("PCMA", "telephone-event")), MediaRules(("PCMA", "G729", "telephone-event")))
    call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    with pytest.raises(NotAcceptableHere):
        call.b.receive_answer(answer)
    assert call.b.agreed is None
    call.b.receive_answer(ANSWER)  # the right one may still come
    assert call.b.agreed is not None


def test_SDP_01_other_streams_keep_their_place() -> None:
    call = Call()
    offer = body("m=video 40010 RTP/AVP 31 32", *audio(), "m=image 40020 udptl t38", "m=message 0 TCP/MSRP *")
    sent, back = call.exchange(offer, ANSWER)
    assert len(sdp(sent).media) == 1
    assert [(media.kind, media.port) for media in sdp(back).media] == [("video", 0), ("audio", 20000), ("image", 0), ("message", 0)]
    assert check_answer(sdp(offer), sdp(back)) == []
    # Later offers of ours keep the order, RFC 3264 s8.
    ours = call.a.make_offer(call.b.receive_offer(body(*audio("8 101", port=50000), host=OTHER), True), call.ids)
    assert [(media.kind, media.port, media.protocol) for media in sdp(ours).media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 20000, "RTP/AVP"),
        ("image", 0, "udptl"),
        ("message", 0, "TCP/MSRP"),
    ]
    assert sdp(ours).media[0].formats == ("31", "32")


def test_RTP_05_rtcp_mux_is_agreed_on_each_leg_alone() -> None:
    call = Call()
    sent, back = call.exchange(body(*audio("8 101", "a=rtcp-mux")), ANSWER)
    assert stream(sent).first("rtcp-mux") is None
    assert stream(back).first("rtcp-mux") == ""
    a, b = sides(call)
    assert (a.rtcp_mux, a.remote_rtcp) == (True, ("192.0.2.10", 40000))
    assert (b.rtcp_mux, b.remote_rtcp) == (False, (OTHER, 50001))
    # What is in use stays in use when B re-INVITEs; an unasked mux from B is passed over.
    from_a = body(*audio("8 101", "a=rtcp-mux"))
    sent, back = call.exchange(body(*audio("8 101", port=50000), host=OTHER, version=2), from_a, caller="b")
    assert stream(sent).first("rtcp-mux") == ""
    assert stream(back).first("rtcp-mux") is None
    assert sides(call)[0].rtcp_mux
    call.exchange(OFFER, body(*audio("8 101", "a=rtcp-mux", port=50000), host=OTHER))
    assert not sides(call)[1].rtcp_mux


def test_before_the_answer_the_relay_takes_and_sends_nothing() -> None:
    call = Call()
    call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    assert sides(call, ("192.0.2.99",), ("192.0.2.98",)) == (SideSpec(send=False), SideSpec(send=False))
    call.b.receive_answer(ANSWER)
    a, b = sides(call)
    assert (a, b.payload_types, b.send) == (SideSpec(send=False), {}, False)


def test_a_party_that_holds_is_not_relayed_even_before_the_other_knows() -> None:
    call = Call()
    call.exchange(OFFER, ANSWER)
    call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    call.b.receive_answer(body(*audio("8 101", "a=inactive", port=50000), host=OTHER, version=2))
    a, b = sides(call)
    assert (a.send, b.send) == (False, False)


def test_the_first_of_several_streams_is_taken_and_the_first_trouble_told() -> None:
    both = body("m=audio 40000 RTP/AVP 8", "m=audio 40002 RTP/AVP 0")
    assert leg().receive_offer(both, False).remote == ("192.0.2.10", 40000)
    with pytest.raises(NotAcceptableHere) as caught:
        leg().receive_offer(body("m=audio 40000 RTP/AVP 97", "m=audio 40002 UDP/TLS/RTP/SAVP 8", "m=audio 40004 RTP/SAVP 0"), False)
    assert caught.value.headers[0][1].startswith("305 ")


def test_CN_01_the_watchdog_is_patient_with_silence_suppression() -> None:
    rules = MediaRules(("PCMA",), silence=60.0)
    call = Call(rules, rules)
    call.exchange(body("m=audio 40000 RTP/AVP 8 13"), body("m=audio 50000 RTP/AVP 8", host=OTHER))
    a, b = sides(call)
    assert a.silence is not None
    assert a.silence > 120
    assert b.silence == 60.0


def test_a_failed_step_changes_nothing() -> None:
    call = Call()
    call.exchange(OFFER, ANSWER)
    before = sides(call), call.a.last_body, call.b.last_body
    for hostile in (b"junk", body("m=audio 40000 RTP/AVP 97", "a=rtpmap:97 iLBC/8000"), body(*audio(), host="224.0.0.1")):
        with pytest.raises(SipError):
            call.a.receive_offer(hostile, True)
    assert (sides(call), call.a.last_body, call.b.last_body) == before
    assert call.a.open_offer == ""


def test_listening_elsewhere_is_a_change() -> None:
    call = Call()
    call.exchange(OFFER, ANSWER)
    call.b.listen((OUR_B[0], 30100))
    sent, back = call.exchange(OFFER, ANSWER)
    assert (version(sent), stream(sent).port, version(back)) == (2, 30100, 1)


def test_ipv6_on_one_leg() -> None:
    call = Call()
    call.b.listen(("2001:db8::5", 30000))
    sent, back = call.exchange(OFFER, ANSWER.replace(b"IP4 198.51.100.20", b"IP6 2001:db8:9::20"))
    assert b"o=- 2002 1 IN IP6 2001:db8::5\r\n" in sent
    assert b"c=IN IP6 2001:db8::5\r\n" in sent
    assert b"c=IN IP4 203.0.113.5\r\n" in back
    assert sides(call)[1].remote == ("2001:db8:9::20", 50000)


RFC4317 = vectors("rfc4317_offer_answer.json")["pairs"]
EXCHANGES = [
    pytest.param(exchange["offer"].encode(), exchange["answer"].encode(), id=f"{pair['section'].split()[0]}-{number}")
    for pair in RFC4317
    for number, exchange in enumerate(pair["exchanges"], 1)
    if exchange["offer"].strip()
]


def as_relayed(offer: bytes, answer: bytes) -> bytes:
    """The answer as a callee that sees only our one audio stream would give it: its m= lines of the stream offered."""
    session = parse_session(answer)
    place = next(index for index, media in enumerate(parse_session(offer).media) if media.kind == "audio" and media.port)
    kept = session.media[place]
    octets = answer.split(b"m=")[0] + b"m=" + answer.split(b"m=")[1 + place]
    return octets if kept.port else b""


@pytest.mark.parametrize(("offer", "answer"), EXCHANGES)
def test_SDP_01_rfc4317_audio_through_two_legs(offer: bytes, answer: bytes) -> None:
    rules = MediaRules(("PCMU", "PCMA", "iLBC", "telephone-event"))
    call = Call(rules, rules)
    sent = call.b.make_offer(call.a.receive_offer(offer, False), call.ids)
    assert [media.kind for media in sdp(sent).media] == ["audio"]
    theirs = as_relayed(offer, answer)
    if not theirs:  # 2.6: the callee wants the second audio stream, which we did not pass on
        call.b.rollback()
        return
    back = call.a.make_answer(call.b.receive_answer(theirs), call.ids)
    assert check_answer(sdp(offer), sdp(back)) == []
    assert [media.kind for media in sdp(back).media] == [media.kind for media in sdp(offer).media]
    accepted = [media for media in sdp(back).media if media.port]
    assert [media.kind for media in accepted] == ["audio"]
    assert {name.split()[1] for name in accepted[0].all("rtpmap")} <= {name.split()[1] for name in sdp(theirs).media[0].all("rtpmap")}
    assert b"example.com" not in sent + back
    assert b"alice" not in sent + back


def test_SDP_05_rfc4317_hold_and_unhold_of_section_3_1() -> None:
    rules = MediaRules(("PCMU", "iLBC"))
    call = Call(rules, rules)
    (section,) = [pair for pair in RFC4317 if pair["section"].startswith("3.1")]
    first, second = section["exchanges"]
    _, back = call.exchange(first["offer"].encode(), first["answer"].encode())
    assert sdp(back).direction(stream(back)) is Direction.SENDONLY
    assert (sides(call)[0].send, sides(call)[1].send) == (True, False)
    sent, back = call.exchange(second["offer"].encode(), second["answer"].encode(), caller="b")
    assert sdp(sent).direction(stream(sent)) is Direction.SENDRECV
    assert version(back) == 2
    assert (sides(call)[0].send, sides(call)[1].send) == (True, True)
    assert OUR_A[0].encode() in sent


AUDIO_LINES = st.builds(
    lambda payloads, protocol, port, lines: audio(" ".join(payloads), *lines, port=port, protocol=protocol, event=101),
    st.lists(st.sampled_from(["0", "8", "13", "18", "97", "101"]), min_size=1, max_size=6, unique=True),
    st.sampled_from(["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "UDP/TLS/RTP/SAVPF"]),
    st.sampled_from([0, 9, 40000, 5060]),
    st.lists(
        st.sampled_from(
            ["a=sendonly", "a=recvonly", "a=inactive", "a=rtcp-mux", "a=ptime:20", crypto_line(), crypto_line(2), "a=rtpmap:97 x/1"]
        ),
        max_size=4,
        unique=True,
    ),
)
OTHER_LINES = st.sampled_from(
    [
        ("m=video 40010 RTP/AVP 31",),
        ("m=image 40020 udptl t38",),
        ("m=image 0 udptl t38",),
        ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel",),
    ]
)


@given(
    st.lists(st.one_of(AUDIO_LINES, OTHER_LINES), max_size=4),
    st.sampled_from(["off", "required", "optional"]),
    st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]),
    st.sampled_from(["192.0.2.10", "0.0.0.0", "127.0.0.1"]),
)
def test_every_answer_we_make_fits_its_offer(sections: list[tuple[str, ...]], srtp: str, direction: str, host: str) -> None:
    offer = body(*[line for section in sections for line in section], host=host)
    rules = MediaRules(("PCMA", "PCMU", "G729", "CN", "telephone-event"), srtp)  # type: ignore[arg-type]
    call = Call(rules, MediaRules(rules.codecs))
    try:
        description = call.a.receive_offer(offer, True)
    except SipError as error:
        refused = error.status
        assert refused == 488
        assert call.a.open_offer == ""
        return
    sent = call.b.make_offer(description, call.ids)
    answer = body(*audio(" ".join(stream(sent).formats), f"a={direction}", port=50000), host=OTHER)
    back = call.a.make_answer(call.b.receive_answer(answer), call.ids)
    assert check_answer(sdp(offer), sdp(back)) == []
    assert host.encode() not in sent + back
    assert (call.a.open_offer, call.b.open_offer) == ("", "")
    a, b = sides(call)
    assert set(a.payload_types) == set(a.clock_rates) == set(map(int, stream(back, description.index).formats))
    assert (a.receive_keys is None) == (a.send_keys is None) == (srtp == "off" or not description.cryptos)
    assert not (srtp == "required" and a.send_keys is None)
    assert b.send_keys is None
