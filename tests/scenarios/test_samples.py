"""The samples of real equipment as a trunk of ours would send them: what each gets, and that nothing of it shows on the other side."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from sbc.sdp.parse import parse_session
from sbc.sip.message import Request
from sbc.sip.multipart import sdp_of
from sbc.sip.names import CALL_ID, USER_AGENT, VIA
from sbc.sip.parse import parse_datagram
from tests.vectors.messages import index, octets
from tests.world import POLICY, Agent, World

INDEX = index("samples", "samples")
# Both trunks take whatever the samples may offer, any number goes out.
WIDE = "wide: {srtp: optional, codecs: [opus, G722, PCMA, PCMU, G729, iLBC, speex, AMR-WB, AMR, telephone-event, CN], fax: pass}"
WORLD = (
    POLICY.replace("media: plain", "media: wide")
    .replace("  plain: {", f"  {WIDE}\n  plain: {{")
    .replace('{trunk: office, to: "+*"}', '{trunk: office, to: "*"}')
)

CALLED = "100 and on"
NOTHING = "nothing"
EXPECTED: dict[str, str] = {
    "asterisk_pjsip_invite.sip": CALLED,
    "asterisk_pjsip_200_srtp.sip": NOTHING,  # responses to nothing we asked
    "freepbx_pjsip_invite.sip": CALLED,
    "freepbx_ws_invite_savpf.sip": CALLED,
    "asterisk_options_qualify.sip": "200",
    "3cx_200_invite.sip": NOTHING,
    "3cx_bye.sip": "481",  # requests inside dialogs we do not have
    "cisco_cucm_invite_delayed_offer.sip": CALLED,
    "cisco_cucm_invite_recording_bib.sip": CALLED,
    "cisco_cube_options_200.sip": NOTHING,
    "cisco_cucm_bye_prtpstat.sip": "481",
    "cisco_cp8865_invite.sip": CALLED,
    "teams_options_from_sbc.sip": "200",
    "teams_options_200_uppercase.sip": NOTHING,
    "teams_invite_outbound.sip": CALLED,
    "teams_503_retry_after.sip": NOTHING,
    "twilio_invite_srtp.sip": CALLED,
    "twilio_bye_recording.sip": "481",
    "meta_bye_dup_content_length.sip": "481",
    "sonus_reinvite.sip": "481",
    "oxe_200_via_sbc.sip": NOTHING,
    "audiocodes_invite_compact.sip": CALLED,
    "yealink_register.sip": "403",  # a trunk known by its address has nothing to register
    "freeswitch_401_compact_nospace.sip": NOTHING,
    "polycom_register_auth.sip": "403",
    "polycom_invite.sip": "484",  # nobody is called
    "grandstream_invite_savpf.sip": "488",  # RTP/SAVPF with a fingerprint and no key
    "snom_publish_vqrtcpxr.sip": "200",  # a report of a call that is not ours
    "sipjs_register_wss.sip": "403",
    "jssip_register_outbound.sip": "403",
    "sipml5_invite_wss.sip": CALLED,
    "pjsip_invite_sips_256.sip": "480",  # sips by UDP
    "ims_volte_invite_tel.sip": CALLED,
    "psap_callback.sip": CALLED,
    "siprec_src_invite.sip": "420",  # Require: siprec
    "nortel_cs1000_multipart.sip": CALLED,
    "shaken_invite.sip": CALLED,
    "diversion_history_privacy.sip": CALLED,
    "refer_attended_replaces.sip": "481",
    "info_dtmf_plain.sip": "481",
    "reinvite_t38.sip": "481",
    "scanner_friendly.sip": "200",
    "attack_sqli_user.sip": "401",
    "attack_header_injection.sip": "484",
    "attack_many_vias.sip": NOTHING,
    "linphone_sdp_rtcpxr.sip": CALLED,
}


@pytest.fixture
def world() -> Iterator[World]:
    world = World(WORLD)
    yield world
    world.expect_nothing_left()


@pytest.fixture
def office(world: World) -> Agent:
    return world.agent("office", ("10.0.0.20", 5061), "outside", "TLS", connection=3)


def final(office: Agent) -> str:
    statuses = [getattr(message, "status", 0) for message in office.inbox]
    return str(statuses[-1]) if statuses else NOTHING


@pytest.mark.parametrize("file", INDEX)
def test_TRAP_03_what_each_sample_gets(world: World, office: Agent, carrier: Agent, file: str) -> None:
    office.send_bytes(octets("samples", file))
    if EXPECTED[file] != CALLED:
        assert final(office) == EXPECTED[file]
        carrier.expect_nothing()
        return
    assert final(office) == "100"
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 486)
    carrier.expect_request("ACK")
    assert final(office) == "486"


def test_every_sample_is_expected_to_get_something() -> None:
    assert EXPECTED.keys() == INDEX.keys()


def secrets(data: bytes, message: Request) -> set[str]:
    """Whatever in a message names its side: addresses, hosts, identifiers, software, and the head of its description."""
    text = re.sub(rb"(?mi)^(identity|date)[ \t]*:.*$", b"", data).decode("utf-8", "replace")  # these have to cross
    found = set(re.findall(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", text))
    found |= set(re.findall(r"\b[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:com|net|org|invalid|local)\b", text)) - {"anonymous.invalid"}
    found |= set(re.findall(r"(?:tag|branch|ha1|rinstance|epid|instance)=\"?([^;\s>\",]{5,})", text))
    found |= {value for name in (CALL_ID, USER_AGENT) if (value := message.headers.first(name))}
    body = sdp_of(message)
    if body is not None:
        session = parse_session(body)
        found |= {field for field in session.origin.split()[:3] if len(field) > 4}
        found |= {session.name} if len(session.name) > 2 else set()
        found |= {session.first(name) or "" for name in ("ice-ufrag", "ice-pwd", "fingerprint")}
    return {secret for secret in found if secret and secret not in ("127.0.0.1", "0.0.0.0")}


@pytest.mark.parametrize("file", [file for file, expected in EXPECTED.items() if expected == CALLED])
def test_SDP_08_nothing_of_a_sample_shows_on_the_other_side(world: World, office: Agent, carrier: Agent, file: str) -> None:
    data = octets("samples", file)
    office.send_bytes(data)
    received = carrier.expect_request("INVITE")
    told = received.encode()
    original = parse_datagram(data)
    assert isinstance(original, Request)
    hidden = secrets(data, original)
    assert len(hidden) > 3
    assert [secret for secret in sorted(hidden) if secret.encode() in told] == []
    assert received.headers.count(VIA) == 1
    carrier.answer(received, 486)
    carrier.expect_request("ACK")


@pytest.mark.parametrize("file", ["scanner_friendly.sip", "attack_sqli_user.sip", "attack_header_injection.sip", "attack_many_vias.sip"])
def test_attacks_from_strangers_meet_silence(world: World, carrier: Agent, file: str) -> None:
    stranger = world.agent("stranger", ("10.1.0.66", 5060), "inside")
    stranger.send_bytes(octets("samples", file))
    stranger.expect_nothing()
    carrier.expect_nothing()
    assert not world.records
    assert not [log for log in world.logs if "UNION" in str(log) or "X-Evil" in str(log)]


def test_a_key_of_the_wrong_length_spoils_its_own_line_only(world: World, office: Agent, carrier: Agent) -> None:
    office.send_bytes(octets("samples", "teams_invite_outbound.sip"))
    received = carrier.expect_request("INVITE")
    carrier.answer(
        received, 200, body=b"v=0\r\no=- 1 1 IN IP4 10.1.0.2\r\ns=-\r\nc=IN IP4 10.1.0.2\r\nt=0 0\r\nm=audio 50000 RTP/AVP 8\r\n"
    )
    carrier.expect_request("ACK")
    office.expect_response(100)
    ok = office.expect_response(200)
    assert ok.body.count(b"a=crypto:1 ") == ok.body.count(b"a=crypto:") == 1
    carrier.send(carrier.within_received(received, "BYE"))
    carrier.expect_response(200)
    world.after(40)
    office.inbox.clear()
