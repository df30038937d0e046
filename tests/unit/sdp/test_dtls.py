"""DTLS-SRTP and ICE-lite in offers and answers, in both directions."""

from __future__ import annotations

import pytest

from media.api import Dtls, Ice, Role, SideSpec, Suite
from sbc.errors import NotAcceptableHere
from sbc.sdp.answer import Problem, check_answer
from sbc.sdp.offer import MediaRules
from sbc.sdp.sides import relay_sides
from tests.unit.sdp.bodies import (
    ANSWER,
    KEY_A,
    OFFER,
    OUR_A,
    OUR_B,
    PLAIN,
    Call,
    audio,
    body,
    crypto_line,
    leg,
    sdp,
    stream,
    vectors,
    version,
)
from tests.unit.sdp.bodies import SRTP as SDES

DTLS = MediaRules(PLAIN.codecs, "required", keying=("dtls",))
SDES_FIRST = MediaRules(PLAIN.codecs, "required", keying=("sdes", "dtls"))
DTLS_FIRST = MediaRules(PLAIN.codecs, "required", keying=("dtls", "sdes"))
OURS = "sha-256 " + ":".join(["0F"] * 32)
THEIRS = "sha-256 " + ":".join(["AB"] * 32)
OTHER = "sha-256 " + ":".join(["CD"] * 32)
PROTOCOL = "UDP/TLS/RTP/SAVP"
TLS_ID = "abcdefghijklmnopqrst"
UFRAG, PASSWORD = ("a=ice-ufrag:F7gI", "a=ice-pwd:x9cml/YzichV2+XlhiMu8g")
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.10 40000 typ host"
BROWSER: str = next(case["offer"] for case in vectors("sbc_offer_answer_cases.json")["sbc_cases"] if case["id"] == "webrtc-to-rtp")


def keyed(*lines: str, setup: str = "actpass", fingerprint: str = THEIRS, protocol: str = PROTOCOL, port: int = 40000) -> bytes:
    """A description with DTLS."""
    said = [f"a=fingerprint:{fingerprint}"] if fingerprint else []
    said += [f"a=setup:{setup}"] if setup else []
    return body(*audio("8 0 101", *said, *lines, protocol=protocol, port=port))


def call(a: MediaRules = DTLS, b: MediaRules = PLAIN) -> Call:
    made = Call(a, b)
    made.a.listen(OUR_A, fingerprint=OURS)
    made.b.listen(OUR_B, fingerprint=OURS)
    return made


def sides(made: Call) -> tuple[SideSpec, SideSpec]:
    return relay_sides(made.a, made.b, latch_a=(), latch_b=())


def dtls_of(made: Call) -> Dtls:
    side, _ = sides(made)
    assert side.dtls is not None
    assert (side.receive_keys, side.send_keys) == (None, None)
    return side.dtls


def refused(offer: bytes, rules: MediaRules = DTLS, secure: bool = True) -> str:
    made = leg(rules)
    made.listen(OUR_A, fingerprint=OURS)
    with pytest.raises(NotAcceptableHere) as caught:
        made.receive_offer(offer, secure)
    return str(caught.value)


@pytest.mark.parametrize(
    ("said", "answered", "ours"),
    [
        ("actpass", "passive", Role.PASSIVE),
        ("active", "passive", Role.PASSIVE),
        ("passive", "active", Role.ACTIVE),
        ("", "passive", Role.PASSIVE),
    ],
)
def test_DTLS_01_roles_of_an_answer(said: str, answered: str, ours: Role) -> None:
    made = call()
    sent, back = made.exchange(keyed(setup=said), ANSWER)
    assert (stream(sent).protocol, stream(sent).first("fingerprint"), stream(sent).first("setup")) == ("RTP/AVP", None, None)
    assert (stream(back).protocol, stream(back).first("fingerprint"), stream(back).first("setup")) == (PROTOCOL, OURS, answered)
    assert stream(back).first("tls-id") is None  # none was offered
    assert check_answer(sdp(keyed(setup=said)), sdp(back)) == []
    assert (dtls_of(made).role, dtls_of(made).fingerprints) == (ours, (THEIRS,))


