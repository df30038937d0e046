"""The tokens printed in RFCs, and 54 calls with what a verifier has to say of them, under a fixed clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sbc.identity.credential import MAX_OCTETS, Trust, read_revoked
from sbc.identity.faults import IdentityFault, InvalidPassport
from sbc.identity.parties import party
from sbc.identity.passport import canonical, read
from sbc.identity.verdict import Claimed, Verstat
from sbc.identity.verify import Credentials, locations, verify
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.uri import Uri

HERE = Path(__file__).parent / "passport"
CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in json.loads((HERE / "shaken_cases.json").read_text())["cases"]}
RFC_TOKENS: list[dict[str, Any]] = json.loads((HERE / "rfc_tokens.json").read_text())["tokens"]
FULL = [token for token in RFC_TOKENS if not token.get("compact") and token["payload_json_valid"]]
SLOPPY = "RFC 8946 5 (div-o)"  # a number where a list of numbers has to be


def certificate(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((HERE / path).read_bytes())


def trust(case: dict[str, Any]) -> Trust:
    roots = tuple(certificate(path) for path in case["trust_anchors"])
    revoked, _ = read_revoked((HERE / case["crl"]).read_bytes(), [certificate("pki/sti-pa-crl-issuer.cert.pem")], case["verify_at"])
    return Trust(roots, revoked)


def question(case: dict[str, Any]) -> Claimed:
    sip = case["sip"]
    caller = party(NameAddr.parse(sip["pai"] or sip["from_"]).uri)
    called = party(NameAddr.parse(sip["to"]).uri)
    identities = case["identity"]
    if case["id"] == "huge-token":
        identities = [f"{'A' * 20}.{'A' * 100_000}.{'A' * 86};info=<https://certs.example.org/leaf-spc1234.pem>;alg=ES256;ppt=shaken"]
    return Claimed(tuple(identities), (caller,), called, party(Uri.parse(sip["request_uri"])))


def fetched(url: str, what: str) -> bytes | None:
    match what.split():
        case ["HTTP", *_]:
            return None
        case ["MUST", "NOT", *_]:
            raise AssertionError(f"{url} must not be fetched")
        case ["text/html", page]:
            return page.encode()
        case [size, "octets"]:
            return b"-" * int(size)
        case _:
            return (HERE / what).read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_STI_cases(name: str) -> None:
    case = CASES[name]
    asked = question(case)
    chains = {url: octets for url in locations(asked) if (octets := fetched(url, case["x5u_fetch"][url])) is not None}
    verdict = verify(asked, chains, Credentials(trust(case)), case["verify_at"])
    expected = case["expect"]
    assert verdict.verstat == expected["verstat"], verdict
    refusal = verdict.refusal
    assert (refusal.status if refusal else None) == expected["sip_code_if_enforcing"], verdict
    assert (refusal.reason if refusal else None) == expected["reason_phrase"], verdict
    assert verdict.attest == expected.get("attest")
    assert list(verdict.diverted) == expected.get("div_chain", [])
    assert verdict.name == expected.get("rcd_nam")


@pytest.mark.parametrize("token", FULL, ids=lambda token: token["source"])
def test_tokens_of_the_rfcs(token: dict[str, Any]) -> None:
    if token["source"] == SLOPPY:
        with pytest.raises(InvalidPassport, match="dest"):
            read(token["token"])
        return
    passport = read(token["token"])
    assert canonical(passport.header) == token["header_text"]
    assert canonical(passport.claims) == token["payload_text"]
    key = load_pem_public_key((HERE / token["public_key"]).read_bytes())
    assert passport.verified(key) is token["signature_verifies"]  # type: ignore[arg-type]


def test_a_token_that_is_not_json() -> None:
    (broken,) = [token["token"] for token in RFC_TOKENS if not token.get("compact") and not token["payload_json_valid"]]
    with pytest.raises(IdentityFault):
        read(broken)


def test_nobody_to_ask_is_no_failure() -> None:
    asked = Claimed((), ("12155550121",), "12155550131", "12155550131")
    verdict = verify(asked, {}, Credentials(Trust(())), 1767225600)
    assert verdict.verstat == Verstat.NONE
    assert verdict.refusal is not None
    assert (verdict.refusal.status, verdict.refusal.reason) == (428, "Use Identity Header")
    assert MAX_OCTETS < 10 * 1024 * 1024
