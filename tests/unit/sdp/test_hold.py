"""Hold in all its dialects, and the way back from each."""

from __future__ import annotations

import pytest

from sbc.errors import NotAcceptableHere
from sbc.sdp.answer import check_answer
from sbc.sdp.offer import MediaRules
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import ANSWER, OFFER, Call, audio, body, crypto_line, sdp, stream, version

OTHER = "198.51.100.20"
RULES = MediaRules(("PCMA", "PCMU", "telephone-event"), silence=60.0)
SPEECH = body(*audio("8 101"))


def _offer(change: str) -> bytes:
    """The offer again with the next version, and one text in place of another."""
    old, _, new = change.encode().partition(b" => ")
    return SPEECH.replace(b" 1 IN", b" 2 IN").replace(old, new)


HOLDS = {
    "sendonly": _offer("a=rtpmap => a=sendonly\r\na=rtpmap"),
    "inactive": _offer("a=rtpmap => a=inactive\r\na=rtpmap"),
    "sendonly of the session": _offer("t=0 0 => t=0 0\r\na=sendonly"),
    "inactive of the session": _offer("t=0 0 => t=0 0\r\na=inactive"),
    "0.0.0.0 of the session": _offer("c=IN IP4 192.0.2.10 => c=IN IP4 0.0.0.0"),
    "0.0.0.0 of the stream": _offer("a=rtpmap => c=IN IP4 0.0.0.0\r\na=rtpmap"),
    "0.0.0.0 and recvonly": _offer("a=rtpmap => c=IN IP4 0.0.0.0\r\na=recvonly\r\na=rtpmap"),
    "::": _offer("c=IN IP4 192.0.2.10 => c=IN IP6 ::"),
    "port 0": _offer("m=audio 40000 => m=audio 0"),
    "port 0 and no format of ours": body("m=audio 0 RTP/AVP 99", version=2),
}
ASKED = {  # what the other side is asked, as the holder sees it
    "inactive": "inactive",
    "inactive of the session": "inactive",
    "0.0.0.0 and recvonly": "inactive",
    "port 0": "inactive",
    "port 0 and no format of ours": "inactive",
}
ANSWERS = {"sendonly": "recvonly", "inactive": "inactive"}


def answer(direction: str) -> bytes:
    return body(*audio("8 101", f"a={direction}", port=50000), host=OTHER, version=2)


def held(call: Call, hold: str, caller: str = "a") -> tuple[bytes, bytes]:
    asked = ASKED.get(hold, "sendonly")
    return call.exchange(HOLDS[hold], answer(ANSWERS[asked]), caller=caller)


@pytest.mark.parametrize("caller", ["a", "b"])
@pytest.mark.parametrize("hold", HOLDS)
def test_SDP_05_a_hold_crosses_and_ends(hold: str, caller: str) -> None:
    call = Call(RULES, RULES)
    first = call.exchange(SPEECH, ANSWER, caller=caller)
    before = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    sent, back = held(call, hold, caller)
    asked = ASKED.get(hold, "sendonly")
    assert sdp(sent).direction(stream(sent)) == asked
    assert stream(sent).port, "whatever the dialect, the other side is asked in the modern one"
    assert check_answer(sdp(HOLDS[hold]), sdp(back)) == []
    assert bool(stream(back).port) is ("port 0" not in hold)
    sides = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    holder, other = sides if caller == "a" else sides[::-1]
    assert holder.send is False, "nothing is sent to who holds"
    assert other.send is (asked == "sendonly"), "music on hold"
    assert (holder.silence is None, other.silence is None) == (asked == "inactive", True)
    again = call.exchange(SPEECH.replace(b" 1 IN", b" 3 IN"), ANSWER, caller=caller)
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=()) == before
    for resumed, was in zip(again, first, strict=True):
        assert (version(resumed), sdp(resumed).media) == (3, sdp(was).media)