@pytest.mark.parametrize("protocol", ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "RTP/SAVP", "RTP/SAVPF"])
def test_DTLS_01_the_protocols_peers_offer_it_by(protocol: str) -> None:
    made = call()
    _, back = made.exchange(keyed(protocol=protocol), ANSWER)
    assert (stream(back).protocol, stream(back).all("crypto")) == (protocol, [])
    assert dtls_of(made).role is Role.PASSIVE


def test_DTLS_01_the_protocol_may_gain_feedback_in_the_answer_to_ours_and_nothing_else() -> None:
    for protocol, taken in ((PROTOCOL, True), ("UDP/TLS/RTP/SAVPF", True), ("RTP/SAVPF", False), ("RTP/SAVP", False), ("RTP/AVPF", False)):
        made = call(PLAIN, DTLS)
        sent = made.b.make_offer(made.a.receive_offer(OFFER, False), made.ids)
        answer = keyed(setup="active", protocol=protocol)
        assert (Problem.PROTOCOL not in check_answer(sdp(sent), sdp(answer))) is taken
    assert check_answer(sdp(BROWSER.encode()), sdp(keyed(setup="active"))) == [Problem.PROTOCOL]


def test_DTLS_01_what_is_no_offer_of_ours_to_take() -> None:
    assert refused(keyed(fingerprint="")) == "no usable a=fingerprint line"
    assert refused(keyed(fingerprint="md5 " + ":".join(["AB"] * 16))) == "no usable a=fingerprint line"
    assert refused(keyed(fingerprint="sha-256 AB:CD")) == "no usable a=fingerprint line"
    assert refused(OFFER) == "RTP/SAVP expected"
    assert refused(body(*audio("8 101", crypto_line(), protocol="RTP/SAVP"))) == "no usable a=fingerprint line"
    made = call()
    made.a.receive_offer(keyed(setup="holdconn"), True)
    with pytest.raises(NotAcceptableHere):
        made.a.make_answer(leg().receive_offer(OFFER, True), made.ids)


def test_DTLS_01_rules_without_it_take_none() -> None:
    assert refused(keyed(), SDES) == "incompatible transport protocol"
    assert refused(keyed(), PLAIN) == "incompatible transport protocol"
    assert refused(keyed(protocol="RTP/SAVP"), SDES) == "no usable a=crypto line"


def test_DTLS_01_an_offer_of_ours() -> None:
    made = call(PLAIN, DTLS)
    sent = made.b.make_offer(made.a.receive_offer(OFFER, False), made.ids, secure_hop=False)
    line = stream(sent)
    assert (line.protocol, line.first("setup"), line.first("fingerprint"), line.first("rtcp-mux")) == (PROTOCOL, "actpass", OURS, "")
    assert len(line.first("tls-id") or "") >= 20
    assert line.all("crypto") == []


@pytest.mark.parametrize(("said", "ours"), [("active", Role.PASSIVE), ("passive", Role.ACTIVE), ("", Role.ACTIVE)])
def test_DTLS_01_roles_after_an_answer(said: str, ours: Role) -> None:
    made = call(PLAIN, DTLS)
    made.exchange(OFFER, keyed("a=rtcp-mux", setup=said, port=50000))
    _, side = sides(made)
    assert side.dtls is not None
    assert (side.dtls.role, side.dtls.fingerprints, side.rtcp_mux, side.ice) == (ours, (THEIRS,), True, None)


def test_DTLS_01_answers_that_do_not_fit() -> None:
    for answer in (
        keyed(setup="actpass"),
        keyed(setup="holdconn"),
        keyed(fingerprint="", setup="active"),
        keyed(fingerprint="md5 AB:CD", setup="active"),
    ):
        made = call(PLAIN, DTLS)
        made.b.make_offer(made.a.receive_offer(OFFER, True), made.ids)
        with pytest.raises(NotAcceptableHere):
            made.b.receive_answer(answer)


