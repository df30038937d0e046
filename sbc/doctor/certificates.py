"""Certificates: what we show the peer, whether it is what the process shows, and what the peer shows us."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_connection

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sbc.doctor.finding import Finding, good, note, wrong
from sbc.net.identity import Certificate
from sbc.net.tls import alternative_names
from sbc.policy.realms import KeyPair, Listener, Realm
from sbc.policy.snapshot import Trunk

SOON = timedelta(days=30)
HANDSHAKE = 3.0  # seconds; with ourselves
FLIGHTS = 10  # of a handshake in memory; TLS has four


def ours(realm: Realm, trunk: Trunk) -> Iterator[Finding]:
    """Those that the peer gets from us."""
    listeners = [listener for listener in realm.listeners if listener.transport == "TLS"]
    shown = list(realm.certificates) if listeners else []
    if trunk.certificate is not None:
        shown.append(trunk.certificate)
    for pair in shown:
        yield from _of_file(pair)
    names = [name for pair in realm.certificates for name in alternative_names(pair)]
    if listeners and (trunk.registers is not None or trunk.accept_from) and realm.domains[0] not in names:
        change = f"put a certificate for that into certs/, or a name of the certificate first in 'domains' of realm {realm.name}"
        yield wrong(f"our certificate is for {', '.join(names) or 'nobody'}, and PBXs are told {realm.domains[0]}", change)
    for listener in listeners:
        yield _shown_at(listener, realm)


def _of_file(pair: KeyPair) -> Iterator[Finding]:
    certificate, now = _first(pair), datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name, private = f"certificate {pair.certificate}", Path(pair.certificate).with_name("ca.pem")
    if ends < now:
        yield wrong(f"{name} has expired on {ends:%Y-%m-%d}", "renew it, then send SIGHUP to the process")
        return
    if begins > now:
        yield wrong(f"{name} is not valid before {begins:%Y-%m-%d %H:%M} UTC", "is the clock of this machine right? look at `timedatectl`")
        return
    if ends < now + SOON:
        yield note(f"{name} expires on {ends:%Y-%m-%d}", "renew it in time")
    what = f"{name}: until {ends:%Y-%m-%d}, for {', '.join(alternative_names(pair)) or 'nobody'}"
    refusal = _refusal(pair, None)
    if not refusal:
        yield good(f"{what}; it verifies with the authorities of this system")
    elif private.exists() and not _refusal(pair, private):
        yield good(f"{what}; it verifies for who has {private}")
    else:
        change = "is the certificate of an issuer missing behind ours, or is it an authority that only your peers know?"
        yield note(f"{what}; it does not verify here ({refusal})", change)


def _refusal(pair: KeyPair, authority: Path | None) -> str:
    """Why a client that trusts `authority`, or the system's, would refuse us; "" if it would not. A handshake in memory."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(pair.certificate, pair.key)
    client.check_hostname = False  # SIP has its own rules for names
    if authority is None:
        client.load_default_certs()
    else:
        client.load_verify_locations(authority)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    for flight in range(FLIGHTS):
        try:
            sides[flight % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return ""


def _shown_at(listener: Listener, realm: Realm) -> Finding:
    """A renewed certificate that nobody has loaded helps nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only to see which it is
    where = f"{listener.address}:{listener.port}"
    try:
        with (
            create_connection(listener.local, HANDSHAKE) as plain,
            context.wrap_socket(plain, server_hostname=realm.domains[0]) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or type(error).__name__
        return note(f"no TLS at our own {where} ({why})", "nothing is running, or not with this policy")
    if shown in [_first(pair).public_bytes(Encoding.DER) for pair in realm.certificates]:
        return good(f"TLS at {where} shows the certificate of the file")
    return wrong(f"TLS at {where} shows another certificate than the file has", "send SIGHUP to the process, so that it takes the new one")


def of_peer(certificate: Certificate, name: str) -> Iterator[Finding]:
    """One that has verified: how long it will."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    if ends < datetime.now(UTC) + SOON:
        yield note(f"the certificate of {name} expires on {ends:%Y-%m-%d}", "tell its operator")


def _first(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes())
