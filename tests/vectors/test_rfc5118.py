"""The IPv6 torture messages of RFC 5118, all of them (SYN-10)."""

from __future__ import annotations

import hashlib

import pytest

from sbc.sip.fields.contact import parse_contacts
from sbc.sip.fields.via import Via
from sbc.sip.names import CONTACT, VIA
from sbc.sip.parse import Malformed, parse_datagram
from tests.vectors.messages import VECTORS, index, octets, outcome, request

FOLDER = "rfc5118"
INDEX = index(FOLDER)
SHORT = "ipv6-in-sdp.dat"  # the archive's Content-Length is 268, its body 251 octets: a 400 as it is


def test_every_file_is_used() -> None:
    assert {path.name for path in (VECTORS / FOLDER).glob("*.dat")} == INDEX.keys()
    assert {path.name for path in (VECTORS / FOLDER / "archive_lf").glob("*.dat")} == INDEX.keys()
    assert len(INDEX) == 12


def patched(file: str) -> bytes:
    data = octets(FOLDER, file)
    return data.replace(b"Content-Length: 268", b"Content-Length: 251") if file == SHORT else data


@pytest.mark.parametrize("file", INDEX)
def test_octets_are_those_of_the_archive(file: str) -> None:
    assert hashlib.sha256(octets(FOLDER, file)).hexdigest() == INDEX[file]["sha256"]


@pytest.mark.parametrize("file", INDEX)
def test_SYN_10_outcome(file: str) -> None:
    expected = INDEX[file]["sbc"]
    found, error = outcome(patched(file))
    if expected["outcome"] == "accept_or_reject":
        expected = {"outcome": "accept"}
    assert found == expected["outcome"]
    if error is not None:
        assert error.status in expected["status"]


@pytest.mark.parametrize("file", INDEX)
def test_bare_line_feeds_are_no_line_ends(file: str) -> None:
    with pytest.raises(Malformed):
        parse_datagram((VECTORS / FOLDER / "archive_lf" / file).read_bytes())


def test_SYN_03_datagram_shorter_than_content_length() -> None:
    assert outcome(octets(FOLDER, SHORT))[0] == "reject"
    assert len(parse_datagram(patched(SHORT)).body) == 251


@pytest.mark.parametrize(("file", "length"), [("mult-ip-in-sdp.dat", 181), ("ipv4-mapped-ipv6.dat", 236)])
def test_SYN_03_datagram_longer_than_content_length(file: str, length: int) -> None:
    assert len(request(FOLDER, file).body) == length


@pytest.mark.parametrize(
    ("file", "host", "port"),
    [
        ("ipv6-good.dat", "2001:db8::10", None),
        ("port-ambiguous.dat", "2001:db8::10:5070", None),
        ("port-unambiguous.dat", "2001:db8::10", 5070),
        ("ipv6-bug-abnf-3-colons.dat", "2001:db8::192.0.2.1", None),
        ("ipv6-correct-abnf-2-colons.dat", "2001:db8::192.0.2.1", None),
    ],
)
def test_host_and_port(file: str, host: str, port: int | None) -> None:
    uri = request(FOLDER, file).uri
    assert (uri.host, uri.port) == (host, port)
    assert f"[{host}]" in str(uri)


@pytest.mark.parametrize("file", ["via-received-param-with-delim.dat", "via-received-param-no-delim.dat"])
def test_received_is_read_with_and_without_brackets_and_written_without(file: str) -> None:
    via = request(FOLDER, file).via
    assert (via.host, via.received) == ("2001:db8::9:1", "2001:db8::9:255")
    assert ";received=2001:db8::9:255" in str(via)


def test_ipv4_and_ipv6_mixed_in_vias() -> None:
    vias = [Via.parse(item) for item in request(FOLDER, "mult-ip-in-header.dat").headers.values(VIA)]
    assert [(via.transport, via.host, via.port, via.received) for via in vias] == [
        ("UDP", "2001:db8::9:1", 6050, None),
        ("UDP", "192.0.2.1", None, None),
        ("TCP", "2001:db8::9:255", None, "192.0.2.200"),
    ]


def test_ipv4_mapped_addresses() -> None:
    message = request(FOLDER, "ipv4-mapped-ipv6.dat")
    assert (message.via.host, message.via.port) == ("::ffff:192.0.2.10", 19823)
    (contact,) = parse_contacts(message.headers.all(CONTACT)) or ()
    assert contact.uri.host == "::ffff:192.0.2.2"
