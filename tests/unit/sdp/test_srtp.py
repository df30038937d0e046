"""SRTP keys through offer and answer (RFC 4568)."""

from __future__ import annotations

import base64

import pytest

from media.api import MOST_KEYS, Keys, Suite
from sbc.errors import NotAcceptableHere
from sbc.sdp.answer import check_answer
from sbc.sdp.crypto import Crypto
from sbc.sdp.offer import MediaRules
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import (
    ANSWER,
    KEY_A,
    KEY_B,
    OFFER,
    SRTP,
    Call,
    CountingIds,
    answer_to,
    audio,
    body,
    crypto_line,
    leg,
    sdp,
    stream,
    version,
)

CM80, CM32 = Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32
OPTIONAL = MediaRules(SRTP.codecs, "optional")
SECURE_OFFER = body(*audio("8 101", crypto_line(1), crypto_line(2, CM32, KEY_B), protocol="RTP/SAVP"))
KEYS_A = Keys(CM80, base64.b64decode(KEY_A))
KEYS_B = Keys(CM80, base64.b64decode(KEY_B))
OTHER = "198.51.100.20"


def lines(octets: bytes) -> list[Crypto]:
    return [Crypto.parse(value) for value in stream(octets).all("crypto")]


def test_SRTP_05_srtp_to_rtp() -> None:
    call = Call(SRTP)
    sent, back = call.exchange(SECURE_OFFER, ANSWER)
    assert (stream(sent).protocol, stream(sent).all("crypto")) == ("RTP/AVP", [])
    assert stream(back).protocol == "RTP/SAVP"
    (ours,) = lines(back)
    assert (ours.tag, ours.suite) == (1, CM80)
    assert check_answer(sdp(SECURE_OFFER), sdp(back)) == []
    a, b = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (a.receive_keys, a.send_keys) == (KEYS_A, ours.keys)
    assert (b.receive_keys, b.send_keys) == (None, None)


def test_SRTP_05_rtp_to_srtp_offers_every_suite_with_a_key_of_its_own() -> None:
    call = Call(rules_b=SRTP)
    sent = call.b.make_offer(call.a.receive_offer(OFFER, False), call.ids)
    assert stream(sent).protocol == "RTP/SAVP"
    offered = lines(sent)
    assert [(line.tag, line.suite) for line in offered] == list(enumerate(SRTP.suites, 1))
    assert len({line.keys.master for line in offered if line.keys}) == call.ids.count == len(SRTP.suites)
    assert all(len(value.split("inline:")[1]) % 4 == 0 for value in stream(sent).all("crypto"))
    back = call.a.make_answer(call.b.receive_answer(answer_to(sent, CM32, KEY_B)), call.ids)
    assert (stream(back).protocol, stream(back).all("crypto")) == ("RTP/AVP", [])
    _, b = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert b.receive_keys == Keys(CM32, KEYS_B.master)
    assert b.send_keys == offered[1].keys


def test_SRTP_05_our_order_of_suites_picks_the_line() -> None:
    call = Call(MediaRules(SRTP.codecs, "required", (Suite.AEAD_AES_256_GCM, CM32, CM80)))
    _, back = call.exchange(SECURE_OFFER, ANSWER)
    assert [(line.tag, line.suite) for line in lines(back)] == [(2, CM32)]


def test_SRTP_06_keys_stay_over_hold_and_resume_on_both_legs() -> None:
    call = Call(SRTP, SRTP)
    first = call.b.make_offer(call.a.receive_offer(SECURE_OFFER, True), call.ids)
    answer = answer_to(first, CM80, KEY_B)
    back = call.a.make_answer(call.b.receive_answer(answer), call.ids)
    before = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    spent = call.ids.count
    hold, held = call.exchange(SECURE_OFFER.replace(b"a=crypto:1", b"a=sendonly\r\na=crypto:1"), answer + b"a=recvonly\r\n")
    assert lines(hold) == lines(first)[:1], "only the suite in force is offered again, under its tag"
    assert lines(held) == lines(back)
    call.exchange(SECURE_OFFER, answer)
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=()) == before
    assert call.ids.count == spent


