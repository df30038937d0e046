"""Requests out of captures: files, links, fragments, streams, and whatever somebody may have put into one."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.errors import ConfigError
from sbc.explain.asked import Flags, captured
from sbc.explain.capture import Captured, requests_in
from sbc.explain.story import explain
from sbc.policy.load import Loaded
from tests.unit.explain.test_explain import INVITE

HERE, THERE = ("10.0.0.20", 5060), ("10.0.0.1", 5060)
Address = tuple[str, int]


def udp(data: bytes, source: Address = HERE, destination: Address = THERE) -> bytes:
    return ip(17, struct.pack(">HHHH", source[1], destination[1], 8 + len(data), 0) + data, source[0], destination[0])


def tcp(number: int, data: bytes, flags: int = 0x18, source: Address = HERE, destination: Address = THERE) -> bytes:
    head = struct.pack(">HHIIBBHHH", source[1], destination[1], number & 0xFFFFFFFF, 0, 5 << 4, flags, 8192, 0, 0)
    return ip(6, head + data, source[0], destination[0])


def ip(protocol: int, body: bytes, source: str, destination: str, flags: int = 0) -> bytes:
    a, b = ip_address(source), ip_address(destination)
    if a.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + a.packed + b.packed + body
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 7, flags, 64, protocol, 0) + a.packed + b.packed + body


def ethernet(packet: bytes, vlan: bytes = b"") -> bytes:
    return bytes(12) + vlan + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet


def pcap(*packets: bytes, link: int = 1, order: str = "<") -> bytes:
    head = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack(order + "IIII", 0, 0, len(packet), len(packet)) + packet for packet in packets)


def pcapng(*packets: bytes, link: int = 1) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))

    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", link, 0, 0))]
    blocks += [block(6, struct.pack("<IIIII", 0, 0, 0, len(packet), len(packet)) + packet) for packet in packets]
    return b"".join((*blocks, block(5, bytes(12))))


WANTED = [Captured(INVITE, HERE, THERE, "UDP")]


@pytest.mark.parametrize(
    "file",
    [
        pcap(ethernet(udp(INVITE))),
        pcap(ethernet(udp(INVITE)), order=">"),
        pcapng(ethernet(udp(INVITE))),
        pcap(ethernet(udp(INVITE), vlan=b"\x81\x00\x00\x05")),
        pcap(udp(INVITE), link=101),
        pcap(bytes(14) + b"\x08\x00" + udp(INVITE), link=113),
        pcap(b"\x08\x00" + bytes(18) + udp(INVITE), link=276),
        pcap(b"\x02\0\0\0" + udp(INVITE), link=0),
        pcap(ethernet(udp(b"\x00" * 20)), ethernet(udp(b"SIP/2.0 200 OK\r\n\r\n")), ethernet(udp(INVITE))),
    ],
)
def test_datagrams_of_every_kind_of_file(file: bytes) -> None:
    assert requests_in(file) == WANTED


def test_ipv6() -> None:
    source, destination = ("2001:db8::1", 5060), ("2001:db8::2", 5062)
    assert requests_in(pcap(ethernet(udp(INVITE, source, destination)))) == [Captured(INVITE, source, destination, "UDP")]


def test_fragments_in_any_order_are_one_datagram() -> None:
    whole = udp(INVITE)[20:]
    first, second = ip(17, whole[:160], HERE[0], THERE[0], 0x2000), ip(17, whole[160:], HERE[0], THERE[0], 160 // 8)
    assert requests_in(pcap(ethernet(second), ethernet(first))) == WANTED
    assert requests_in(pcap(ethernet(first))) == []


def test_a_stream_is_put_together_again() -> None:
    body = INVITE.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
    start = 0xFFFFFFF0  # numbers wrap
    pieces = [(0, body[:100]), (100, body[100:200]), (200, body[200:] + body)]
    packets = [tcp(start, b"", 2), *[tcp(start + 1 + at, data) for at, data in (pieces[0], pieces[2], pieces[1], pieces[1])]]
    found = requests_in(pcap(*map(ethernet, packets)))
    assert found == [Captured(body, HERE, THERE, "TCP")] * 2
    lost = requests_in(pcap(*map(ethernet, packets[:3])))
    assert lost == [], "what is behind a gap is not there"


def test_what_is_no_capture_is_said_so() -> None:
    for data in (b"", b"INVITE sip:x SIP/2.0\r\n", b"\xd4\xc3\xb2\xa1"):
        with pytest.raises(ConfigError, match="neither pcap nor pcapng"):
            requests_in(data)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_captures_end_somewhere(data: st.DataObject) -> None:
    fragment = ethernet(ip(17, udp(INVITE)[20:180], HERE[0], THERE[0], 0x2000))
    file = bytearray(data.draw(st.sampled_from([pcap, pcapng]))(ethernet(udp(INVITE)), ethernet(tcp(1, INVITE)), fragment))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ConfigError):
        requests_in(bytes(file[: data.draw(st.integers(0, len(file)))]))


def test_a_captured_call_is_explained(loaded: Loaded) -> None:
    other = INVITE.replace(b"Call-ID: 1", b"Call-ID: 2").replace(b"0301234567", b"112")
    found = requests_in(pcap(ethernet(udp(INVITE)), ethernet(udp(INVITE)), ethernet(udp(other))))
    question, more = captured(loaded.snapshot, Flags(""), found)
    assert explain(loaded.snapshot, loaded.places, question).facts["called"] == "+49301234567"
    assert more == ["2"]
    question, _ = captured(loaded.snapshot, Flags(""), found, call_id="2")
    assert explain(loaded.snapshot, loaded.places, question).facts["emergency"] is True


@pytest.mark.parametrize(
    ("packets", "call_id", "said"),
    [
        ((), "", "no request in it that begins a call"),
        ((udp(INVITE),), "3", "no call '3' in it; there are: 1"),
        ((udp(INVITE, destination=("192.0.2.1", 5060)),), "", "went to 192.0.2.1:5060, where this policy does not listen"),
    ],
)
def test_what_cannot_be_explained_is_said(loaded: Loaded, packets: tuple[bytes, ...], call_id: str, said: str) -> None:
    found = requests_in(pcap(*map(ethernet, packets)))
    with pytest.raises(ConfigError) as raised:
        captured(loaded.snapshot, Flags(""), found, call_id=call_id)
    assert said in str(raised.value)