def test_DTLS_02_all_fingerprints_of_either_level() -> None:
    made = call()
    offer = keyed(f"a=fingerprint:{OTHER.lower()}", "a=fingerprint:SHA-1 " + ":".join(["EF"] * 20))
    made.exchange(offer, ANSWER)
    assert dtls_of(made).fingerprints == (THEIRS, OTHER, "sha-1 " + ":".join(["EF"] * 20))
    made = call()
    offer = keyed(fingerprint="", setup="").replace(b"t=0 0\r\n", f"t=0 0\r\na=fingerprint:{OTHER}\r\na=setup:active\r\n".encode())
    made.exchange(offer, ANSWER)
    assert (dtls_of(made).fingerprints, dtls_of(made).role) == ((OTHER,), Role.PASSIVE)


def test_DTLS_03_the_suites_of_the_rules_decide() -> None:
    rules = MediaRules(PLAIN.codecs, "required", (Suite.AEAD_AES_128_GCM,), keying=("dtls",))
    made = call(rules)
    made.exchange(keyed(), ANSWER)
    assert dtls_of(made).suites == (Suite.AEAD_AES_128_GCM,)


def test_DTLS_05_a_re_offer_keeps_the_association() -> None:
    made = call()
    _, first = made.exchange(keyed(f"a=tls-id:{TLS_ID}", setup="passive"), ANSWER)
    before = dtls_of(made)
    _, back = made.exchange(keyed(f"a=tls-id:{TLS_ID}", "a=sendonly", setup="actpass"), ANSWER + b"a=recvonly\r\n")
    assert dtls_of(made) == before
    assert stream(back).first("setup") == "active"  # the role it has (RFC 8842 s5.5)
    assert stream(back).first("tls-id") == stream(first).first("tls-id")


@pytest.mark.parametrize("change", [{"fingerprint": OTHER}, {"tls_id": TLS_ID[::-1]}])
def test_DTLS_05_a_new_association(change: dict[str, str]) -> None:
    made = call()
    _, first = made.exchange(keyed(f"a=tls-id:{TLS_ID}", setup="passive"), ANSWER)
    before = dtls_of(made)
    _, back = made.exchange(keyed(f"a=tls-id:{change.get('tls_id', TLS_ID)}", fingerprint=change.get("fingerprint", THEIRS)), ANSWER)
    assert dtls_of(made) != before
    assert stream(back).first("setup") == "passive"
    assert stream(back).first("tls-id") not in (None, stream(first).first("tls-id"))


def test_DTLS_05_our_re_offer_keeps_it_and_leaves_the_role_open() -> None:
    made = call()
    _, first = made.exchange(keyed(f"a=tls-id:{TLS_ID}"), ANSWER)
    before = dtls_of(made)
    sent, _ = made.exchange(
        body(*audio("8 101", "a=sendonly", port=50000)), keyed(f"a=tls-id:{TLS_ID}", "a=recvonly", setup="active"), caller="b"
    )
    assert (stream(sent).first("setup"), stream(sent).first("tls-id")) == (
        "actpass",
        stream(first).first("tls-id") or stream(sent).first("tls-id"),
    )
    assert stream(sent).first("ice-ufrag") is None
    assert dtls_of(made) == before


def test_DTLS_01_the_order_of_the_rules() -> None:
    both = keyed(crypto_line(), protocol="RTP/SAVP")
    for rules, dtls in ((DTLS_FIRST, True), (SDES_FIRST, False)):
        made = call(rules)
        _, back = made.exchange(both, ANSWER)
        side, _ = sides(made)
        assert ((side.dtls is not None), (side.send_keys is not None)) == (dtls, not dtls)
        assert bool(stream(back).all("crypto")) is not dtls
        made = call(PLAIN, rules)
        sent = made.b.make_offer(made.a.receive_offer(OFFER, False), made.ids)
        assert stream(sent).protocol == (PROTOCOL if dtls else "RTP/SAVP")


def test_DTLS_01_over_open_signalling_there_is_no_SDES() -> None:
    made = call(SDES_FIRST)
    description = made.a.receive_offer(keyed(crypto_line(), protocol="RTP/SAVP"), False)
    assert description.keyed == "dtls"
    made = call(PLAIN, SDES_FIRST)
    sent = made.b.make_offer(made.a.receive_offer(OFFER, False), made.ids, secure_hop=False)
    assert stream(sent).protocol == PROTOCOL
    assert (
        refused(body(*audio("8 101", crypto_line(), protocol="RTP/SAVP")), SDES_FIRST, secure=False) == "SRTP keys need signalling over TLS"
    )


