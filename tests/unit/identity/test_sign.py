"""What we sign, octet by octet, and what stands for a customer."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from sbc.identity.faults import InvalidPassport
from sbc.identity.passport import read
from sbc.identity.sign import Key, origid_of
from sbc.identity.signature import ToSign
from sbc.sip.fields.date import date_of, seconds_of
from sbc.sip.fields.signed_identity import SignedIdentity
from tests.unit.identity.pki import NOW, URL

KEY = Key(ec.generate_private_key(ec.SECP256R1()), URL)
SHAKEN = ToSign("office", "A", "12155550121", "12155550131", NOW)


def parts(header: str) -> list[str]:
    return [urlsafe_b64decode(part + "==").decode() for part in header.split(".")[:2]]


def test_STI_02_STI_04_the_octets_that_are_signed() -> None:
    header = KEY.sign(SHAKEN, "123e4567-e89b-12d3-a456-426655440000")
    assert parts(header) == [
        f'{{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"{URL}"}}',
        f'{{"attest":"A","dest":{{"tn":["12155550131"]}},"iat":{NOW},"orig":{{"tn":"12155550121"}},'
        '"origid":"123e4567-e89b-12d3-a456-426655440000"}',
    ]
    assert header.endswith(f';info=<{URL}>;alg=ES256;ppt="shaken"')
    assert read(SignedIdentity.parse(header).token).verified(KEY.private.public_key())


def test_STI_09_the_octets_of_a_diversion() -> None:
    header = KEY.sign(ToSign("office", "", "12155550121", "12155550199", NOW, "12155550131"), "never said")
    assert json.loads(parts(header)[0])["ppt"] == "div"
    assert parts(header)[1] == (
        f'{{"dest":{{"tn":["12155550199"]}},"div":{{"tn":"12155550131"}},"iat":{NOW},"orig":{{"tn":"12155550121"}}}}'
    )


def test_nothing_is_signed_that_no_verifier_takes() -> None:
    with pytest.raises(InvalidPassport):
        KEY.sign(ToSign("office", "A", "alice", "12155550131", NOW), "x")


def test_STI_05_origid_is_a_uuid_that_only_we_can_work_out() -> None:
    one = origid_of(b"secret", "office")
    assert one == origid_of(b"secret", "office") == str(UUID(one))
    assert UUID(one).version == 8
    assert len({one, origid_of(b"other", "office"), origid_of(b"secret", "plant")}) == 3
    other = Key(ec.generate_private_key(ec.SECP256R1()), URL)
    assert KEY.secret == Key(KEY.private, "https://other.example/").secret != other.secret


@given(st.integers(0, 4_000_000_000))
def test_a_date_is_read_as_it_was_written(seconds: int) -> None:
    assert seconds_of(date_of(seconds)) == seconds
