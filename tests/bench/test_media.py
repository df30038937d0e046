"""The media benchmark's own parts: what it says of packets must be what happened to them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from media.api import Suite
from tests.bench.packets import Phase, Relay, Traffic, packet, run
from tests.bench.relays import Process, Subject, peer_keys
from tests.bench.rtpengine import decode, encode

SHORT = Phase(2000, 0.1)
CM_80, CM_32, GCM = Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_128_GCM


@pytest.fixture(scope="module", params=["native", "portable"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    process = Process(request.param, first=False)
    yield process
    process.end()


@pytest.mark.parametrize("mode", [(None, None), (None, CM_80), (CM_80, CM_32), (GCM, GCM)])
def test_packets_come_through_a_real_engine_as_they_were_sent(subject: Subject, mode: tuple[Suite | None, Suite | None]) -> None:
    relays = subject.open(5, mode)
    traffic = Traffic((peer_keys(mode[0]), peer_keys(mode[1])))
    before = subject.cpu()
    for _ in range(2):  # relays take more than one run
        first, second = run(relays, traffic, [SHORT, SHORT], settle=5)
        for seen in (first, second):
            assert (seen.sent, seen.received, seen.heard, seen.strangers, seen.twice) == (200, 200, 10, 0, 0)
            assert 0 < seen.p50_ms <= seen.p99_ms <= seen.max_ms
        assert (first.verified, first.broken) == (7, 0)  # one in 64, of both phases
    assert subject.cpu() > before
    assert subject.turnover(5, mode) > 0
    subject.close()


def test_wrong_keys_are_seen(subject: Subject) -> None:
    mode = CM_80, CM_32
    relays = subject.open(2, mode)
    traffic = Traffic((peer_keys(mode[0]), peer_keys(mode[1])))
    wrong = [replace(relay, sends=(relay.sends[1], relay.sends[0])) for relay in relays]
    (seen,) = run(wrong, traffic, [SHORT], settle=5)
    subject.close()
    assert (seen.received, seen.verified, seen.broken) == (200, 0, 4)


def test_what_is_swallowed_counts_as_lost() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.2", 0))
        (seen,) = run([Relay((hole.getsockname(), hole.getsockname()))], Traffic((None, None)), [SHORT], settle=0.01)
    assert (seen.sent, seen.received, seen.heard, seen.lost) == (200, 0, 0, 1)


def test_a_stream_never_repeats_a_sequence_number() -> None:
    traffic = Traffic((peer_keys(CM_80), None))
    first, packets = traffic.take(2)
    then, more = traffic.take(1)
    assert (first, then) == (1, 3)
    assert len({*packets[0], *more[0]}) == 3
    assert packets[1] == [packet(1, 1), packet(1, 2)]
    assert {len(each) for each in packets[0]} == {182}
    assert len(packet(0, 1)) == 172
    with pytest.raises(ValueError, match="had all their packets"):
        traffic.take(65536)


def test_bencode_there_and_back() -> None:
    value = {"call-id": "x", "list": ["a", {"b": ""}], "n": 12}
    assert encode(value) == b"d7:call-id1:x4:listl1:ad1:b0:ee1:ni12ee"  # type: ignore[arg-type]
    assert decode(encode(value)) == value  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than one"):
        decode(b"i1ei2e")
