"""T.38 as a stream of a session: offered on, answered, refused, and left again."""

from __future__ import annotations

import pytest

from media.api import SideSpec
from sbc.errors import NotAcceptableHere
from sbc.sdp.answer import check_answer
from sbc.sdp.fax import fax_parameters
from sbc.sdp.offer import MediaRules
from sbc.sdp.rules import USUAL_SUITES
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import (
    ANSWER,
    KEY_A,
    OFFER,
    Call,
    answer_to,
    audio,
    body,
    crypto_line,
    sdp,
    stream,
    version,
)
from tests.vectors.messages import request

PASS = MediaRules(("PCMA", "PCMU", "telephone-event"), silence=60.0, fax="pass")
REFUSE = MediaRules(("PCMA", "PCMU", "telephone-event"))
SAMPLE = request("samples", "reinvite_t38.sip").body
OTHER = "198.51.100.20"
PARAMETERS = (
    "a=T38FaxVersion:0",
    "a=T38MaxBitRate:14400",
    "a=T38FaxRateManagement:transferredTCF",
    "a=T38FaxMaxBuffer:262",
    "a=T38FaxMaxDatagram:400",
    "a=T38FaxUdpEC:t38UDPRedundancy",
)
FAX = body("m=image 40000 udptl t38", *PARAMETERS, version=2)
FAX_ANSWER = body("m=image 50000 udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:9600", host=OTHER, version=2)


def connected(rules_a: MediaRules = PASS, rules_b: MediaRules = PASS) -> Call:
    call = Call(rules_a, rules_b)
    call.exchange(OFFER, ANSWER)
    return call


def sides(call: Call) -> tuple[SideSpec, SideSpec]:
    return relay_sides(call.a, call.b, latch_a=("203.0.113.99",), latch_b=())


def refusal(call: Call, offer: bytes) -> str:
    with pytest.raises(NotAcceptableHere) as caught:
        call.b.make_offer(call.a.receive_offer(offer, True), call.ids)
    call.a.rollback()
    return dict(caught.value.headers)["Warning"].split()[0]


def test_FAX_01_a_change_to_fax_crosses_with_its_parameters() -> None:
    call = connected()
    sent, back = call.exchange(FAX, FAX_ANSWER)
    for octets, port, host in ((sent, 30000, "203.0.113.6"), (back, 20000, "203.0.113.5")):
        (media,) = sdp(octets).media
        assert (media.kind, media.port, media.protocol, media.formats) == ("image", port, "udptl", ("t38",))
        assert octets.count(b"IN IP4 " + host.encode()) == 2
    assert [f"a={name}:{value}" for name, value in stream(sent).attributes] == list(PARAMETERS)
    assert stream(back).attributes == (("T38FaxVersion", "0"), ("T38MaxBitRate", "9600"))
    assert check_answer(sdp(FAX), sdp(back)) == []
    assert (version(sent), version(back)) == (2, 2)
    a, b = sides(call)
    assert a == SideSpec(remote=("192.0.2.10", 40000), latch_from=("203.0.113.99",), udptl=True, silence=300.0)
    assert b == SideSpec(remote=(OTHER, 50000), udptl=True, silence=300.0)
    assert call.a.agreed is not None
    assert call.a.agreed.names == ["T38"]


def test_FAX_01_the_sample_crosses() -> None:
    sent, _ = connected().exchange(SAMPLE, FAX_ANSWER)
    assert stream(sent).kind == "image"
    assert {name for name, _ in stream(sent).attributes} == {name for name, _ in stream(SAMPLE).attributes if name.startswith("T38")}


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("a=T38FaxFillBitRemoval", ("T38FaxFillBitRemoval", None)),
        ("a=T38FaxFillBitRemoval:1", ("T38FaxFillBitRemoval", None)),
        ("a=T38FaxFillBitRemoval:", ("T38FaxFillBitRemoval", None)),
        ("a=T38FaxFillBitRemoval:0", None),
        ("a=T38FaxTranscodingJBIG: 0", None),
        ("a=t38faxtranscodingmmr", ("T38FaxTranscodingMMR", None)),
        ("a=T38MaxBitRate: 14400", ("T38MaxBitRate", "14400")),
        ("a=T38maxbitrate:014400", ("T38MaxBitRate", "14400")),
        ("a=T38MaxBitRate:fast", None),
        ("a=T38MaxBitRate:99999999999", None),
        ("a=T38MaxBitRate:\uff11", None),
        ("a=T38MaxBitRate", None),
        ("a=T38FaxRateManagement:TRANSFERREDtcf", ("T38FaxRateManagement", "transferredTCF")),
        ("a=T38FaxRateManagement:localTCF", ("T38FaxRateManagement", "localTCF")),
        ("a=T38FaxRateManagement:10.0.0.1", None),
        ("a=T38FaxUdpEC:t38udpredundancy", ("T38FaxUdpEC", "t38UDPRedundancy")),
        ("a=T38VendorInfo:181 0 1", None),
        ("a=sqn:0", None),
    ],
)
def test_FAX_01_parameters_in_every_spelling(line: str, read: tuple[str, str | None] | None) -> None:
    offer = body("m=image 40000 udptl t38", line)
    assert fax_parameters(stream(offer)) == ((read,) if read else ())
    assert connected().a.receive_offer(offer, True).kind == "image"


def test_FAX_01_a_parameter_twice_counts_once() -> None:
    assert len(fax_parameters(stream(body("m=image 40000 udptl t38", *PARAMETERS, *PARAMETERS)))) == len(PARAMETERS)