def test_SDP_05_hold_of_both_in_turn() -> None:
    call = Call(RULES, RULES)
    call.exchange(SPEECH, ANSWER)
    call.exchange(HOLDS["sendonly"], answer("recvonly"))
    # The other presses hold as well, as one who is held may: recvonly becomes inactive.
    sent, back = call.exchange(answer("inactive"), body(*audio("8 101", "a=inactive"), version=3), caller="b")
    assert (sdp(sent).direction(stream(sent)), sdp(back).direction(stream(back))) == ("inactive", "inactive")
    assert [side.send for side in relay_sides(call.a, call.b, latch_a=(), latch_b=())] == [False, False]
    # The first lets go, the other does not: it hears the first, who hears music.
    sent, back = call.exchange(SPEECH, answer("sendonly"))
    assert sdp(back).direction(stream(back)) == "sendonly"
    assert [side.send for side in relay_sides(call.a, call.b, latch_a=(), latch_b=())] == [True, False]


def test_SDP_02_both_hold_at_once() -> None:
    """`sendonly` answered by `sendonly`: against RFC 3264 s6.1, and meant as nobody hearing anybody."""
    call = Call(RULES, RULES)
    call.exchange(SPEECH, ANSWER)
    _, back = call.exchange(HOLDS["sendonly"], answer("sendonly"))
    assert sdp(back).direction(stream(back)) == "inactive"
    assert [side.send for side in relay_sides(call.a, call.b, latch_a=(), latch_b=())] == [False, False]


@pytest.mark.parametrize("hold", ["sendonly", "0.0.0.0 of the session", "port 0"])
def test_SDP_05_keys_outlive_a_hold(hold: str) -> None:
    """Else the roll-over counter would begin anew under the same key."""
    secure = body(*audio("8 101", crypto_line(), protocol="RTP/SAVP"))
    call = Call(MediaRules(RULES.codecs, "required"), RULES)
    call.exchange(secure, ANSWER)
    before, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    asked = HOLDS[hold].replace(b"RTP/AVP 8 101\r\n", b"RTP/SAVP 8 101\r\n" + crypto_line().encode() + b"\r\n")
    call.exchange(asked, answer(ANSWERS[ASKED.get(hold, "sendonly")]))
    during, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    call.exchange(secure, ANSWER)
    after, _ = relay_sides(call.a, call.b, latch_a=(), latch_b=())
    keys = {(side.receive_keys, side.send_keys) for side in (before, during, after)}
    assert len(keys) == 1
    assert None not in keys.pop()


def test_TRAP_13_the_default_address_of_ice_is_no_hold() -> None:
    call = Call(RULES, RULES)
    offer = body(*audio("8 101", "a=ice-ufrag:F7gI", "a=ice-pwd:x9cml/YzichV2+XlhiMu8g", port=9), host="0.0.0.0")
    sent, _ = call.exchange(offer, ANSWER)
    assert sdp(sent).direction(stream(sent)) == "sendrecv"
    assert relay_sides(call.a, call.b, latch_a=(), latch_b=())[0].send is True


def test_a_first_offer_without_a_living_stream_is_refused() -> None:
    for offer in (HOLDS["port 0"], OFFER.partition(b"m=")[0]):
        with pytest.raises(NotAcceptableHere):
            Call(RULES, RULES).a.receive_offer(offer, True)


def test_SDP_05_after_port_0_the_other_side_may_ask_for_the_stream_again() -> None:
    call = Call(RULES, RULES)
    call.exchange(SPEECH, ANSWER)
    held(call, "port 0")
    sent, back = call.exchange(ANSWER.replace(b" 1 IN", b" 3 IN"), SPEECH.replace(b" 1 IN", b" 3 IN"), caller="b")
    assert (stream(sent).port, sdp(sent).direction(stream(sent))) == (20000, "sendrecv")
    assert sdp(back).direction(stream(back)) == "sendrecv"
    assert [side.send for side in relay_sides(call.a, call.b, latch_a=(), latch_b=())] == [True, True]
