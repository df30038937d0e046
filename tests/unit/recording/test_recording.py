"""Recordings as files: what must not be in them, what they are read from, and that nobody can make us run anything by one."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from copy import copy
from enum import Enum
from functools import lru_cache
from random import Random
from types import UnionType
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.api import Keys, Suite
from sbc.effects import Recorded, UpdateRelay
from sbc.flow import Flow
from sbc.recording.files import name_of
from sbc.recording.plain import Plain
from sbc.recording.reading import CLASSES, KINDS, Unreadable, flow_of, read
from sbc.recording.recording import as_read, decode, decode_policy
from sbc.recording.replay import first_difference, play, play_under
from sbc.recording.secrets import Secrets, holds_any
from tests.scenarios.test_registration import call_as_alice, registered
from tests.world import POLICY, World, connect, sdp, snapshot_of

KEY = base64.b64encode(bytes(range(30))).decode()


def a_call(policy: str = POLICY) -> World:
    world = World(policy)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "BYE"))
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.after(5)
    return world


@lru_cache
def sample() -> Recorded:
    (recording,) = a_call().recordings
    return recording


def test_REG_07_SRTP_07_no_key_and_no_digest_is_in_a_file_and_it_replays_all_the_same() -> None:
    world = World()
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    alice = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    registered(alice)
    offer = sdp(alice.host, 40000, extra=f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31\r\n").replace(b"RTP/AVP", b"RTP/SAVP")
    invite = call_as_alice(alice, offer=offer)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp(carrier.host, 50000))
    secrets = {KEY.encode(), bytes(range(30))}
    for a, b in world.updates:
        secrets |= {keys.master for side in (a, b) for keys in (side.receive_keys, side.send_keys) if keys is not None}
    assert len(secrets) == 3, "theirs, in both spellings, and ours"
    (digest,) = re.findall(r'response="([0-9a-f]+)"', invite.headers.first("Authorization") or "")
    world.shut_down()
    world.after(60)
    (recording,) = world.recordings
    files = recording.encode() + b"".join(recording.policy(name) for name in recording.digests())
    for secret in secrets:
        assert secret not in files
        assert base64.b64encode(secret) not in files
        assert json.dumps(secret.decode("latin-1")).encode()[1:-1] not in files
    assert digest.encode() not in files
    assert b"wonderland" not in files
    replaced = re.findall(rb"inline:([^|\r]+)", files)
    assert len(replaced) >= 2
    assert {len(base64.b64decode(key)) for key in replaced} == {30}
    world.expect_replayable()


def test_the_same_key_is_replaced_by_the_same_in_one_file_and_by_another_in_the_next() -> None:
    one, other = Secrets(lambda size: b"1" * size), Secrets(lambda size: b"2" * size)
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 INLINE:{KEY}|2^31|1:4;inline:{KEY}|2^31|2:4\r\n".encode()
    octets = one.octets(line)
    expected = base64.b64encode(one.key(bytes(range(30))))
    assert octets == line.replace(KEY.encode(), expected)
    assert other.octets(line) != octets
    plain = as_read(Keys(Suite.AES_CM_128_HMAC_SHA1_80, bytes(range(30))), Plain(one))
    assert plain["master"].encode("latin-1") == one.key(bytes(range(30)))


def test_of_several_keys_each_is_replaced_and_read_again() -> None:
    secrets, master = Secrets(lambda size: b"1" * size), bytes(range(30))
    other = Keys(Suite.AES_CM_128_HMAC_SHA1_80, master[::-1], b"\2", 9)
    plain = as_read(Keys(Suite.AES_CM_128_HMAC_SHA1_80, master, b"\1", None, (other,)), Plain(secrets))
    keys = read(plain, lambda name: pytest.fail(name))
    assert [each.master for each in (keys, *keys.more)] == [secrets.key(master), secrets.key(other.master)]
    assert (keys.mki, keys.more[0].mki, keys.more[0].lifetime) == (b"\1", b"\2", 9)


@pytest.mark.parametrize("key", ["A", "AAAAA", "A" * 200, "AA==", KEY[:-1]])
def test_what_is_no_key_stays_none_and_as_long(key: str) -> None:
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n".encode()
    assert len(Secrets(lambda size: b"1" * size).octets(line)) == len(line)


@pytest.mark.parametrize(
    ("header", "blanked"),
    [
        (
            'Authorization: Digest username="a", response="0123abcdef", nc=1',
            'Authorization: Digest username="a", response="0000000000", nc=1',
        ),
        ("proxy-authorization : digest Response = 0123ABCD", "proxy-authorization : digest Response = 00000000"),
        ('Authorization: Digest username="a",\r\n response="0123"', 'Authorization: Digest username="a",\r\n response="0000"'),
        ("Authorization: Basic YWxpY2U6cHc=", "Authorization: Basic 000000000000"),
        ("Subject: response=0123", "Subject: response=0123"),
    ],
)
def test_AUTH_04_answers_to_challenges_are_blanked(header: str, blanked: str) -> None:
    message = f"INVITE sip:a@b SIP/2.0\r\n{header}\r\n\r\nresponse=0123"
    assert Secrets(None).octets(message.encode()).decode() == message.replace(header, blanked)


@pytest.mark.parametrize(
    ("content_type", "body", "blanked"),
    [
        ("Content-Type: application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "Signal=0\r\nDuration=160\r\n"),
        ("c:application/DTMF-Relay;x=y", "signal = 11\r\n", "signal = 00\r\n"),
        ("Content-Type :\r\n application/dtmf", "5", "0"),
        ("content-type: application/dtmf", "*\r\n", "0\r\n"),
        ("Content-Type: application/vnd.nortelnetworks.digits", "y=4711", "y=xxxx"),
        ("Content-Type: application/dtmf-relay", "Signal=16\r\n", "Signal=xx\r\n"),
        ("Content-Type: text/plain", "dtmf 5", "dtmf 5"),
        ("Content-Type: application/dtmf-relays", "Signal=5", "Signal=5"),
        ("X-Content-Type: application/dtmf-relay", "Signal=5", "Signal=5"),
    ],
)
def test_digits_are_blanked(content_type: str, body: str, blanked: str) -> None:
    head = f"INFO sip:4711@b SIP/2.0\r\n{content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    assert Secrets(None).octets((head + body).encode()).decode() == head + blanked


def test_no_digit_of_a_call_is_in_a_file_and_it_replays_all_the_same() -> None:
    world = World(POLICY.replace("    media: plain\n", "    media: plain\n    info: pass\n"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite, ok, _ = connect(office, carrier, "+4930123456")
    for cseq, digit in enumerate("4711", 2):
        rows = (("Content-Type", "application/dtmf-relay"),)
        request = office.within(invite, ok, "INFO", cseq=cseq, headers=rows)
        request.body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        office.send(request)
        crossed = carrier.expect_request("INFO")
        assert crossed.body == request.body, "it is blanked in the file alone"
        carrier.answer(crossed, 200)
        office.expect_response(200)
    world.shut_down()
    world.after(60)
    (recording,) = world.recordings
    file = recording.encode()
    assert file.count(b"Signal=0\r\n") == 8, "as they came and as they went"
    assert re.findall(rb"Signal=[^0]", file) == []
    world.expect_replayable()


def test_a_policy_comes_back_as_it_was_but_for_its_passwords() -> None:
    world = a_call()
    (recording,) = world.recordings
    snapshot = decode_policy(recording.policy(world.snapshot.digest))
    assert snapshot.realms == world.snapshot.realms
    assert snapshot.trunks == world.snapshot.trunks
    assert snapshot.routes == world.snapshot.routes
    assert snapshot.route_tables == world.snapshot.route_tables
    assert snapshot.sources == world.snapshot.sources
    assert {user.password for user in snapshot.users.values()} == {"removed"}
    assert {type(user).__name__ for user in snapshot.accounts.values()} == {"User"}


def test_the_name_tells_when_which_call_and_which_policy() -> None:
    world = a_call()
    (recording,) = world.recordings
    assert name_of([recording], recording.digests()) == f"20270115T080000.000.{world.records[0]['id']}.{world.snapshot.digest}.sbc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b'{"format":1}\n',
        b'{"format":4,"flows":[[]],"policy":"x","steps":[]}\n',
        b'{"format":4,"flows":[],"policy":"x","steps":[[1]],"call":"c","sbc":"1","draining":false,"cut":false}\n',
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(data: bytes) -> None:
    world = a_call()
    with pytest.raises(Unreadable) as refused:
        decode(data, lambda _: world.recordings[0].policy(world.snapshot.digest))
    assert "\n" not in str(refused.value)


def test_every_cut_of_a_recording_is_refused() -> None:
    (recording,) = a_call().recordings
    data = recording.encode()
    for length in range(0, len(data), 97):
        with pytest.raises(Unreadable):
            decode(data[:length], recording.policy)


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), strikes=st.integers(1, 6))
def test_a_damaged_file_is_refused_or_differs_and_nothing_else(seed: int, strikes: int) -> None:
    random = Random(seed)
    data = bytearray(sample().encode())
    for _ in range(strikes):
        place = random.randrange(len(data))
        data[place : place + random.randrange(3)] = random.choice((b"", b"0", b"[", b"]", b"null", b'"~"', b"-", b"{}", b"1e999", b"\x80"))
    with suppress(Unreadable):
        play(decode(bytes(data), sample().policy))


def test_a_file_nested_without_end_is_refused() -> None:
    with pytest.raises(Unreadable):
        decode(b"[" * 100_000, sample().policy)


@pytest.mark.interpreted
def test_every_field_of_an_input_comes_back_as_what_it_was() -> None:
    """Compiled values do not know the types of their fields, so that they are written down."""
    kinds: dict[str, set[str]] = {}
    for name, kind in CLASSES.items():
        for field, hint in get_type_hints(kind).items():
            if any(
                each in (Flow, bytes) or (isinstance(each, type) and issubclass(each, Enum))
                for each in (get_args(hint) if isinstance(hint, UnionType) else (hint,))
            ):
                kinds.setdefault(name, set()).add(field)
    del kinds["RequestIn"], kinds["ResponseIn"]  # come as the octets of their message
    assert kinds == {name: set(fields) for name, fields in KINDS.items()}
    flow = Flow("outside", "TLS", ("10.0.0.1", 5061), ("198.51.100.1", 4000), 5, ("pbx.example",))
    assert flow_of(json.loads(json.dumps(flow))) == flow


def test_only_values_are_made_of_what_a_file_names() -> None:
    assert "Snapshot" in CLASSES
    assert not {"Core", "Path", "Popen", "eval"} & CLASSES.keys()
    for name in ("Popen", "object", "__class__", "Protocol", "MediaEngine"):
        with pytest.raises(Unreadable):
            read({"~": name}, snapshot_of().party)


def test_every_effect_is_the_same_from_a_file_and_from_a_core() -> None:
    world = a_call()
    (recording,) = world.recordings
    expected = [effect for event in decode(recording.encode(), recording.policy).events for effect in event.expected]
    assert [effect["~"] for effect in expected].count("Send") == 7
    (update,) = (effect for effect in expected if effect["~"] == "UpdateRelay")
    assert update == as_read(UpdateRelay(update["relay"], *world.updates[0]), Plain(Secrets(None)))


def test_what_if_the_policy_were_another_one() -> None:
    world = a_call()
    (recording,) = world.recordings
    call = decode(recording.encode(), recording.policy)
    assert first_difference(play_under(call, snapshot_of())) is None
    nowhere = snapshot_of(POLICY.replace('when: {trunk: office, to: "+*"}', 'when: {trunk: office, to: "+1*"}'))
    difference = first_difference(play_under(call, nowhere))
    assert difference is not None
    assert difference.recorded["data"].startswith("SIP/2.0 100 ")
    assert difference.replayed["record"]["sip_status"] == 404
    other_way = snapshot_of(POLICY.replace("send_to: [carrier, backup]", "send_to: [backup]"))
    sent = [effect for one in play_under(call, other_way) for effect in one.effects if effect["~"] == "Send"]
    assert [effect["flow"].remote[0] for effect in sent if effect["data"].startswith("INVITE")] == ["10.1.0.3"]


def test_a_policy_that_knows_nobody_of_the_call() -> None:
    (recording,) = a_call().recordings
    stranger = snapshot_of(POLICY.replace("office", "bureau"))
    played = play_under(decode(recording.encode(), recording.policy), stranger)
    (answer,) = (effect for one in played for effect in one.effects if effect["~"] == "Send")
    assert answer["data"].startswith("SIP/2.0 481 "), "to the BYE: its address is known, its dialog is not"


def test_playing_twice_is_the_same_twice() -> None:
    (recording,) = a_call().recordings
    call = decode(recording.encode(), recording.policy)
    assert play(call) == play(call)


@pytest.mark.interpreted
def test_python_and_c_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = b"s" * 32
    monkeypatch.setattr("sbc.explain.ids.CountingIds.random", lambda self, size: secret[:size])
    (recording,) = a_call().recordings
    again = copy(recording)
    written = recording.encode()
    monkeypatch.setattr("sbc.recording.recorded.WRITE", None)
    monkeypatch.setattr("sbc.recording.secrets.HOLDS_ANY", holds_any)
    assert again.encode() == written