@pytest.mark.parametrize(("rules_a", "rules_b"), [(REFUSE, PASS), (PASS, REFUSE), (MediaRules(PASS.codecs, "required", fax="pass"), PASS)])
def test_FAX_01_refused_the_speech_stays_as_it_is(rules_a: MediaRules, rules_b: MediaRules) -> None:
    secure = body(*audio("8 101", crypto_line(), protocol="RTP/SAVP"))
    call = Call(rules_a, rules_b)
    call.exchange(secure if rules_a.srtp == "required" else OFFER, ANSWER)
    before = sides(call), call.a.last_body, call.b.last_body
    assert refusal(call, FAX) == "304"
    assert (sides(call), call.a.last_body, call.b.last_body, call.a.open_offer, call.b.open_offer) == (*before, "", "")


def test_speech_beside_fax_stays_speech() -> None:
    sent, back = connected().exchange(OFFER + b"m=image 40020 udptl t38\r\n", ANSWER)
    assert [media.kind for media in sdp(sent).media] == ["audio"]
    assert [(media.kind, bool(media.port)) for media in sdp(back).media] == [("audio", True), ("image", False)]


def test_fax_beside_speech_that_was_taken_out() -> None:
    call = connected()
    offer = body("m=audio 0 RTP/AVP 8", "m=image 40020 UDPTL T38", *PARAMETERS, version=2)
    sent, back = call.exchange(offer, FAX_ANSWER)
    assert [(media.kind, media.port) for media in sdp(sent).media] == [("image", 30000)], "the type of the one stream changes"
    assert [(media.kind, media.port, media.protocol) for media in sdp(back).media] == [("audio", 0, "RTP/AVP"), ("image", 20000, "UDPTL")]
    assert sides(call)[0].remote == ("192.0.2.10", 40020)
    # And back, asked for by the other side: speech where it has been, no fax any more.
    sent, back = call.exchange(ANSWER, body("m=audio 40000 RTP/AVP 8", "m=image 0 udptl t38", version=3), caller="b")
    assert [(media.kind, media.port) for media in sdp(sent).media] == [("audio", 20000), ("image", 0)]
    assert [(media.kind, media.port) for media in sdp(back).media] == [("audio", 30000)]
    a, b = sides(call)
    assert (a.udptl, b.udptl, a.send, b.send, a.payload_types) == (False, False, True, True, {8: 8})


def test_a_call_may_begin_as_fax() -> None:
    call = Call(PASS, PASS)
    sent, back = call.exchange(FAX, FAX_ANSWER)
    assert (stream(sent).kind, stream(back).kind, sides(call)[0].udptl) == ("image", "image", True)


def test_fax_on_one_side_only_passes_nothing() -> None:
    call = connected()
    call.b.make_offer(call.a.receive_offer(FAX, True), call.ids)
    call.b.receive_answer(FAX_ANSWER)
    a, b = sides(call)
    assert (a.udptl, b.udptl, a.send, b.send) == (False, False, False, False)
    speech = connected().b.agreed
    assert speech is not None
    with pytest.raises(NotAcceptableHere):
        call.a.make_answer(speech.peer, call.ids)


@pytest.mark.parametrize(
    "answer",
    [
        body("m=image 0 udptl t38", host=OTHER),
        body("m=audio 50000 RTP/AVP 8", host=OTHER),
        body("m=image 50000 udptl t37", host=OTHER),
        body("m=image 50000 udptl t38", host="127.0.0.1"),
        body("m=image 50000 udptl t38", host="2001:db8::1"),
    ],
)
def test_answers_that_do_not_fit_are_refused(answer: bytes) -> None:
    call = connected()
    before = sides(call)
    call.b.make_offer(call.a.receive_offer(FAX, True), call.ids)
    with pytest.raises(NotAcceptableHere):
        call.b.receive_answer(answer)
    call.a.rollback()
    call.b.rollback()
    assert sides(call) == before


def test_FAX_01_keys_are_not_used_again_after_a_fax() -> None:
    """Their packets would be counted from nothing anew: one keystream for two texts."""
    optional = MediaRules(PASS.codecs, "optional", fax="pass")
    call = Call(PASS, optional)
    sent = call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    call.a.make_answer(call.b.receive_answer(answer_to(sent, "AES_CM_128_HMAC_SHA1_80", KEY_A)), call.ids)
    keys = set(stream(sent).all("crypto"))
    assert len(keys) == len(USUAL_SUITES)
    call.exchange(FAX, FAX_ANSWER)
    assert (sides(call)[1].send_keys, sides(call)[1].receive_keys) == (None, None)
    again = call.b.make_offer(call.a.receive_offer(OFFER, True), call.ids)
    assert stream(again).protocol == "RTP/SAVP"
    assert len(stream(again).all("crypto")) == len(USUAL_SUITES)
    assert not {line.split("inline:")[1] for line in stream(again).all("crypto")} & {line.split("inline:")[1] for line in keys}


def test_a_refused_change_keeps_the_keys_of_the_call() -> None:
    call = Call(MediaRules(PASS.codecs, "optional", fax="pass"), PASS)
    call.exchange(body(*audio("8 101", crypto_line(), protocol="RTP/SAVP")), ANSWER)
    before = sides(call)
    call.b.make_offer(call.a.receive_offer(FAX, True), call.ids)
    call.a.rollback()
    call.b.rollback()
    assert sides(call) == before
    assert before[0].send_keys is not None
