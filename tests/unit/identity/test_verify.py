"""Signing, and what a verifier makes of it; the cases with expected answers are in tests/vectors/test_passport.py."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from sbc.frozen import replace
from sbc.identity.authority import TN_AUTH_LIST, Authority, Numbers
from sbc.identity.credential import MAX_CHAIN, Trust, credential, read_chain, read_revoked
from sbc.identity.faults import BadIdentityInfo, InvalidPassport, UnsupportedCredential
from sbc.identity.location import check_url, public
from sbc.identity.parties import party
from sbc.identity.passport import read, signed
from sbc.identity.replays import KEPT, WINDOW_S, Replays
from sbc.identity.verdict import MAX_HEADERS, Claimed, Verstat
from sbc.identity.verify import Credentials, locations, verify
from sbc.sip.fields.signed_identity import SignedIdentity
from sbc.sip.uri import Uri
from tests.unit.identity import pki
from tests.unit.identity.pki import NOW, URL, pem

CALLER, CALLED = "12155550121", "12155550131"
ROOT = pki.Authority()
KEY, LEAF = ROOT.leaf()
CHAINS = {URL: pem(LEAF)}
CLAIMS: dict[str, Any] = {
    "attest": "A",
    "dest": {"tn": [CALLED]},
    "iat": NOW,
    "orig": {"tn": CALLER},
    "origid": "123e4567-e89b-12d3-a456-426655440000",
}


def identity(claims: dict[str, Any] | None = None, *, key: ec.EllipticCurvePrivateKey = KEY, ppt: str | None = "shaken") -> str:
    return str(SignedIdentity(signed(claims or CLAIMS, key, URL, ppt), URL, ppt=ppt))


def asked(*identities: str, called: str = CALLED, request: str = CALLED) -> Claimed:
    return Claimed(identities, (CALLER,), called, request)


def verstat(*identities: str, chains: dict[str, bytes] = CHAINS, trust: Trust = ROOT.trust, now: float = NOW) -> Verstat:
    return verify(asked(*identities), chains, Credentials(trust), now).verstat


def test_STI_02_what_is_signed_is_verified_and_in_canonical_form() -> None:
    token = identity().partition(";")[0]
    passport = read(token)
    assert passport.signed.count(b".") == 1
    assert list(passport.header) == ["alg", "ppt", "typ", "x5u"]
    assert list(passport.claims) == ["attest", "dest", "iat", "orig", "origid"]
    verdict = verify(asked(identity()), CHAINS, Credentials(ROOT.trust), NOW)
    assert (verdict.verstat, verdict.attest, verdict.origid) == (Verstat.PASSED, "A", CLAIMS["origid"])


@pytest.mark.parametrize(
    "wrong", [{"attest": "D"}, {"origid": ""}, {"iat": -1}, {"iat": True}, {"iat": 1.5}, {"orig": {"tn": "+1"}}, {"dest": {}}]
)
def test_nothing_is_signed_that_a_verifier_would_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidPassport):
        identity(CLAIMS | wrong)


@given(st.data())
def test_no_changed_octet_is_accepted(data: st.DataObject) -> None:
    """But for one thing: the value of ppt may stand in quotes or not."""
    good = identity()
    at = data.draw(st.integers(0, len(good) - 1))
    octet = data.draw(st.characters(max_codepoint=255))
    changed = data.draw(st.sampled_from([good[:at] + octet + good[at + 1 :], good[:at] + octet + good[at:], good[:at] + good[at + 1 :]]))
    try:
        same = SignedIdentity.parse(changed) == SignedIdentity.parse(good)
    except Exception:
        same = False
    if not same:
        assert verstat(changed) != Verstat.PASSED


@given(
    st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,90};info=<https://a/b>(;ppt=shaken)?")
)
def test_any_text_is_an_answer(text: str) -> None:
    assert verstat(text) != Verstat.PASSED
    locations(asked(text))


def test_STV_02_one_valid_header_is_enough_and_many_are_not_looked_at() -> None:
    assert verstat("nonsense", identity()) == Verstat.PASSED
    assert verstat(*["nonsense"] * MAX_HEADERS, identity()) == Verstat.FAILED


@pytest.mark.parametrize(("seconds", "status"), [(60, None), (61, 403), (-60, None), (-61, 403)])
def test_TMD_15_a_passport_is_fresh_for_a_minute_both_ways(seconds: int, status: int | None) -> None:
    verdict = verify(asked(identity()), CHAINS, Credentials(ROOT.trust), NOW + seconds)
    assert (verdict.refusal.status if verdict.refusal else None) == status


def test_TRAP_06_whole_chains_on_port_8443_and_no_date() -> None:
    middle = pki.Authority("middle", ROOT)
    key, leaf = middle.leaf()
    url = "https://certs.example.org:8443/1234.pem"
    text = str(SignedIdentity(signed(CLAIMS, key, url, "shaken"), url, ppt="shaken"))
    assert locations(asked(text)) == (url,)
    assert verstat(text, chains={url: pem(leaf, middle.certificate)}) == Verstat.PASSED
    assert verstat(text, chains={url: pem(leaf)}) == Verstat.FAILED


def test_a_compact_form_is_rebuilt_from_the_request() -> None:
    claims = {"dest": {"tn": [CALLED]}, "iat": NOW, "orig": {"tn": CALLER}}
    compact = ".." + signed(claims, KEY, URL, None).rpartition(".")[2]
    text = str(SignedIdentity(compact, URL))
    question = Claimed((text,), (CALLER,), CALLED, CALLED, NOW)
    assert verify(question, CHAINS, Credentials(ROOT.trust), NOW).verstat == Verstat.PASSED
    other = Claimed((text,), ("12155550122",), CALLED, CALLED, NOW)
    assert verify(other, CHAINS, Credentials(ROOT.trust), NOW).verstat == Verstat.FAILED
    assert verify(asked(text), CHAINS, Credentials(ROOT.trust), NOW).refusal is not None  # no Date


def test_a_certificate_that_did_not_come_in_time_is_no_reason_to_wait() -> None:
    verdict = verify(asked(identity()), {}, Credentials(ROOT.trust), NOW)
    assert verdict.refusal is not None
    assert (verdict.verstat, verdict.refusal.status) == (Verstat.FAILED, 436)


def test_a_certificate_authority_may_not_do_more_than_it_was_allowed() -> None:
    tight = pki.Authority("tight", ROOT, path_length=0)
    below = pki.Authority("below", tight)
    _, leaf = below.leaf()
    with pytest.raises(UnsupportedCredential, match="issued"):
        credential([leaf, below.certificate, tight.certificate], ROOT.trust, NOW)
    _, fine = tight.leaf()
    assert credential([fine, tight.certificate], ROOT.trust, NOW).authority.codes == ("1234",)


def test_a_signer_is_no_authority() -> None:
    key, leaf = ROOT.leaf()
    forged = pki.Authority("SHAKEN 1234")
    forged.key = key
    _, other = forged.leaf()
    with pytest.raises(UnsupportedCredential, match="issued"):
        credential([other, leaf], ROOT.trust, NOW)


def test_a_chain_ends_somewhere() -> None:
    chain = [ROOT]
    for number in range(MAX_CHAIN):
        chain.append(pki.Authority(f"level {number}", chain[-1]))
    _, leaf = chain[-1].leaf()
    with pytest.raises(UnsupportedCredential):
        credential([leaf, *(each.certificate for each in reversed(chain))], ROOT.trust, NOW)


@pytest.mark.parametrize(("moment", "good"), [(-3601, False), (-3600, True), (3600, True), (3601, False)])
def test_STV_08_certificates_have_their_time(moment: int, good: bool) -> None:
    if good:
        assert credential([LEAF], ROOT.trust, NOW + moment)
    else:
        with pytest.raises(UnsupportedCredential, match="time"):
            credential([LEAF], ROOT.trust, NOW + moment)


@pytest.mark.parametrize(
    "octets", ["30", "3003a00116", "3000", "3004a0021600ff", "30053003020101", "30" + "84ffffffff", "3006a1043002", ""]
)
def test_broken_lists_of_numbers(octets: str) -> None:
    _, leaf = ROOT.leaf(bytes.fromhex(octets))
    with pytest.raises(UnsupportedCredential):
        credential([leaf], ROOT.trust, NOW)


@given(st.binary(max_size=60))
def test_any_list_of_numbers_is_an_answer(octets: bytes) -> None:
    leaf = ROOT.issue(KEY, "any", extensions=((TN_AUTH_LIST, octets, False),))
    try:
        credential([leaf], ROOT.trust, NOW)
    except UnsupportedCredential:
        return


def test_STV_15_a_delegate_gives_away_no_more_than_it_has() -> None:
    have = Authority((), (Numbers("12155550100", 100),))
    assert have.encompasses(Authority((), (Numbers("12155550150", 50),)))
    assert not have.encompasses(Authority((), (Numbers("12155550150", 51),)))
    assert not have.encompasses(Authority(("1234",)))
    assert Authority(("1234",)).encompasses(Authority((), (Numbers("1"),)))


def test_STV_08_what_was_revoked() -> None:
    """Entries that name no issuer are of whoever signs the list."""
    revoked, late = read_revoked(ROOT.revoked(LEAF), [ROOT.certificate], NOW)
    assert not late
    with pytest.raises(UnsupportedCredential, match="revoked"):
        credential([LEAF], Trust((ROOT.certificate,), revoked), NOW)
    _, other = ROOT.leaf()
    assert credential([other], Trust((ROOT.certificate,), revoked), NOW)
    assert read_revoked(ROOT.revoked(LEAF), [ROOT.certificate], NOW + 3601)[1]
    with pytest.raises(ValueError, match="signed"):
        read_revoked(ROOT.revoked(LEAF), [pki.Authority().certificate], NOW)


def test_numbers_of_other_length_are_others() -> None:
    some = Numbers("0100", 10)
    assert "0109" in some
    assert "0110" not in some
    assert "100" not in some
    assert "00100" not in some
    assert "x" not in some


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.example/c", "https://a.example:444/c", "https://u@a.example/c", "https://a.example/c?q", "https://a.example/c#f"),
        *("https://127.0.0.1/c", "https://[::1]/c", "https://[::ffff:10.0.0.1]/c", "https://169.254.169.254/c", "https://127.1/c"),
        *(
            "https://2130706433/c",
            "https://0x7f000001/c",
            "ftp://a.example/c",
            "https:///c",
            "https://a.example:x/c",
            "https://a.example/\x7f",
        ),
        "https://[fe80::1%25eth0]/c",
    ],
)
def test_STV_06_urls_that_are_not_asked(url: str) -> None:
    with pytest.raises(BadIdentityInfo):
        check_url(url)


def test_STV_06_urls_that_are() -> None:
    assert check_url("https://certs.example.org/a/b.pem") == ("certs.example.org", 443)
    assert check_url("https://certs.example.org:8443/b") == ("certs.example.org", 8443)
    assert check_url("https://9.9.9.9/b") == ("9.9.9.9", 443)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "::ffff:192.168.0.1", "2002:7f00:1::", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "100.64.0.1"]
)
def test_STV_06_addresses_that_are_ours(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sip:+1-215-555-0121@example.net;user=phone", "12155550121"),
        ("tel:+1(215)555.0121", "12155550121"),
        ("sip:+12155550121;npdi@example.net", "12155550121"),
        ("sip:alice@Example.NET:5070;transport=tcp", "sip:alice@example.net"),
        ("urn:service:sos", "urn:service:sos"),
        ("sip:example.net", "sip:example.net"),
    ],
)
def test_STI_03_who_is_meant(uri: str, said: str) -> None:
    assert party(Uri.parse(uri)) == said


def test_what_is_no_certificate() -> None:
    for octets in (b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"-" * 70_000):
        with pytest.raises(BadIdentityInfo):
            read_chain(octets)


def test_STV_12_a_proof_belongs_to_the_call_it_came_with_first() -> None:
    replays = Replays()
    first, other = replace(asked(identity()), call_id="a"), replace(asked(identity()), call_id="b")
    stolen = replace(first, call_id="c")
    assert not replays.seen(first, 0.0)
    assert not replays.seen(first, 1.0)  # the same call, by another way
    assert not replays.seen(other, 1.0)
    assert replays.seen(stolen, 2.0)
    assert replays.seen(replace(first, identities=(first.identities[0].replace("shaken", "SHAKEN"),), call_id="d"), 3.0)
    assert not replays.seen(stolen, WINDOW_S + 1)  # by then it is stale


def test_STV_12_another_signature_made_of_the_first_is_no_other_proof() -> None:
    """(R, N - S) is as valid as (R, S), and anybody can work it out."""
    token = identity().partition(";")[0]
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
    signature = read(token).signature
    other = signature[:32] + (order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    forged = f"{token.rpartition('.')[0]}.{urlsafe_b64encode(other).rstrip(b'=').decode()}{identity()[len(token) :]}"
    assert verstat(forged) == Verstat.PASSED
    replays = Replays()
    assert not replays.seen(replace(asked(token), call_id="a"), 0.0)
    assert replays.seen(replace(asked(forged), call_id="b"), 1.0)


def test_STV_12_no_flood_fills_the_memory() -> None:
    replays = Replays()
    for number in range(2 * KEPT // 10):
        replays.seen(Claimed(tuple(f"{number}.{each}.{'x' * 86}" for each in range(10)), ("1",), "2", "2", call_id="x"), 0.0)
    assert len(replays) <= KEPT + 10
    replays.seen(asked(), 2 * WINDOW_S)
    assert len(replays) == 0
