from __future__ import annotations

import pytest
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.tls import Epoch

from sbc.link.retry import LIFETIME, Tokens
from sbc.link.waiting import LATE, MOST, MediaQueue
from sbc.link.window import FIRST, LARGEST, SMALLEST, VoiceWindow


def test_what_has_waited_for_too_long_goes_first() -> None:
    queue = MediaQueue()
    queue.put(b"old", 10.0)
    queue.put(b"new", 10.0 + LATE)
    assert queue.take(1000, 10.0 + LATE + 0.001) == [b"new"]
    assert queue.dropped == 1
    assert len(queue) == 0


def test_only_what_fits_is_taken_in_order() -> None:
    queue = MediaQueue()
    for packet in (b"one", b"two", b"six"):
        queue.put(packet, 1.0)
    assert queue.take(0, 1.0) == []
    assert queue.take(4, 1.0) == [b"one", b"two"]
    assert queue.take(4, 1.0) == [b"six"]
    assert queue.dropped == 0


def test_the_queue_is_bounded() -> None:
    queue = MediaQueue()
    for number in range(MOST + 5):
        queue.put(b"%d" % number, 1.0)
    assert len(queue) == MOST
    assert queue.dropped == 5
    assert queue.take(1, 1.0) == [b"5"]


def packets(count: int) -> list[QuicSentPacket]:
    return [QuicSentPacket(Epoch.ONE_RTT, True, True, False, number, QuicPacketType.ONE_RTT, sent_bytes=1200) for number in range(count)]


def play(window: VoiceWindow, rounds: int, lost_of: int) -> None:
    """So many round trips of 100 ms with a full window; of each `lost_of` packets one is lost, 0: none."""
    now = 0.0
    for _ in range(rounds):
        now += 0.2
        sent = packets(window.congestion_window // 1200)
        for packet in sent:
            window.on_packet_sent(packet=packet)
        gone = [packet for packet in sent if lost_of and packet.packet_number % lost_of == 0]
        window.on_packets_lost(now=now, packets=gone)
        for packet in sent:
            if packet not in gone:
                window.on_packet_acked(now=now, packet=packet)
        assert window.bytes_in_flight == 0


@pytest.mark.parametrize("lost_of", [0, 50, 20])
def test_a_few_lost_packets_are_no_congestion(lost_of: int) -> None:
    window = VoiceWindow(max_datagram_size=1200)
    play(window, 20, lost_of)
    assert window.congestion_window > FIRST


def test_a_path_that_loses_a_fifth_cannot_carry_so_much() -> None:
    window = VoiceWindow(max_datagram_size=1200)
    play(window, 30, 2)
    assert window.congestion_window < FIRST // 2
    window.on_persistent_congestion()
    assert window.congestion_window == SMALLEST
    play(window, 60, 0)
    assert FIRST < window.congestion_window <= LARGEST


SOURCE = ("192.0.2.7", 4711)


def test_a_token_is_good_for_its_address_its_id_and_a_while() -> None:
    tokens = Tokens(b"secret")
    token = tokens.make(SOURCE, b"original", b"retry", 100.0)
    assert tokens.original(token, SOURCE, b"retry", 101.0) == b"original"
    assert tokens.original(token, ("192.0.2.8", 4711), b"retry", 101.0) is None
    assert tokens.original(token, ("192.0.2.7", 4712), b"retry", 101.0) is None
    assert tokens.original(token, SOURCE, b"other", 101.0) is None
    assert tokens.original(token, SOURCE, b"retry", 100.5 + LIFETIME) is None
    assert Tokens(b"another").original(token, SOURCE, b"retry", 101.0) is None
    for junk in (b"", b"x" * 16, token[:-1], token + b"x", bytes(len(token))):
        assert tokens.original(junk, SOURCE, b"retry", 101.0) is None
