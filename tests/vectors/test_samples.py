"""46 messages as vendors' equipment sends them, and a few attacks."""

from __future__ import annotations

import pytest

from sbc.sip.fields.auth import Challenge, Credentials
from sbc.sip.fields.contact import parse_contacts
from sbc.sip.fields.nameaddr import parse_list
from sbc.sip.fields.reason import Reason
from sbc.sip.fields.session_expires import SessionExpires, parse_min_se
from sbc.sip.message import Request
from sbc.sip.multipart import parts, sdp_of
from sbc.sip.names import (
    AUTHORIZATION,
    CALL_INFO,
    CONTACT,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DIVERSION,
    HISTORY_INFO,
    MIN_SE,
    REASON,
    REFER_TO,
    SESSION_EXPIRES,
    SUPPORTED,
    VIA,
    WWW_AUTHENTICATE,
)
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.uri import unescape
from tests.vectors.messages import VECTORS, index, octets, request, response

FOLDER = "samples"
INDEX = index(FOLDER, "samples")
BEYOND_LIMITS = {"attack_many_vias.sip"}


def test_every_file_is_used() -> None:
    assert {path.name for path in (VECTORS / FOLDER).glob("*.sip")} == INDEX.keys()
    assert len(INDEX) == 46
    assert all(entry["valid"] for entry in INDEX.values())


@pytest.mark.parametrize("file", INDEX)
def test_parses_and_survives_a_round_trip(file: str) -> None:
    data = octets(FOLDER, file)
    assert len(data) == INDEX[file]["size"]
    if file in BEYOND_LIMITS:
        with pytest.raises(Malformed) as caught:
            parse_datagram(data)
        assert caught.value.request is None  # nobody is sent 200 Vias back
        return
    message = parse_datagram(data)
    start, _, _ = data.partition(b"\r\n")
    assert message.encode().startswith(start + b"\r\n")
    assert parse_datagram(message.encode()) == message
    assert message.body == data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("file", [file for file in INDEX if file not in BEYOND_LIMITS])
def test_every_row_keeps_its_text(file: str) -> None:
    """Unknown headers survive octet by octet, known ones keep their value (none of the samples is folded)."""
    head = octets(FOLDER, file).partition(b"\r\n\r\n")[0].decode()
    rows = [line.partition(":") for line in head.split("\r\n")[1:]]
    expected = [value.strip() for name, _, value in rows if name.lower() not in ("content-length", "l")]
    assert [value for _, value in parse_datagram(octets(FOLDER, file)).headers] == expected


def test_SYN_01_compact_names_without_space() -> None:
    message = response(FOLDER, "freeswitch_401_compact_nospace.sip")
    assert message.via.host
    challenge = Challenge.parse(message.headers.all(WWW_AUTHENTICATE)[0])
    assert challenge.digest
    assert challenge.params["qop"] == "auth"


def test_SYN_01_upper_case_names() -> None:
    message = response(FOLDER, "teams_options_200_uppercase.sip")
    assert (message.cseq.number, message.to.tag) == (23765299, "")
    assert message.call_id == "dfe4b29f-51cb-1239-3b99-06ce423ffcdb"


def test_SYN_04_equal_content_lengths() -> None:
    message = request(FOLDER, "meta_bye_dup_content_length.sip")
    assert CONTENT_LENGTH not in message.headers
    assert message.encode().count(b"Content-Length") == 1


def test_SYN_12_escaped_line_ends_stay_escaped() -> None:
    message = request(FOLDER, "attack_header_injection.sip")
    assert "\r\n" in message.uri.decoded_user + message.to.uri.decoded_user
    assert message.from_.display == "a%0d%0aX-Evil: 1"
    assert str(message.uri) == "sip:bob%0d%0aX-Evil:%201@192.0.2.20"
    assert b"\nX-Evil" not in message.encode()


def test_SYN_12_quotes_in_credentials_are_only_text() -> None:
    message = request(FOLDER, "attack_sqli_user.sip")
    credentials = Credentials.parse(message.headers.all(AUTHORIZATION)[0])
    assert "'" in credentials.params["username"]
    assert Credentials.parse(str(credentials)) == credentials


