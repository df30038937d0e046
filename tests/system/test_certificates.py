"""A certificate that is renewed while `sbc run --watch` serves: new connections get it, and nobody loses the one he has."""

from __future__ import annotations

import time
from pathlib import Path
from ssl import SSLSocket

from cryptography import x509

from sbc import devcerts
from tests.system.peers import Phone, running

OUTSIDE, PHONE = "127.0.0.81", "127.0.0.84"
POLICY = f"""\
version: 1
realms:
  outside: {{signalling: [tls://{OUTSIDE}:5061], relay: {{address: {OUTSIDE}, ports: 20000-20099}}, certificate: edge}}
trunks:
  phone: {{realm: outside, accept_from: [{PHONE}], peer: "sip:{PHONE};transport=tls", media: plain}}
routes: []
emergency: {{outside: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""
SECONDS = 15.0


def serial(phone: Phone) -> int:
    assert isinstance(phone.sock, SSLSocket)
    return x509.load_der_x509_certificate(phone.sock.getpeercert(binary_form=True) or b"").serial_number


def answers(phone: Phone) -> None:
    phone.send(phone.request("OPTIONS", f"sip:{OUTSIDE}", f"<sip:{OUTSIDE}>"))
    phone.expect(200)


def test_a_renewed_certificate_is_taken_and_no_connection_lost(tmp_path: Path) -> None:
    certs = tmp_path / "sbc" / "certs"
    devcerts.make(certs, [OUTSIDE], users=())
    with running(tmp_path / "sbc", POLICY, "--watch") as sbc:
        first = Phone.tls("phone", PHONE, OUTSIDE, certs / "ca.pem")
        answers(first)
        for half in ("edge.key", "edge.pem"):  # the key first, which does not fit until the other half is there
            (certs / half).unlink()
        devcerts.make(certs, [OUTSIDE], users=())
        end = time.monotonic() + SECONDS
        while "contents=" not in sbc.log:
            assert time.monotonic() < end, sbc.log
            time.sleep(0.05)
        second = Phone.tls("phone", PHONE, OUTSIDE, certs / "ca.pem")
        assert serial(second) != serial(first)
        answers(second)
        answers(first)
        for phone in (first, second):
            phone.sock.close()
        assert 'contents="certs/edge.pem, certs/edge.key"' in sbc.log
