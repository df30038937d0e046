"""What else stands in descriptions: bundles, capabilities, reports, streams beside speech. It neither crosses nor disturbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from sbc.errors import NotAcceptableHere, SipError
from sbc.sdp.answer import check_answer
from sbc.sdp.offer import MediaRules
from sbc.sdp.sides import relay_sides
from sbc.sip.multipart import sdp_of
from tests.unit.sdp.bodies import (
    ANSWER,
    KEY_A,
    OFFER,
    PLAIN,
    SRTP,
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
from tests.vectors.messages import request

OTHER = "198.51.100.20"
BROWSER = ("a=group:BUNDLE 0 1", "a=msid-semantic: WMS *", "a=ice-lite", "a=ice-options:trickle", "a=extmap-allow-mixed")
IN_STREAM = (
    *("a=mid:0", "a=msid:stream track", "a=ssrc:1 cname:x", "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=rtcp-rsize"),
    *("a=rtcp-fb:* transport-cc", "a=candidate:1 1 udp 2130706431 192.0.2.10 40000 typ host", "a=end-of-candidates", "a=ice-ufrag:F7gI"),
    *("a=ice-pwd:x9cml/YzichV2+XlhiMu8g", "a=bundle-only", "a=label:1", "a=content:main", "a=remote-candidates:1 192.0.2.1 9"),
)
OURS = {"rtpmap", "fmtp", "ptime", "maxptime", "crypto", "rtcp-mux", "rtcp", "sendrecv", "sendonly", "recvonly", "inactive"}


def names(octets: bytes) -> set[str]:
    """Of all attributes, of the session and of its streams."""
    session = sdp(octets)
    return {name for attributes in (session.attributes, *(media.attributes for media in session.media)) for name, _ in attributes}


def test_SDP_12_bundles_end_here() -> None:
    offer = body(*BROWSER, *audio("8 101", *IN_STREAM), "m=video 40000 RTP/AVP 96", "a=mid:1", "a=bundle-only")
    sent, back = Call().exchange(offer, ANSWER)
    assert names(sent) | names(back) <= OURS
    assert len(sdp(sent).media) == 1
    assert [bool(media.port) for media in sdp(back).media] == [True, False]
    assert check_answer(sdp(offer), sdp(back)) == []
    assert b"192.0.2.10" not in sent + back


def test_SDP_12_a_bundle_nobody_asked_for_is_not_taken_over() -> None:
    call = Call()
    answer = body("a=group:BUNDLE 0", *audio("8 101", *IN_STREAM, port=50000), host=OTHER)
    _, back = call.exchange(OFFER, answer)
    assert names(back) <= OURS
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=())[1].remote == (OTHER, 50000)


def test_SDP_12_a_bundle_with_the_address_in_its_video_has_no_speech_for_us() -> None:
    offer = body("a=group:BUNDLE 1 0", "m=video 40000 RTP/AVP 96", "a=mid:1", *audio("8", "a=mid:0", "a=bundle-only", port=0))
    with pytest.raises(NotAcceptableHere) as caught:
        leg().receive_offer(offer, True)
    assert dict(caught.value.headers)["Warning"].startswith("304 ")


@pytest.mark.parametrize(("mode", "taken"), [("off", []), ("optional", ["1"])])
def test_SDP_13_capabilities_are_read_past(mode: Literal["off", "optional"], taken: list[str]) -> None:
    """A sample with tcap, pcfg and keys under RTP/AVP (RFC 5939): the actual configuration counts, and the keys as RFC 8643 has them."""
    offer = sdp_of(request("samples", "nortel_cs1000_multipart.sip"))
    assert offer is not None
    assert b"a=pcfg" in offer
    call = Call(MediaRules(("PCMU", "PCMA", "G729", "telephone-event"), mode))
    sent, back = call.exchange(offer, body(f"m=audio 50000 RTP/AVP {stream(offer).formats[0]}", host=OTHER))
    assert stream(back).protocol == "RTP/AVP"
    assert [line.split()[0] for line in stream(back).all("crypto")] == taken
    assert names(sent) | names(back) <= OURS
    assert check_answer(sdp(offer), sdp(back)) == []


@pytest.mark.parametrize(
    "lines",
    [
        ("a=tcap:1 RTP/SAVP", "a=pcfg:1 t=1"),
        ("a=tcap:1 RTP/SAVP RTP/AVP", "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY_A, "a=pcfg:1 t=1 a=1", "a=pcfg:2 t=2"),
        ("a=csup:cap-v0", "a=creq:cap-v0", "a=acfg:1 t=1"),
        ("a=tcap:99999999999999999999 x", "a=pcfg:-1 t=|a=[", "a=acap:"),
    ],
)
def test_SDP_13_potential_configurations_are_neither_taken_nor_offered(lines: tuple[str, ...]) -> None:
    sent, back = Call().exchange(body(*lines, *audio("8 101", *lines)), ANSWER)
    assert names(sent) | names(back) <= OURS - {"crypto"}
    with pytest.raises(NotAcceptableHere):  # keys that are only a capability are no offer of SRTP
        leg(SRTP).receive_offer(body(*lines, *audio("8 101", *lines)), True)


def test_XR_01_extended_reports_are_not_negotiated() -> None:
    """Blocks that come all the same pass with the RTCP around them; nobody is told to expect any."""
    offer = sdp_of(request("samples", "linphone_sdp_rtcpxr.sip"))
    assert offer is not None
    assert sdp(offer).first("rtcp-xr") is not None
    call = Call(MediaRules(("PCMU", "PCMA", "speex", "telephone-event")), MediaRules(("PCMU", "PCMA", "speex", "telephone-event")))
    answer = body(*audio("0 101", "a=rtcp-xr:voip-metrics", port=50000), host=OTHER)
    sent, back = call.exchange(offer.replace(b"a=rtcp-xr", b"a=rtcp-xr:rcvr-rtt=all\r\na=rtcp-xr", 1), answer)
    assert names(sent) | names(back) <= OURS


def test_XR_01_an_offer_of_ours_asks_for_none() -> None:
    assert names(leg().make_offer(None, CountingIds())) <= OURS


@pytest.mark.parametrize("count", [1, 3, 15])
def test_SDP_01_many_streams_keep_number_order_and_kind_over_every_later_change(count: int) -> None:
    others = [line for place in range(count) for line in (f"m=video {41000 + place} RTP/AVP 31", "a=sendonly")]
    call = Call()
    first = body(*others, *audio("8 101"))
    _, back = call.exchange(first, ANSWER)
    kinds = [media.kind for media in sdp(first).media]
    assert [media.kind for media in sdp(back).media] == kinds
    # One more is added, as far as the limit allows, and speech moves to it.
    more = body(*others, "m=audio 0 RTP/AVP 8", *audio("8 101", port=42000), version=2)
    if count < 15:
        _, back = call.exchange(more, ANSWER)
        assert [bool(media.port) for media in sdp(back).media] == [False] * (count + 1) + [True]
        kinds.append("audio")
    ours, _ = call.exchange(ANSWER.replace(b" 1 IN", b" 2 IN"), back_to(kinds), caller="b")
    assert [media.kind for media in sdp(ours).media] == kinds
    assert [bool(media.port) for media in sdp(ours).media] == [False] * (len(kinds) - 1) + [True]


def back_to(kinds: list[str]) -> bytes:
    return body(*[f"m={kind} 0 RTP/AVP 31" for kind in kinds[:-1]], *audio("8 101"), version=3)


RFC4317 = vectors("rfc4317_offer_answer.json")["pairs"]
SECTIONS = [pair for pair in RFC4317 if len(pair["exchanges"]) > 1 and pair["exchanges"][0]["offer"].strip()]


def fitting(sent: bytes, answer: str) -> bytes:
    """The answer as whoever got this offer of ours would give it: a section of the answer for each of ours that lives."""
    head, *sections = answer.encode().split(b"m=")
    octets = head
    for media in sdp(sent).media:
        here = next((section for section in sections if section.startswith(f"{media.kind} ".encode())), None)
        if media.port and here is not None:
            sections.remove(here)
            octets += b"m=" + here
        else:
            octets += f"m={media.kind} 0 {media.protocol} {media.formats[0]}\r\n".encode()
    return octets


@pytest.mark.parametrize("section", SECTIONS, ids=[pair["section"].split()[0] for pair in SECTIONS])
def test_SDP_04_rfc4317_the_exchanges_of_a_section_in_one_call(section: dict[str, list[dict[str, str]]]) -> None:
    rules = MediaRules(("PCMU", "PCMA", "iLBC", "telephone-event"))
    call = Call(rules, rules)
    versions: dict[bool, list[int]] = {True: [], False: []}
    for exchange in section["exchanges"]:
        near, far = (call.a, call.b) if "o=alice" in exchange["offer"] else (call.b, call.a)
        offer = exchange["offer"].encode()
        sent = far.make_offer(near.receive_offer(offer, False), call.ids)
        back = near.make_answer(far.receive_answer(fitting(sent, exchange["answer"])), call.ids)
        assert check_answer(sdp(offer), sdp(back)) == []
        assert b"example.com" not in sent + back
        for octets in (sent, back):
            versions[b"203.0.113.5" in octets].append(version(octets))
    for told in versions.values():
        assert told == sorted(told)
        assert len(told) == len(section["exchanges"])


def _refused(rules: MediaRules, offer: bytes, secure: bool = True) -> None:
    with pytest.raises(SipError) as caught:
        leg(rules).receive_offer(offer, secure)
    assert caught.value.status == 488


OPTIONAL = MediaRules(PLAIN.codecs, "optional")
SECURE = audio("8 101", crypto_line(), protocol="RTP/SAVP")


def same_tag_twice() -> None:
    _refused(SRTP, body(*SECURE, crypto_line(1, "AES_CM_128_HMAC_SHA1_32")))


def tag_not_offered() -> None:
    call = Call(PLAIN, SRTP)
    call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    with pytest.raises(NotAcceptableHere):
        call.b.receive_answer(body(*audio("8 101", crypto_line(9), protocol="RTP/SAVP"), host=OTHER))


def key_sent_back() -> None:
    call = Call(PLAIN, SRTP)
    ours = stream(call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)).all("crypto")[0]
    with pytest.raises(NotAcceptableHere):
        call.b.receive_answer(body(*audio("8 101", f"a=crypto:{ours}", protocol="RTP/SAVP"), host=OTHER))


def no_key_at_all() -> None:
    for rules in (SRTP, OPTIONAL):
        _refused(rules, body(*audio("8 101", protocol="RTP/SAVP")))


def keys_under_plain_rtp() -> None:
    offer = body(*audio("8 101", crypto_line()))
    for rules, keys in ((PLAIN, 0), (OPTIONAL, 1)):
        _, back = Call(rules).exchange(offer, ANSWER)
        assert (stream(back).protocol, len(stream(back).all("crypto"))) == ("RTP/AVP", keys)
    _refused(SRTP, offer)  # never silently less than what the rules demand


def keys_over_open_signalling() -> None:
    _refused(SRTP, body(*SECURE), secure=False)
    _refused(OPTIONAL, body(*SECURE), secure=False)


def key_changes() -> None:
    call = Call(SRTP)
    call.exchange(body(*SECURE), ANSWER)
    before, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    call.exchange(body(*audio("8 101", crypto_line(key=KEY_A[::-1]), protocol="RTP/SAVP"), version=2), ANSWER)
    after, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert before.receive_keys != after.receive_keys
    assert before.send_keys != after.send_keys


def key_and_fingerprint() -> None:
    fingerprint = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
    _, back = Call(SRTP).exchange(body(*SECURE, fingerprint, "a=setup:actpass"), ANSWER)
    assert (stream(back).protocol, len(stream(back).all("crypto"))) == ("RTP/SAVP", 1)
    assert not names(back) & {"fingerprint", "setup"}
    _refused(SRTP, body(*audio("8 101", crypto_line(), fingerprint, "a=setup:actpass", protocol="UDP/TLS/RTP/SAVP")))


BEHAVIOUR: dict[str, Callable[[], None]] = {
    "two lines with the same tag in one m= section": same_tag_twice,
    "answer crypto tag not in the offer": tag_not_offered,
    "answer reuses the offered master key": key_sent_back,
    "RTP/SAVP with no crypto and no fingerprint": no_key_at_all,
    "RTP/AVP carrying a=crypto (best-effort)": keys_under_plain_rtp,
    "crypto over a non-TLS signalling leg": keys_over_open_signalling,
    "re-INVITE changes the key": key_changes,
    "m= section with both crypto and fingerprint": key_and_fingerprint,
}


@pytest.mark.parametrize("case", [case["case"] for case in vectors("crypto_attributes.json")["behaviour_cases"]])
def test_SRTP_05_SDP_13_behaviour_of_keys(case: str) -> None:
    BEHAVIOUR[case]()