def test_SRTP_06_the_answerer_keeps_its_key_when_it_offers() -> None:
    call = Call(SRTP, SRTP)
    first = call.b.make_offer(call.a.receive_offer(SECURE_OFFER, True), call.ids)
    back = call.a.make_answer(call.b.receive_answer(answer_to(first, CM80, KEY_B)), call.ids)
    (ours,) = lines(back)
    from_b = body(*audio("8 101", crypto_line(1, CM80, KEY_B), port=50000, protocol="RTP/SAVP"), host=OTHER)
    to_a = call.a.make_offer(call.b.receive_offer(from_b, True), call.ids)
    assert ours.keys in [line.keys for line in lines(to_a)]
    to_b = call.b.make_answer(call.a.receive_answer(answer_to(to_a, CM80, KEY_A)), call.ids)
    a, b = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (a.send_keys, a.receive_keys) == (ours.keys, KEYS_A)
    assert [line.keys for line in lines(to_b)] == [lines(first)[0].keys] == [b.send_keys]


def test_SRTP_06_a_new_key_of_the_peer_gets_a_new_key_of_ours() -> None:
    call = Call(SRTP)
    _, before = call.exchange(SECURE_OFFER, ANSWER)
    rekeyed = body(*audio("8 101", crypto_line(1, CM80, KEY_B), protocol="RTP/SAVP"), version=2)
    _, after = call.exchange(rekeyed, ANSWER)
    assert lines(after)[0].keys != lines(before)[0].keys
    assert version(after) == 2
    a, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert (a.receive_keys, a.send_keys) == (KEYS_B, lines(after)[0].keys)


def test_SRTP_05_who_names_its_key_gets_one_with_a_name() -> None:
    call = Call(SRTP)
    offer = body(*audio("8 101", crypto_line(3) + "|2^31|1:4", protocol="RTP/SAVP"))
    _, back = call.exchange(offer, ANSWER)
    (line,) = stream(back).all("crypto")
    assert (line.split()[0], line.split("|")[1:]) == ("3", ["1:4"])
    a, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert a.receive_keys == Keys(CM80, KEYS_A.master, b"\0\0\0\1")
    assert a.send_keys == lines(back)[0].keys
    _, again = call.exchange(offer, ANSWER)
    assert lines(again) == lines(back), "hold and resume keep it"
    to_a = call.a.make_offer(None, call.ids)
    assert stream(to_a).all("crypto") == [line]
    call.a.rollback()
    call.a.rekey()
    (fresh,) = lines(call.a.make_offer(None, call.ids))
    assert fresh.keys is not None
    assert lines(back)[0].keys is not None
    assert fresh.keys.mki == b"\0\0\0\1"
    assert fresh.keys != lines(back)[0].keys


def test_SRTP_05_an_answer_may_name_its_key() -> None:
    call = Call(rules_b=SRTP)
    sent = call.b.make_offer(call.a.receive_offer(OFFER, False), call.ids)
    assert all("|" not in value for value in stream(sent).all("crypto")), "we ask nobody for it"
    call.a.make_answer(call.b.receive_answer(answer_to(sent, CM80, KEY_B + "|2^20|1:1")), call.ids)
    _, b = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    assert b.receive_keys == Keys(CM80, KEYS_B.master, b"\1")
    assert b.receive_keys is not None
    assert b.receive_keys.lifetime == 1 << 20
    assert b.send_keys in [each.keys for each in lines(sent)]


def test_SRTP_05_a_line_with_too_many_keys_is_passed_over() -> None:
    several = crypto_line(1) + "|0:4" + "".join(f";inline:{KEY_B}|{number}:4" for number in range(1, MOST_KEYS + 1))
    _, back = Call(SRTP).exchange(body(*audio("8 101", several, crypto_line(2, CM32, KEY_B), protocol="RTP/SAVP")), ANSWER)
    assert [(line.tag, line.suite) for line in lines(back)] == [(2, CM32)]
    with pytest.raises(NotAcceptableHere):
        leg(SRTP).receive_offer(body(*audio("8 101", several, protocol="RTP/SAVP")), True)


