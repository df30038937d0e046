"""pjsip.conf, for Asterisk 18 and newer."""

from __future__ import annotations

from collections.abc import Sequence

from sbc.pbx.setup import Setup
from sbc.sip.uri import format_host

AUTHORITY = "/etc/asterisk/keys/sbc-ca.pem"
PUBLIC_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
FORMATS = {
    "pcma": "alaw",
    "pcmu": "ulaw",
    "g722": "g722",
    "g729": "g729",
    "g723": "g723",
    "gsm": "gsm",
    "ilbc": "ilbc",
    "opus": "opus",
    "speex": "speex",
    "g726-32": "g726",
    "l16": "slin",
}
AGAIN_S = 5  # without a connection or an answer, as while we start anew: calls to it wait for twice as long
RETRY_S = 60  # after any refusal: a limit of ours, or a password that is wrong for a while, passes
LAST_RETRY = 1_000_000  # Asterisk counts, and has no word for ever
ASK_S = 30  # OPTIONS by which it notices within a minute that we are gone; they keep the connection open, too

Rows = Sequence[tuple[str, str]]


def text(setup: Setup, authority: str = AUTHORITY) -> str:
    """The whole file. `authority`: where the PBX has a copy of `setup.authority`."""
    name = setup.trunk
    parts = [
        _head(setup, authority),
        _section(_transport_name(setup), _transport(setup, authority)),
        *([_section(f"{name}-auth", _auth(setup)), _section(f"{name}-registration", _registration(setup))] if setup.user else []),
        _section(name, [("type", "aor"), ("contact", uri(setup)), ("qualify_frequency", str(ASK_S))]),
        _section(f"{name}-identify", [("type", "identify"), ("endpoint", name), *[("match", each) for each in setup.addresses]]),
        _section(name, _endpoint(setup)),
    ]
    return "\n".join(parts)


def formats(setup: Setup) -> list[str]:
    """The codecs by Asterisk's names; those it has none for are left out."""
    return [FORMATS[codec.lower()] for codec in setup.codecs if codec.lower() in FORMATS]


def uri(setup: Setup, user: str = "") -> str:
    """As it stands in a configuration file, where a plain semicolon would begin a comment."""
    host = format_host(setup.host, setup.port)
    return f"sip:{user}@{host}" if user else f"sip:{host}" + ("" if setup.transport == "UDP" else f"\\;transport={setup.transport.lower()}")


def _head(setup: Setup, authority: str) -> str:
    name = setup.trunk
    lines = [
        f"pjsip.conf of Asterisk (18 or newer) for trunk {name!r} of the SBC at {setup.host}.",
        "Put it into a file of its own and #include that in pjsip.conf.",
        f"If there is a transport for {setup.transport} already, leave out [{_transport_name(setup)}] and name that one in its place.",
        *setup.warnings,
    ]
    if setup.authority is not None:
        lines.append(f"Copy {setup.authority} of the SBC to {authority}.")
    if setup.user and setup.password is None:
        lines.append(f"The password of account {setup.user!r} is not shown (--show-password): {setup.kept_in}")
    lines += [
        "extensions.conf: what the SBC calls is found in [from-sbc], as +E.164 where the policy has numbers;",
        f"calls to it: Dial(PJSIP/${{EXTEN}}@{name})",
        *([f"At most {setup.calls} calls at a time."] if setup.calls is not None else []),
    ]
    return "".join(f"; {line}\n" for line in lines)


def _section(name: str, rows: Rows) -> str:
    return f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in rows)


def _transport_name(setup: Setup) -> str:
    return f"transport-sbc-{setup.transport.lower()}"


def _transport(setup: Setup, authority: str) -> Rows:
    any_address = "[::]" if ":" in setup.addresses[0] else "0.0.0.0"  # noqa: S104 - of the PBX, not ours
    port = 5061 if setup.transport == "TLS" else 5060
    rows = [("type", "transport"), ("protocol", setup.transport.lower()), ("bind", f"{any_address}:{port}")]
    if setup.transport != "TLS":
        return rows
    rows += [("method", "tlsv1_2"), ("ca_list_file", authority if setup.authority else PUBLIC_AUTHORITIES), ("verify_server", "yes")]
    if setup.certificate_wanted:
        rows += [("cert_file", "/etc/asterisk/keys/asterisk.crt"), ("priv_key_file", "/etc/asterisk/keys/asterisk.key")]
    return rows


def _auth(setup: Setup) -> Rows:
    assert setup.user is not None
    rows = [("type", "auth"), ("auth_type", "userpass"), ("username", setup.user), ("password", setup.secret.replace(";", "\\;"))]
    if "MD5" not in setup.algorithms:  # Asterisk 20.12, 21.7, 22.2
        rows.append(("supported_algorithms_uac", ",".join(algorithm.lower() for algorithm in setup.algorithms)))
    return rows


def _registration(setup: Setup) -> Rows:
    assert setup.user is not None
    return [
        ("type", "registration"),
        ("transport", _transport_name(setup)),
        ("outbound_auth", f"{setup.trunk}-auth"),
        ("server_uri", uri(setup)),
        ("client_uri", uri(setup, setup.user)),
        ("contact_user", setup.user),
        ("line", "yes"),
        ("endpoint", setup.trunk),
        ("support_path", "yes"),
        ("expiration", str(setup.expires)),
        ("retry_interval", str(AGAIN_S)),
        ("forbidden_retry_interval", str(RETRY_S)),
        ("fatal_retry_interval", str(RETRY_S)),
        ("max_retries", str(LAST_RETRY)),
        ("auth_rejection_permanent", "no"),
    ]


def _endpoint(setup: Setup) -> Rows:
    rows = [
        ("type", "endpoint"),
        ("transport", _transport_name(setup)),
        ("context", "from-sbc"),
        ("aors", setup.trunk),
        *([("outbound_auth", f"{setup.trunk}-auth")] if setup.user else []),
        ("from_domain", setup.host),
        ("disallow", "all"),
        ("allow", ",".join(formats(setup))),
        ("dtmf_mode", "rfc4733" if setup.digits else "inband"),
        ("direct_media", "no"),
        ("rtp_symmetric", "yes"),
        ("force_rport", "yes"),
        ("rewrite_contact", "yes"),
        ("timers", "yes"),
        ("trust_id_inbound", "yes"),
    ]
    if setup.asserts:
        rows += [("send_pai", "yes"), ("trust_id_outbound", "yes")]
    if setup.fax:
        rows += [("t38_udptl", "yes"), ("t38_udptl_ec", "redundancy")]
    return [*rows, *_encryption(setup)]


def _encryption(setup: Setup) -> Rows:
    match setup.encryption:
        case "none":
            return [("media_encryption", "no")]
        case "sdes":
            return [("media_encryption", "sdes")]
        case "optional":
            return [("media_encryption", "sdes"), ("media_encryption_optimistic", "yes")]
        case "dtls":
            return [
                *[("media_encryption", "dtls"), ("dtls_auto_generate_cert", "yes"), ("dtls_verify", "fingerprint")],
                *[("dtls_setup", "actpass"), ("ice_support", "yes"), ("rtcp_mux", "yes")],
            ]