def test_DTLS_without_a_certificate_of_ours() -> None:
    made = Call(DTLS, PLAIN)
    made.a.receive_offer(keyed(), True)
    with pytest.raises(NotAcceptableHere):
        made.a.make_answer(leg().receive_offer(OFFER, True), made.ids)
    with pytest.raises(NotAcceptableHere):
        Call(PLAIN, DTLS).b.make_offer(None, made.ids)


def test_ICE_01_SDP_12_a_browser_calls() -> None:
    made = call()
    offer = BROWSER.encode()
    sent, back = made.exchange(offer, body(*audio("0 126", port=50000, event=126), host="198.51.100.20"))
    for name in ("candidate", "ice-ufrag", "ice-pwd", "fingerprint", "setup", "rtcp-mux", "extmap", "ssrc", "mid", "ice-options", "msid"):
        assert stream(sent).first(name) is None
    assert (stream(sent).protocol, sdp(sent).attributes, stream(sent).first("sendrecv")) == ("RTP/AVP", (), "")
    assert sdp(back).attributes == (("ice-lite", None), ("group", "BUNDLE 0"))
    line = stream(back)
    assert (line.protocol, line.port, line.first("mid"), line.first("rtcp-mux")) == ("UDP/TLS/RTP/SAVPF", OUR_A[1], "0", "")
    assert line.all("candidate") == [f"1 1 UDP 2130706431 {OUR_A[0]} {OUR_A[1]} typ host"]
    assert line.first("end-of-candidates") == ""
    assert len(line.first("ice-ufrag") or "") >= 4
    assert len(line.first("ice-pwd") or "") >= 22
    for name in ("extmap", "ssrc", "msid", "ice-options", "rtcp-fb"):
        assert line.first(name) is None
    assert check_answer(sdp(offer), sdp(back)) == []
    side, _ = sides(made)
    assert side.ice == Ice(f"{line.first('ice-ufrag')}:F7gI", line.first("ice-pwd") or "")
    assert (side.remote, side.rtcp_mux, side.send) == (None, True, True)  # port 9 and 0.0.0.0 are no hold


def test_SDP_12_other_streams_of_a_bundle_are_refused() -> None:
    made = call()
    offer = (
        BROWSER.replace("BUNDLE 0", "BUNDLE 0 1")
        + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\n"
    )
    _, back = made.exchange(offer.encode(), body(*audio("0", port=50000)))
    assert [(media.kind, bool(media.port), media.first("mid")) for media in sdp(back).media] == [
        ("audio", True, "0"),
        ("video", False, "1"),
    ]
    assert sdp(back).first("group") == "BUNDLE 0"