def test_SRTP_06_a_refused_rekeying_leaves_the_keys_in_force() -> None:
    call = Call(SRTP)
    call.exchange(SECURE_OFFER, ANSWER)
    before = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    rekeyed = body(*audio("8 101", crypto_line(1, CM80, KEY_B), protocol="RTP/SAVP"), version=2)
    call.b.make_offer(call.a.receive_offer(rekeyed, True), call.ids)
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=()) == before
    call.a.rollback()
    call.b.rollback()
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=()) == before


@pytest.mark.parametrize("echo", ["answer", "offer"])
def test_SRTP_05_our_own_key_sent_back_is_refused(echo: str) -> None:
    call = Call(rules_b=SRTP)
    sent = call.b.make_offer(call.a.receive_offer(OFFER, False), call.ids)
    keys = lines(sent)[0].keys
    assert keys is not None
    ours = base64.b64encode(keys.master).decode()
    if echo == "answer":
        with pytest.raises(NotAcceptableHere):
            call.b.receive_answer(answer_to(sent, CM80, ours))
        return
    call.a.make_answer(call.b.receive_answer(answer_to(sent, CM80, KEY_B)), call.ids)
    with pytest.raises(NotAcceptableHere):
        call.b.receive_offer(body(*audio("8 101", crypto_line(1, CM80, ours), protocol="RTP/SAVP")), True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda good: good.replace(b"a=crypto:1", b"a=crypto:2"),
        lambda good: good.replace(b"SHA1_80", b"SHA1_32"),
        lambda good: good.replace(b"a=crypto:1", b"a=ignored:1"),
        lambda good: good + b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + KEY_A.encode() + b"\r\n",
        lambda good: good.replace(KEY_B.encode(), KEY_B.encode() + b" UNENCRYPTED_SRTP"),
        lambda good: good.replace(KEY_B.encode(), KEY_B.encode() + b"|1:4;inline:" + KEY_B.encode() + b"|1:4"),
        lambda good: good.replace(KEY_B.encode(), KEY_B.encode()[:-4]),
        lambda good: good.replace(b"RTP/SAVP", b"RTP/AVP"),
    ],
    ids=["tag", "suite", "none", "two", "parameter", "two keys of one name", "short key", "protocol"],
)
def test_SRTP_05_answers_that_take_up_no_line_are_refused(wrong: object) -> None:
    call = Call(rules_b=SRTP)
    sent = call.b.make_offer(call.a.receive_offer(OFFER, False), call.ids)
    good = answer_to(sent, CM80, KEY_B)
    assert callable(wrong)
    with pytest.raises(NotAcceptableHere):
        call.b.receive_answer(wrong(good))
    call.b.receive_answer(good)


@pytest.mark.parametrize(
    ("rules", "offer", "secure", "warning"),
    [
        (SRTP, OFFER, True, "302"),
        (SRTP, SECURE_OFFER, False, "399"),
        (OPTIONAL, SECURE_OFFER, False, "399"),
        (MediaRules(SRTP.codecs), SECURE_OFFER, True, "302"),
        (SRTP, body(*audio("8 101", protocol="RTP/SAVP")), True, "399"),
        (SRTP, body(*audio("8 101", crypto_line(1), crypto_line(1, CM32, KEY_B), protocol="RTP/SAVP")), True, "399"),
        (SRTP, body(*audio("8 101", crypto_line(1) + " UNAUTHENTICATED_SRTP", protocol="RTP/SAVP")), True, "399"),
        (SRTP, body(*audio("8 101", crypto_line(1, "F8_128_HMAC_SHA1_80"), protocol="RTP/SAVP")), True, "399"),
        (SRTP, body(*audio("8 101", crypto_line(1), protocol="RTP/AVP")), True, "302"),
    ],
    ids=["plain", "no TLS", "optional, no TLS", "off", "no line", "tag twice", "weak", "suite", "AVP"],
)
def test_SRTP_05_SRTP_07_offers_below_the_rules_are_refused(rules: MediaRules, offer: bytes, secure: bool, warning: str) -> None:
    with pytest.raises(NotAcceptableHere) as caught:
        leg(rules).receive_offer(offer, secure)
    assert caught.value.headers[0][1].split()[0] == warning
    assert KEY_A not in repr(caught.value) + repr(caught.value.headers)