def test_SYN_13_multipart_with_an_optional_part() -> None:
    message = request(FOLDER, "nortel_cs1000_multipart.sip")
    sdp, extra = parts(message.headers.first(CONTENT_TYPE) or "", message.body)
    assert sdp.body == sdp_of(message)
    assert sdp.body.startswith(b"v=0\r\n")
    assert sdp.body.endswith(b"a=sendrecv")
    assert (extra.type, extra.handling) == ("application/x-nt-mcdn-frag-hex", "optional")
    assert extra.body == b"0500fe01\r\n0107130081900000a200"
    assert parse_min_se(message.headers.first(MIN_SE) or "") == 0


def test_SYN_13_recording_metadata_beside_sdp() -> None:
    message = request(FOLDER, "siprec_src_invite.sip")
    assert (sdp_of(message) or b"").count(b"m=audio") == 2
    _, metadata = parts(message.headers.first(CONTENT_TYPE) or "", message.body)
    assert metadata.type == "application/rs-metadata+xml"
    assert metadata.body.startswith(b"<?xml")
    assert metadata.body.endswith(b"</recording>")


def test_malformed_call_info_is_no_matter() -> None:
    message = request(FOLDER, "cisco_cucm_invite_recording_bib.sip")
    assert (message.headers.first(CALL_INFO) or "").startswith(";method=")
    assert len(message.from_.uri.params) == 9
    assert message.from_.tag.startswith("73601~")
    assert SessionExpires.parse(message.headers.first(SESSION_EXPIRES) or "") == SessionExpires(1800)


def test_quoted_commas_do_not_split() -> None:
    message = request(FOLDER, "polycom_register_auth.sip")
    (contact,) = parse_contacts(message.headers.all(CONTACT)) or ()
    assert (contact.address.param("methods") or "").count(",") > 2


def test_header_parameters_of_a_bare_uri() -> None:
    message = request(FOLDER, "pjsip_invite_sips_256.sip")
    assert (message.from_.tag, message.from_.uri.params) == ("Jc0qquhM8V2x5IrXbMVjBvfHQrqkyFab", ())
    assert (message.uri.scheme, message.uri.user, message.uri.port) == ("sips", "*97", 5061)


def test_semicolons_in_the_user_part() -> None:
    uri = request(FOLDER, "nortel_cs1000_multipart.sip").uri
    assert (uri.user, uri.host, uri.params) == ("5201;phone-context=cdp.udp", "example.com", (("user", "phone"),))


def test_tel_uris() -> None:
    message = request(FOLDER, "ims_volte_invite_tel.sip")
    assert (message.uri.scheme, message.uri.user, message.uri.host) == ("tel", "+12025550149", "")
    assert message.to.uri.scheme == "tel"


def test_rows_of_one_list_and_lists_in_one_row() -> None:
    message = request(FOLDER, "cisco_cp8865_invite.sip")
    assert message.headers.values(SUPPORTED)
    diverted = request(FOLDER, "diversion_history_privacy.sip")
    assert len(parse_list(diverted.headers.all(DIVERSION))) == 2
    assert len(diverted.headers.values(HISTORY_INFO)) == 3


def test_escaped_header_in_refer_to() -> None:
    (refer_to,) = parse_list(request(FOLDER, "refer_attended_replaces.sip").headers.all(REFER_TO))
    assert unescape(refer_to.uri.headers).startswith("Replaces=")
    assert "to-tag=" in unescape(refer_to.uri.headers)


def test_reason_of_a_release() -> None:
    reason = Reason.parse(request(FOLDER, "cisco_cucm_bye_prtpstat.sip").headers.all(REASON)[0])
    assert (reason.protocol, reason.cause) == ("Q.850", 16)


def test_via_of_websockets_and_without_branch() -> None:
    assert request(FOLDER, "sipjs_register_wss.sip").via.transport in ("WS", "WSS")
    message = request(FOLDER, "meta_bye_dup_content_length.sip")
    assert isinstance(message, Request)
    assert message.headers.count(VIA) == 2