def test_SDP_12_nothing_of_it_without_DTLS_in_the_rules() -> None:
    made = Call()
    offer = body(*audio("8 101", "a=mid:0", UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux")).replace(
        b"t=0 0\r\n", b"t=0 0\r\na=group:BUNDLE 0\r\n"
    )
    _, back = made.exchange(offer, ANSWER)
    assert sdp(back).attributes == ()
    assert [name for name, _ in stream(back).attributes if name in ("mid", "ice-ufrag", "candidate")] == []
    assert sides(made)[0].remote == ("192.0.2.10", 40000)


def test_ICE_01_an_offer_to_a_browser() -> None:
    made = call(PLAIN, DTLS)
    sent, _ = made.exchange(OFFER, keyed("a=rtcp-mux", UFRAG, PASSWORD, setup="active", port=9))
    assert (sdp(sent).first("ice-lite"), stream(sent).first("end-of-candidates"), stream(sent).first("rtcp-mux")) == ("", "", "")
    _, side = sides(made)
    assert side.ice == Ice(f"{stream(sent).first('ice-ufrag')}:F7gI", stream(sent).first("ice-pwd") or "")
    assert side.remote is None


@pytest.mark.parametrize("why", ["no mux", "mismatch", "lite", "short password", "said so", "no candidate"])
def test_ICE_03_ICE_07_peers_it_is_not_for(why: str) -> None:
    """They are talked to as if they had never heard of it."""
    lines = [
        UFRAG,
        "a=ice-pwd:short" if why == "short password" else PASSWORD,
        *(["a=candidate:1 1 udp 2130706431 10.9.9.9 54400 typ host"] if why == "mismatch" else []),
        *([CANDIDATE] if why not in ("mismatch", "no candidate") else []),
        *(["a=rtcp-mux"] if why != "no mux" else []),
        *(["a=ice-mismatch"] if why == "said so" else []),
    ]
    offer = keyed(*lines)
    if why == "lite":
        offer = offer.replace(b"t=0 0\r\n", b"t=0 0\r\na=ice-lite\r\n")
    made = call()
    _, back = made.exchange(offer, ANSWER)
    assert (sdp(back).first("ice-lite"), stream(back).first("ice-ufrag")) == (None, None)
    side, _ = sides(made)
    assert (side.ice, side.remote) == (None, ("192.0.2.10", 40000))


def test_ICE_01_the_default_destination_among_the_candidates() -> None:
    made = call()
    _, back = made.exchange(keyed(UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux"), ANSWER)
    assert stream(back).first("ice-ufrag") is not None


def test_ICE_04_a_restart_gets_new_credentials_and_keeps_the_keys() -> None:
    made = call()
    _, first = made.exchange(keyed(UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux"), ANSWER)
    before = dtls_of(made)
    _, same = made.exchange(keyed(UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux"), ANSWER)
    assert (stream(same).first("ice-pwd"), version(same)) == (stream(first).first("ice-pwd"), version(first))
    restart = keyed("a=ice-ufrag:new1", PASSWORD, "a=rtcp-mux", port=9).replace(b"IP4 192.0.2.10\r\nt", b"IP4 0.0.0.0\r\nt")
    _, back = made.exchange(restart, ANSWER)
    assert stream(back).first("ice-ufrag") != stream(first).first("ice-ufrag")
    side, _ = sides(made)
    assert side.ice is not None
    assert side.ice.username == f"{stream(back).first('ice-ufrag')}:new1"
    assert (side.dtls, side.send) == (before, True)


def test_ICE_09_no_trickling_is_offered() -> None:
    made = call(PLAIN, DTLS)
    sent = made.b.make_offer(made.a.receive_offer(OFFER, False), made.ids)
    assert b"trickle" not in sent


def test_ICE_the_rules_may_have_it_with_SDES_too() -> None:
    made = call(SDES_FIRST)
    offer = body(*audio("8 101", crypto_line(key=KEY_A), UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux", protocol="RTP/SAVP"))
    _, back = made.exchange(offer, ANSWER)
    side, _ = sides(made)
    assert (side.ice is not None, side.send_keys is not None, side.dtls) == (True, True, None)
    assert stream(back).first("fingerprint") is None


def test_both_sides_by_DTLS() -> None:
    made = call(DTLS, DTLS)
    made.exchange(keyed(), keyed(setup="active", fingerprint=OTHER, port=50000))
    a, b = sides(made)
    assert a.dtls is not None
    assert b.dtls is not None
    assert (a.dtls.fingerprints, b.dtls.fingerprints) == ((THEIRS,), (OTHER,))


def test_the_ice_password_is_in_no_repr() -> None:
    made = call()
    _, back = made.exchange(keyed(UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux"), ANSWER)
    password = stream(back).first("ice-pwd") or "?"
    assert password not in f"{made.a!r} {made.a.agreed!r} {sides(made)!r} {made.a._state!r}"


def test_DTLS_05_ICE_04_another_relay_is_another_association() -> None:
    made = call()
    made.exchange(keyed(f"a=tls-id:{TLS_ID}", UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux"), ANSWER)
    before = dtls_of(made)
    first = stream(made.a.last_body)
    made.a.listen((OUR_A[0], OUR_A[1] + 2), fingerprint=OURS)
    offer = stream(made.a.make_offer(leg().receive_offer(OFFER, False), made.ids))
    for name in ("tls-id", "ice-ufrag", "ice-pwd"):
        assert offer.first(name) not in (None, first.first(name))
    made.a.receive_answer(keyed(f"a=tls-id:{TLS_ID}", UFRAG, PASSWORD, CANDIDATE, "a=rtcp-mux", setup="active"))
    assert dtls_of(made).association != before.association