def test_SRTP_07_no_keys_leave_over_open_signalling() -> None:
    description = leg().receive_offer(OFFER, False)
    with pytest.raises(NotAcceptableHere):
        leg(SRTP).make_offer(description, CountingIds(), secure_hop=False)
    plain = leg(OPTIONAL).make_offer(description, CountingIds(), secure_hop=False)
    assert (stream(plain).protocol, stream(plain).all("crypto")) == ("RTP/AVP", [])
    assert stream(leg(OPTIONAL).make_offer(description, CountingIds())).protocol == "RTP/SAVP"


@pytest.mark.parametrize(
    ("stream_lines", "secure", "protocol", "encrypted"),
    [
        (audio("8 101"), True, "RTP/AVP", False),
        (audio("8 101", crypto_line(), protocol="RTP/SAVP"), True, "RTP/SAVP", True),
        (audio("8 101", crypto_line(), protocol="RTP/SAVPF"), True, "RTP/SAVPF", True),
        (audio("8 101", crypto_line()), True, "RTP/AVP", True),
        (audio("8 101", crypto_line()), False, "RTP/AVP", False),
        (audio("8 101", crypto_line(1, "F8_128_HMAC_SHA1_80")), True, "RTP/AVP", False),
    ],
    ids=["AVP", "SAVP", "SAVPF", "OSRTP", "OSRTP without TLS", "OSRTP without a suite of ours"],
)
def test_SDP_13_optional_answers_what_was_offered(stream_lines: tuple[str, ...], secure: bool, protocol: str, encrypted: bool) -> None:
    call = Call(OPTIONAL)
    offer = body(*stream_lines)
    _, back = call.exchange(offer, ANSWER, secure=secure)
    assert (stream(back).protocol, len(lines(back))) == (protocol, int(encrypted))
    assert check_answer(sdp(offer), sdp(back)) == []
    # Our own later offer stays with what is in use.
    again = call.a.make_offer(call.b.receive_offer(OFFER, False), call.ids)
    assert (stream(again).protocol, bool(lines(again))) == (protocol, encrypted)


def test_SDP_13_keys_in_a_plain_offer_mean_nothing_where_srtp_is_off() -> None:
    _, back = Call().exchange(body(*audio("8 101", crypto_line())), ANSWER)
    assert (stream(back).protocol, lines(back)) == ("RTP/AVP", [])


@pytest.mark.parametrize(("rules", "taken"), [(SRTP, 0), (OPTIONAL, 0), (MediaRules(SRTP.codecs), 1)])
def test_SDP_13_two_lines_one_encrypted(rules: MediaRules, taken: int) -> None:
    call = Call(rules)
    offer = body(*audio("8 101", crypto_line(), protocol="RTP/SAVP"), *audio("8 101"))
    _, back = call.exchange(offer, ANSWER)
    assert [bool(media.port) for media in sdp(back).media] == [index == taken for index in (0, 1)]
    assert check_answer(sdp(offer), sdp(back)) == []
    swapped = body(*audio("8 101"), *audio("8 101", crypto_line(), protocol="RTP/SAVP"))
    _, back = Call(rules).exchange(swapped, ANSWER)
    assert [bool(media.port) for media in sdp(back).media] == [index != taken for index in (0, 1)]


@pytest.mark.interpreted
def test_SRTP_07_keys_show_in_no_repr() -> None:
    call = Call(SRTP, SRTP)
    sent = call.b.make_offer(call.a.receive_offer(SECURE_OFFER, True), call.ids)
    description = call.b.receive_answer(answer_to(sent, CM80, KEY_B))
    call.a.make_answer(description, call.ids)
    values = (call.a, call.b, call.a.agreed, call.b.agreed, description, relay_sides(call.a, call.b, latch_a=(), latch_b=()))
    internals = [vars(call.a), vars(call.b)]
    text = repr(values) + str(values) + repr(internals) + "".join(map(str, values))
    masters = [line.keys.master for octets in (call.a.last_body, call.b.last_body) for line in lines(octets) if line.keys]
    masters += [KEYS_A.master, KEYS_B.master]
    assert len(masters) == 3 + len(SRTP.suites)
    for master in masters:
        assert base64.b64encode(master).decode() not in text
        assert repr(master)[2:-1] not in text
