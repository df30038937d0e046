"""The screens of FreePBX and of 3CX, field by field in the order they stand there."""

from __future__ import annotations

from collections.abc import Sequence

from sbc.pbx import asterisk
from sbc.pbx.setup import Setup

Fields = Sequence[tuple[str, str]]
AS_IT_IS = "(leave empty)"


def freepbx(setup: Setup) -> str:
    """FreePBX 16 and 17: Connectivity, Trunks, Add SIP (chan_pjsip) Trunk."""
    yes, sends = "Yes", setup.user is not None
    lines = [
        f"FreePBX (16 or newer): trunk to the SBC at {setup.host}. Connectivity > Trunks > Add Trunk > Add SIP (chan_pjsip) Trunk",
        *_notes(setup),
        *(["Will not work: FreePBX has no DTLS on trunks. Use srtp: sdes."] if setup.encryption == "dtls" else []),
        *_freepbx_transport(setup),
        "",
        *_block("General", [("Trunk Name", setup.trunk), ("Maximum Channels", str(setup.calls or AS_IT_IS))]),
        *_block(
            "pjsip Settings > General",
            [
                ("Username", setup.user or AS_IT_IS),
                ("Auth username", AS_IT_IS),
                ("Secret", setup.secret if sends else AS_IT_IS),
                ("Authentication", "Outbound" if sends else "None"),
                ("Registration", "Send" if sends else "None"),
                ("SIP Server", setup.host),
                ("SIP Server Port", str(setup.port)),
                ("Context", "from-pstn"),
                ("Transport", f"0.0.0.0-{setup.transport.lower()}"),
            ],
        ),
        *_block(
            "pjsip Settings > Advanced",
            [
                ("DTMF Mode", "RFC 4733" if setup.digits else "Inband"),
                ("Send Line in Registration", yes),
                ("Permanent Auth Rejection", "No"),
                ("Forbidden Retry Interval", str(asterisk.RETRY_S)),
                ("Fatal Retry Interval", str(asterisk.RETRY_S)),
                ("General Retry Interval", str(asterisk.AGAIN_S)),
                ("Expiration", str(setup.expires)),
                ("Max Retries", str(asterisk.LAST_RETRY)),
                ("Qualify Frequency", str(asterisk.ASK_S)),
                ("Contact User", setup.user or AS_IT_IS),
                ("From Domain", setup.host),
                ("Client URI", asterisk.uri(setup, setup.user) if setup.user else AS_IT_IS),
                ("Server URI", asterisk.uri(setup)),
                ("AOR Contact", asterisk.uri(setup)),
                ("Match (Permit)", ",".join(setup.addresses)),
                ("Support Path", yes),
                ("Support T.38 UDPTL", yes if setup.fax else "No"),
                ("Trust RPID/PAI", yes),
                ("Send RPID/PAI", "Send P-Asserted-Identity header" if setup.asserts else "No"),
                ("Match Inbound Authentication", "Default"),
                ("Direct Media", "No"),
                ("Rewrite Contact", yes),
                ("RTP Symmetric", yes),
                ("Media Encryption", _FREEPBX_ENCRYPTION[setup.encryption]),
                ("Force rport", yes),
            ],
        ),
        *_block("pjsip Settings > Codecs", [("only these, in this order", ", ".join(asterisk.formats(setup)))]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def threecx(setup: Setup) -> str:
    """3CX V20 and V18: a trunk of the generic provider."""
    registers = setup.user is not None
    lines = [
        f"3CX (V18 or V20): trunk to the SBC at {setup.host}. Voice & Chat > Add Trunk, Country: Generic, Provider: Generic SIP Trunk",
        *_notes(setup),
        *_threecx_limits(setup),
        "",
        *_block(
            "General",
            [
                ("Name", setup.trunk),
                ("Registrar/Server/Gateway Hostname or IP", setup.host),
                ("Auto Discovery", "off"),
                ("Port", str(setup.port)),
                ("Outbound Proxy", AS_IT_IS),
                ("Number of SIM Calls", str(setup.calls or "as many as your licence has")),
                ("Type of Authentication", "Register/Account based" if registers else "Do not require - IP Based"),
                ("Authentication ID (SIP User ID)", setup.user or AS_IT_IS),
                ("Authentication Password", setup.secret if registers else AS_IT_IS),
                ("Use 3 Way Authentication", "off"),
            ],
        ),
        *_block(
            "Options",
            [
                ("Allow inbound calls", "on"),
                ("Allow outbound calls", "on"),
                ("PBX Delivers Audio", "on"),
                ("Supports Re-Invite", "on"),
                ("Supports Replaces", "on"),
                ("Put Public IP in SIP VIA Header", "off"),
                ("SRTP", "on" if setup.encryption in ("sdes", "optional") else "off"),
                ("Re-Register Timeout", str(setup.expires)),
                ("Transport Protocol", setup.transport),
                *([("TLS Root Certificate", setup.authority or "that of the public authority")] if setup.transport == "TLS" else []),
                ("Codec Priority", ", ".join(_THREECX_CODECS.get(codec.upper(), codec) for codec in setup.codecs)),
            ],
        ),
        *_block("Inbound Parameters", [("Called number", "Request Line URI: User Part")]),
        *_block("Outbound Parameters", [("From: Host Part", setup.host), *_threecx_identity(setup)]),
    ]
    return "\n".join(lines).rstrip() + "\n"


_FREEPBX_ENCRYPTION = {
    "none": "None",
    "sdes": "SRTP via in-SDP (recommended)",
    "optional": "SRTP via in-SDP (recommended)",
    "dtls": "None",
}
_THREECX_CODECS = {"PCMA": "G.711 A-law", "PCMU": "G.711 U-law", "G729": "G.729", "G722": "G.722", "OPUS": "Opus"}


def _block(title: str, fields: Fields) -> list[str]:
    width = max(len(name) for name, _ in fields)
    return [title, *(f"  {name:<{width}}  {value}" for name, value in fields), ""]


def _notes(setup: Setup) -> list[str]:
    notes = list(setup.warnings)
    if setup.user and setup.password is None:
        notes.append(f"The password of account {setup.user!r} is not shown (--show-password): {setup.kept_in}")
    return notes


def _freepbx_transport(setup: Setup) -> list[str]:
    if setup.transport != "TLS":
        return []
    lines = [
        "First, Settings > Asterisk SIP Settings > SIP Settings [chan_pjsip]:",
        "  tls - 0.0.0.0 - All: Yes; SSL Method: tlsv1_2; Verify Server: Yes; then restart Asterisk.",
    ]
    if setup.authority is not None:
        lines.append(
            f"As root: copy {setup.authority} of the SBC to /usr/local/share/ca-certificates/sbc-ca.crt, then update-ca-certificates."
        )
    if setup.certificate_wanted:
        lines.append("Certificate Manager: the SBC wants a certificate of yours; choose it in the same screen.")
    return lines


def _threecx_limits(setup: Setup) -> list[str]:
    """What 3CX cannot do, by its own guide to TLS and SRTP on trunks."""
    found = []
    if setup.transport == "TLS":
        if setup.user is None:
            found.append("Will not work: over TLS 3CX needs an account. Give the trunk accepts_registration.")
        if setup.certificate_wanted:
            found.append("Will not work: 3CX shows no certificate of its own. Take client_ca or client_certificates out of the realm.")
        if setup.host.replace(".", "").isdigit() or ":" in setup.host:
            found.append("Will not work: over TLS 3CX needs a host name. Put it first in 'domains' of the realm, and into the certificate.")
    if setup.encryption == "dtls":
        found.append("Will not work: 3CX has no DTLS on trunks. Use srtp: sdes.")
    return found


def _threecx_identity(setup: Setup) -> Fields:
    return [("P-Asserted Identity: User Part", "OutboundCallerID Outbound caller ID")] if setup.asserts else []
