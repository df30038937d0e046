"""Tokens of a JOSE library that knows nothing of telephones, built by hand: it takes ours, we take its, and both refuse the same."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey

from sbc.identity.passport import read
from sbc.identity.sign import Key
from sbc.identity.signature import ToSign
from sbc.identity.verdict import Verstat
from sbc.sip.fields.signed_identity import SignedIdentity
from tests.unit.identity.pki import NOW, URL
from tests.unit.identity.test_verify import CALLED, CALLER, CLAIMS, KEY, verstat

FOREIGN = ECKey.import_key(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
HEADER = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": URL}
REGISTRY = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)


def theirs(claims: dict[str, object], key: ECKey = FOREIGN, header: dict[str, str] = HEADER) -> str:
    token = jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=REGISTRY)
    return f"{token};info=<{URL}>;alg=ES256;ppt=shaken"


def test_STI_02_they_verify_ours() -> None:
    token = SignedIdentity.parse(Key(KEY, URL).sign(ToSign("x", "B", CALLER, CALLED, NOW), CLAIMS["origid"])).token
    found = jws.deserialize_compact(token, FOREIGN, registry=REGISTRY)
    assert found.headers() == HEADER
    assert json.loads(found.payload) == CLAIMS | {"attest": "B"}
    first, claims, signature = token.split(".")
    changed = urlsafe_b64encode(json.dumps(CLAIMS | {"attest": "A"}).encode()).rstrip(b"=").decode()
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(f"{first}.{changed}.{signature}", FOREIGN, registry=REGISTRY)
    assert claims != changed


@pytest.mark.parametrize("order", [list(CLAIMS), list(reversed(CLAIMS))])
def test_STV_11_we_verify_theirs_whatever_the_order_and_the_spaces(order: list[str]) -> None:
    assert verstat(theirs({name: CLAIMS[name] for name in order})) == Verstat.PASSED
    assert read(theirs(CLAIMS).partition(";")[0]).claims == CLAIMS


def test_STV_11_and_refuse_what_they_signed_with_another_key_or_of_another_call() -> None:
    other = ECKey.generate_key("P-256")
    assert verstat(theirs(CLAIMS, other)) == Verstat.FAILED
    assert verstat(theirs(CLAIMS | {"orig": {"tn": "12155550199"}})) == Verstat.FAILED
    assert verstat(theirs(CLAIMS, header=HEADER | {"typ": "JWT"})) == Verstat.FAILED
