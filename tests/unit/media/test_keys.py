from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from media import keys as libsrtp
from media.api import Keys, MediaError, Suite
from media.keys import MAX_SOURCES, REPLAY_WINDOW, AuthenticationFailed, Replayed, Unusable
from media.native import keys as native
from media.rtp import MAX_PACKET
from sbc.frozen import replace
from tests.unit.media import oracle
from tests.unit.media.packets import keys, rtcp, rtp

ENGINES: dict[str, Any] = {"libsrtp": libsrtp, "native": native}
VECTORS = Path(__file__).parents[2] / "vectors/srtp"


def vectors(name: str, part: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())[part]
    return cases


def with_engines(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """Each case with each engine that has its suite."""
    pairs = [(name, case) for name, engine in ENGINES.items() for case in cases if case["suite"] in engine.SUITES]
    names = [f"{name} {case['suite']} {case.get('kind', '')}".strip() for name, case in pairs]
    return pytest.mark.parametrize(("engine", "case"), [(ENGINES[name], case) for name, case in pairs], ids=names)


EVERY_SUITE = with_engines([{"suite": suite} for suite in Suite])


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    return ENGINES[request.param]


GENERATED = [each for each in vectors("generated_packets.json", "suites") if each["suite"] in list(Suite)]
LIBSRTP = [
    each
    for each in vectors("libsrtp_packets.json", "cases")
    if each["suite"] in list(Suite) and not each.keys() & {"rfc6904_encrypted_ext_ids"}
]
RFC_7714 = [each for each in vectors("rfc7714_gcm.json", "cases") if each["suite"] in list(Suite) and each["kind"].endswith("_encrypt")]


def keys_of(case: dict[str, Any]) -> Keys:
    mki = bytes.fromhex(case.get("mki") or "")
    return Keys(Suite(case["suite"]), bytes.fromhex(case["master_key"] + case["master_salt"]), mki)


def test_every_suite_has_vectors() -> None:
    assert {each["suite"] for each in GENERATED} == set(Suite)
    assert LIBSRTP
    assert {each["suite"] for each in RFC_7714} == {Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM}


@with_engines(GENERATED)
def test_SRTP_01_SRTP_02_SRTP_03_generated_packets(engine: Any, case: dict[str, Any]) -> None:
    inbound, outbound = engine.Inbound(keys_of(case)), engine.Outbound(keys_of(case))
    for each in case["srtp"]:  # across the roll-over: ROC 0, then 1
        plain, protected = bytes.fromhex(each["plain_packet"]), bytes.fromhex(each["protected_packet"])
        assert inbound.rtp(protected) == plain
        assert outbound.rtp(plain) == protected
    for each in case["srtcp"]:
        plain, protected = bytes.fromhex(each["plain_packet"]), bytes.fromhex(each["protected_packet"])
        assert inbound.rtcp(protected) == plain
        assert outbound.rtcp(plain) == protected


@with_engines(LIBSRTP)
def test_SRTP_01_SRTP_02_libsrtp_packets(engine: Any, case: dict[str, Any]) -> None:
    plain, protected = bytes.fromhex(case["plain_packet"]), bytes.fromhex(case["protected_packet"])
    inbound, outbound = engine.Inbound(keys_of(case)), engine.Outbound(keys_of(case))
    if case["kind"] == "srtp":
        assert inbound.rtp(protected) == plain
        assert outbound.rtp(plain) == protected
    else:
        assert inbound.rtcp(protected) == plain
        assert case["srtcp_index"] != 1 or outbound.rtcp(plain) == protected


@pytest.mark.parametrize("case", RFC_7714, ids=lambda case: f"{case['suite']} {case['kind']}")
def test_SRTP_03_the_oracle_agrees_with_rfc_7714(case: dict[str, Any]) -> None:
    """These vectors begin at the session keys, which libsrtp does not take: they prove the oracle, the oracle the engine."""
    key, salt = bytes.fromhex(case["session_key"]), bytes.fromhex(case["session_salt"])
    plain = bytes.fromhex(case["plain_packet"])
    if case["kind"] == "srtp_encrypt":
        sealed = oracle.gcm_rtp(key, salt, case["roc"], plain, 12)
    else:
        sealed = oracle.gcm_rtcp(key, salt, case["srtcp_index"], plain)
    assert sealed.hex() == case["protected_packet"]


def test_SRTP_01_the_oracle_derives_keys_as_rfc_3711() -> None:
    case = vectors("kdf_keystream.json", "key_derivation")[0]
    key, salt = bytes.fromhex(case["master_key"]), bytes.fromhex(case["master_salt"])
    assert oracle.derive(key, salt, 0, 16).hex() == case["cipher_key"]
    assert oracle.derive(key, salt, 1, len(case["auth_key"]) // 2).hex() == case["auth_key"]
    assert oracle.derive(key, salt, 2, 14).hex() == case["cipher_salt"]


@EVERY_SUITE
def test_SRTP_04_against_the_oracle(engine: Any, case: dict[str, Any]) -> None:
    suite = Suite(case["suite"])
    inbound, outbound = engine.Inbound(keys(5, suite)), engine.Outbound(keys(5, suite))
    for index in range(65530, 65545):
        expected = oracle.protect_rtp(keys(5, suite), index >> 16, rtp(index))
        assert outbound.rtp(rtp(index)) == expected
        assert inbound.rtp(expected) == rtp(index)
    for index in range(1, 4):
        expected = oracle.protect_rtcp(keys(5, suite), index, rtcp())
        assert outbound.rtcp(rtcp()) == expected
        assert inbound.rtcp(expected) == rtcp()


def test_unencrypted_srtcp_is_refused(engine: Any) -> None:
    sealed = bytearray(engine.Outbound(keys(1)).rtcp(rtcp()))
    sealed[-14] &= 0x7F  # the E bit
    with pytest.raises((AuthenticationFailed, Unusable)):
        engine.Inbound(keys(1)).rtcp(bytes(sealed))


@pytest.mark.parametrize("suite", [Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM])
def test_SRTP_03_authentic_srtcp_in_the_clear_is_refused(engine: Any, suite: Suite) -> None:
    """RFC 7714 s9.3 has it; nobody agreed on it (RFC 4568 s6.3.2)."""
    key, salt = oracle.split(keys(1, suite))
    clear = oracle.gcm_rtcp_in_the_clear(oracle.derive(key, salt, 3, len(key)), oracle.derive(key, salt, 5, 12), 1, rtcp())
    with pytest.raises(Unusable):
        engine.Inbound(keys(1, suite)).rtcp(clear)


@EVERY_SUITE
def test_one_changed_bit_is_one_failure(engine: Any, case: dict[str, Any]) -> None:
    suite = Suite(case["suite"])
    sealed = engine.Outbound(keys(1, suite)).rtp(rtp(1))
    inbound = engine.Inbound(keys(1, suite))
    for place in range(12, len(sealed)):
        with pytest.raises(AuthenticationFailed):
            inbound.rtp(sealed[:place] + bytes((sealed[place] ^ 1,)) + sealed[place + 1 :])
    assert inbound.rtp(sealed) == rtp(1)


def test_SRTP_04_the_window_is_as_wide_as_stated(engine: Any) -> None:
    outbound, inbound = engine.Outbound(keys(1)), engine.Inbound(keys(1))
    packets = [outbound.rtp(rtp(sequence)) for sequence in range(REPLAY_WINDOW + 1)]
    inbound.rtp(packets[-1])
    assert inbound.rtp(packets[1]) == rtp(1)
    with pytest.raises(Replayed):
        inbound.rtp(packets[0])
    with pytest.raises(Replayed):
        inbound.rtp(packets[1])


def test_no_sequence_number_is_protected_twice(engine: Any) -> None:
    outbound = engine.Outbound(keys(1))
    outbound.rtp(rtp(1))
    with pytest.raises(Replayed):
        outbound.rtp(rtp(1, payload=b"different"))


def test_sources_are_bounded_and_strangers_do_not_count(engine: Any) -> None:
    inbound = engine.Inbound(keys(1))
    for ssrc in range(2 * MAX_SOURCES):
        with pytest.raises(AuthenticationFailed):
            inbound.rtp(engine.Outbound(keys(2)).rtp(rtp(1, ssrc=ssrc)))
    peer = [engine.Outbound(keys(1)) for _ in range(2)]
    for ssrc in range(MAX_SOURCES):
        assert inbound.rtp(peer[0].rtp(rtp(1, ssrc=ssrc))) == rtp(1, ssrc=ssrc)
    with pytest.raises(Unusable):
        inbound.rtp(peer[1].rtp(rtp(1, ssrc=MAX_SOURCES)))
    with pytest.raises(Unusable):
        peer[0].rtp(rtp(1, ssrc=MAX_SOURCES))
    assert inbound.rtp(peer[0].rtp(rtp(2, ssrc=0))) == rtp(2, ssrc=0)


def test_only_the_last_key_is_kept_beside_the_new_one() -> None:
    first = libsrtp.Inbound(keys(1))
    second = libsrtp.Inbound(keys(2), first)
    third = libsrtp.Inbound(keys(3), second)
    with pytest.raises(AuthenticationFailed):
        third.rtp(libsrtp.Outbound(keys(1)).rtp(rtp(1)))
    assert third.rtcp(libsrtp.Outbound(keys(2)).rtcp(rtcp())) == rtcp()
    assert third.rtcp(libsrtp.Outbound(keys(3)).rtcp(rtcp())) == rtcp()
    with pytest.raises(AuthenticationFailed):
        third.rtp(libsrtp.Outbound(keys(2)).rtp(rtp(1)))


@EVERY_SUITE
@pytest.mark.parametrize("mki", [b"\1", b"\0\0\0\7", bytes(range(128))])
def test_SRTP_05_keys_with_a_name(engine: Any, case: dict[str, Any], mki: bytes) -> None:
    named = replace(keys(1, Suite(case["suite"])), mki=mki)
    inbound, outbound = engine.Inbound(named), engine.Outbound(named)
    for sequence in (65534, 65535, 65536):
        packet = oracle.named(named, oracle.protect_rtp(named, sequence >> 16, rtp(sequence)))
        assert outbound.rtp(rtp(sequence)) == packet
        assert inbound.rtp(packet) == rtp(sequence)
        with pytest.raises(Replayed):
            inbound.rtp(packet)
    packet = oracle.named(named, oracle.protect_rtcp(named, 1, rtcp()), is_rtcp=True)
    assert outbound.rtcp(rtcp()) == packet
    assert inbound.rtcp(packet) == rtcp()


@EVERY_SUITE
def test_SRTP_05_packets_of_another_name_or_none(engine: Any, case: dict[str, Any]) -> None:
    plain = keys(1, Suite(case["suite"]))
    ours, theirs = replace(plain, mki=b"\7\1"), replace(plain, mki=b"\7\2")
    inbound = engine.Inbound(ours)
    for other in (plain, theirs):
        sender = engine.Outbound(other)
        for packet, receive in ((sender.rtp(rtp(1)), inbound.rtp), (sender.rtcp(rtcp()), inbound.rtcp)):
            with pytest.raises(AuthenticationFailed):
                receive(packet)
    sender = engine.Outbound(ours)
    assert inbound.rtp(sender.rtp(rtp(1))) == rtp(1)
    assert inbound.rtcp(sender.rtcp(rtcp())) == rtcp()


@EVERY_SUITE
def test_SRTP_05_a_name_needs_room(engine: Any, case: dict[str, Any]) -> None:
    named = replace(keys(1, Suite(case["suite"])), mki=bytes(128))
    inbound, outbound = engine.Inbound(named), engine.Outbound(named)
    for size in (12, 20, 139):
        with pytest.raises(Unusable):
            inbound.rtp(rtp(1)[:12] + bytes(size - 12))
    with pytest.raises(Unusable):
        inbound.rtcp(rtcp()[:8] + bytes(120))
    room = MAX_PACKET - len(outbound.rtp(rtp(1, payload=b"")))
    with pytest.raises(Unusable):
        outbound.rtp(rtp(2, payload=bytes(room + 1)))
    assert inbound.rtp(outbound.rtp(rtp(2))) == rtp(2), "a refusal has used nothing up"


def test_SRTP_07_secrets_stay_secret(engine: Any) -> None:
    secret = keys(1)
    for each in (secret, engine.Inbound(secret), engine.Outbound(secret)):
        assert secret.master.hex() not in repr(each)
        assert "master" not in repr(each)
    with pytest.raises(MediaError) as short:
        Keys(Suite.AES_CM_128_HMAC_SHA1_80, b"not long enough")
    assert "enough" not in str(short.value)
