"""Calls that we sign (RFC 8224 s6.1, ATIS-1000074): who answers for the caller, and that it is about the call that is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.identity.passport import Passport, compact, read, signed
from sbc.identity.sign import Key
from sbc.identity.signature import Signature
from sbc.identity.verdict import Claimed, Verstat
from sbc.identity.verify import Credentials, verify
from sbc.inputs import Signed
from sbc.sip.fields.signed_identity import SignedIdentity
from sbc.sip.message import Request
from tests.scenarios.cast import TRUSTED, Cast
from tests.scenarios.cast import policy as cast_policy
from tests.unit.identity import pki
from tests.unit.identity.pki import NOW, URL
from tests.vectors.test_passport import HERE
from tests.world import sdp

CALLER, CALLED, ELSEWHERE = "+12155550121", "+12155550131", "+12155550199"
ROOT = pki.Authority()
KEY, LEAF = ROOT.leaf()
OURS = Key(KEY, URL)
OWNS = f'numbers: ["{CALLER}"]'


def policy(office: str = "", sign: str = "A", carrier: str = "trusted: true") -> str:
    keys = "; ".join(filter(None, (carrier, f"sign: {sign}")))
    return cast_policy(office=office, carrier=keys) + "identity: {sign: {certificate: stir, url: " + URL + "}}\n"


class Signing(Cast):
    def __init__(self, office: str = OWNS, sign: str = "A", carrier: str = TRUSTED) -> None:
        super().__init__(policy(office, sign, carrier))
        self.world.key = OURS

    def call(self, *headers: tuple[str, str], caller: str = CALLER, number: str = CALLED) -> Request:
        return self.told(*headers, from_=f"<sip:{caller}@10.0.0.20>", number=number)

    def record(self, request: Request) -> dict[str, Any]:
        self.carrier.answer(request, 486)
        self.office.expect_response(486)
        (record,) = self.world.records
        assert isinstance(record["b"], dict)
        signed: dict[str, Any] = record["b"]["signed"]
        return signed


def passport(request: Request) -> Passport:
    (text,) = request.headers.all("Identity")
    return read(SignedIdentity.parse(text).token)


def verified(request: Request, caller: str = CALLER, *, now: float = NOW) -> Verstat:
    """By a verifier who sees nothing but the request."""
    called = (request.uri.user or "").lstrip("+")
    asked = Claimed(tuple(request.headers.all("Identity")), (caller[1:],), (request.to.uri.user or "").lstrip("+"), called)
    return verify(asked, {URL: pki.pem(LEAF)}, Credentials(ROOT.trust), now).verstat


def test_STI_05_STI_07_a_call_of_a_customer_is_signed() -> None:
    cast = Signing()
    received = cast.call()
    found = passport(received)
    assert (found.ppt, found.claims["attest"], found.orig, found.dest) == ("shaken", "A", CALLER[1:], (CALLED[1:],))
    assert received.headers.all("Date") == ["Fri, 15 Jan 2027 08:00:00 GMT"]
    assert found.iat == NOW
    assert verified(received) == Verstat.PASSED
    assert cast.record(received) == {"ppt": "shaken", "attest": "A", "origid": found.claims["origid"], "diverted": None, "problem": None}


@pytest.mark.parametrize(
    ("office", "caller", "sign", "attest"),
    [
        (OWNS, CALLER, "A", "A"),
        (OWNS, ELSEWHERE, "A", "B"),
        ("", CALLER, "A", "B"),
        (TRUSTED, CALLER, "A", "C"),
        (f"{TRUSTED}; {OWNS}", CALLER, "A", "A"),
        (OWNS, CALLER, "B", "B"),
        (OWNS, CALLER, "C", "C"),
        (f"{OWNS}; attest: B", CALLER, "A", "B"),
        (f"{OWNS}; attest: C", CALLER, "B", "C"),
        ("attest: A", CALLER, "A", "B"),
        (f"{OWNS}; attest: no", CALLER, "A", None),
        (OWNS, CALLER, "no", None),
    ],
)
def test_STI_05_attestation_by_the_facts_and_no_more_than_allowed(office: str, caller: str, sign: str, attest: str | None) -> None:
    received = Signing(office, sign).call(caller=caller)
    if attest is None:
        assert not received.headers.all("Identity")
        assert not received.headers.all("Date")
    else:
        assert passport(received).claims["attest"] == attest


@pytest.mark.parametrize("shown", ["121", "5550121", "44812155550121", "2079460958", "12155550121"])
def test_STI_05_a_number_that_only_ends_as_one_of_the_customers_is_not_its_own(shown: str) -> None:
    """What is asserted is its own, what people see is not: who ends as it does need not be it."""
    received = Signing(OWNS).call(caller=shown)
    assert received.from_.uri.user == shown
    found = passport(received)
    assert (found.orig, found.claims["attest"]) == (CALLER[1:], "B")


@pytest.mark.parametrize(("style", "caller", "called"), [("digits", CALLER[1:], CALLED), ('{"+1": "0"}', f"0{CALLER[2:]}", CALLED)])
def test_STI_03_a_number_is_known_as_the_peer_has_it_written(style: str, caller: str, called: str) -> None:
    received = Signing(OWNS, carrier=f"{TRUSTED}; callers_as: {style}; called_as: {style}").call()
    assert received.from_.uri.user == caller
    found = passport(received)
    assert (found.orig, found.dest, found.claims["attest"]) == (CALLER[1:], (CALLED[1:],), "A")


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        ('STIR;cause=437;text="Unsupported Credential"', "437 Unsupported Credential"),
        ('STIR ;cause=438 ;ppi="{ours}"', "438"),
        ('SIP;cause=486, STIR;cause=436;text="Bad Identity Info";ppi="{ours}"', "436 Bad Identity Info"),
        ('STIR;cause=438;ppi="..' + 86 * "A" + '"', None),
        ("SIP;cause=486", None),
        ("STIR;cause=x", None),
    ],
)
@pytest.mark.parametrize("status", [180, 486])
def test_STV_05_what_the_called_side_says_of_our_signature_is_in_the_record(reason: str, problem: str | None, status: int) -> None:
    cast = Signing()
    received = cast.call(("Identity", "nonsense"))
    ours = compact(received.headers.all("Identity")[-1])
    cast.carrier.answer(received, status, headers=(("Reason", reason.format(ours=ours)),))
    if status < 200:
        cast.office.expect_response(status)
        assert cast.record(received)["problem"] == problem
        return
    cast.office.expect_response(status)
    (record,) = cast.world.records
    assert isinstance(record["b"], dict)
    assert (record["b"]["signed"]["ppt"], record["b"]["signed"]["problem"]) == ("shaken", problem)


def test_STI_05_numbers_of_the_inventory_are_the_customers_own() -> None:
    text = policy(office="") + f'numbers: {{"{CALLER}": office}}\n'
    cast = Cast(text)
    cast.world.key = OURS
    assert passport(cast.told(from_=f"<sip:{CALLER}@10.0.0.20>")).claims["attest"] == "A"


def test_STI_05_origid_is_the_customers_own_and_tells_nothing() -> None:
    first, second = passport(Signing().call()), passport(Signing().call(number=ELSEWHERE))
    assert first.claims["origid"] == second.claims["origid"]
    assert "office" not in first.claims["origid"]


def test_STI_03_what_is_signed_is_the_number_that_is_shown() -> None:
    """Asserted, as the dial plan has made it a global one; and nothing where the caller hides from whom we do not trust."""
    cast = Signing(office=f"{TRUSTED}; {OWNS}")
    received = cast.call(("P-Asserted-Identity", f"<sip:{CALLER}@10.0.0.20>"), caller=ELSEWHERE)
    assert passport(received).orig == CALLER[1:]
    cast = Signing(carrier="")
    received = cast.call(("Privacy", "id"))
    assert not received.headers.all("Identity")
    assert cast.record(received)["problem"] == "it shows no number of its caller"


def test_STI_03_a_number_without_country_is_not_signed() -> None:
    cast = Signing(office="")
    received = cast.call(caller="office")
    assert not received.headers.all("Identity")
    assert cast.record(received)["problem"] == "it shows no number of its caller"


def test_STI_08_who_calls_for_help_is_not_signed_and_waits_for_nobody() -> None:
    cast = Signing()
    cast.world.key = None
    cast.send(cast.office, "112", ())
    assert not cast.carrier.expect_request("INVITE").headers.all("Identity")
    assert cast.world.unsigned == []


def foreign(dest: str = CALLED, orig: str = CALLER, iat: int = NOW, key: ec.EllipticCurvePrivateKey = KEY) -> str:
    claims = {"attest": "A", "dest": {"tn": [dest[1:]]}, "iat": iat, "orig": {"tn": orig[1:]}, "origid": "x"}
    return str(SignedIdentity(signed(claims, key, URL, "shaken"), URL, ppt="shaken"))


def test_STI_01_what_somebody_has_signed_stays_and_is_enough() -> None:
    proof = foreign()
    cast = Signing(office=TRUSTED)
    received = cast.call(("Identity", proof))
    assert received.headers.all("Identity") == [proof]
    assert cast.record(received) is None


@pytest.mark.parametrize("other", ["nonsense", "", foreign(orig=ELSEWHERE), foreign(dest=ELSEWHERE)])
def test_STI_01_what_is_not_about_this_call_stays_and_ours_stands_beside_it(other: str) -> None:
    received = Signing().call(("Identity", other))
    first, second = received.headers.all("Identity")
    assert first == other
    assert read(SignedIdentity.parse(second).token).claims["attest"] == "A"
    assert verified(received) == Verstat.PASSED


def test_STI_01_nothing_is_signed_under_a_date_of_another_time() -> None:
    cast = Signing()
    received = cast.call(("Identity", "nonsense"), ("Date", "Fri, 15 Jan 2027 07:58:00 GMT"))
    assert received.headers.all("Identity") == ["nonsense"]
    assert cast.record(received)["problem"] == "its Date is of another time"


def test_STI_09_who_sends_a_call_on_says_so() -> None:
    """The PBX forwards a call to one of its numbers, with what was signed of it; nobody else may say that."""
    proof = foreign(dest=CALLED, orig=ELSEWHERE)
    for numbers, diverts in ((f'numbers: ["{CALLED[:-1]}*"]', True), ("", False)):
        cast = Signing(office=numbers)
        received = cast.call(("Identity", proof), caller=ELSEWHERE, number="+12155550177")
        first, second = received.headers.all("Identity")
        found = read(SignedIdentity.parse(second).token)
        assert (first, found.ppt) == (proof, "div" if diverts else "shaken")
        if diverts:
            assert found.claims == {
                "dest": {"tn": ["12155550177"]},
                "div": {"tn": CALLED[1:]},
                "iat": NOW,
                "orig": {"tn": ELSEWHERE[1:]},
            }
            assert verified(received, ELSEWHERE) == Verstat.PASSED
            assert cast.record(received)["diverted"] == CALLED[1:]


FORWARDED = "+12155550177"
ROOTS = f"roots: {HERE / 'pki' / 'root.cert.pem'}"


class Forwarding(Signing):
    """The PBX, which is not trusted, asserts its own number and shows who has called it."""

    def __init__(self, office: str = f'numbers: ["{CALLED}"]; verify: tag') -> None:
        Cast.__init__(self, policy(office).replace("identity: {", f"identity: {{{ROOTS}, "))
        self.world.key, self.world.chains, self.world.credentials = OURS, {URL: pki.pem(LEAF)}, Credentials(ROOT.trust)

    def forward(self, *headers: tuple[str, str]) -> Request:
        own = ("P-Asserted-Identity", f"<sip:{CALLED}@10.0.0.20>"), ("Diversion", f"<sip:{CALLED}@10.0.0.20>;reason=unconditional")
        return self.call(*own, *headers, caller=ELSEWHERE, number=FORWARDED)


def test_STI_09_a_pbx_that_is_not_trusted_sends_on_what_was_signed_for_its_number() -> None:
    """Who has called it is proved, so that the call is that caller's, and a div says who sent it on."""
    proof = foreign(dest=CALLED, orig=ELSEWHERE)
    cast = Forwarding()
    received = cast.forward(("Identity", proof))
    first, second = received.headers.all("Identity")
    found = read(SignedIdentity.parse(second).token)
    assert (first, found.ppt, found.diverted, found.orig, found.dest) == (proof, "div", CALLED[1:], ELSEWHERE[1:], (FORWARDED[1:],))
    assert received.headers.all("P-Asserted-Identity") == [f"<sip:{ELSEWHERE};verstat=TN-Validation-Passed@10.1.0.1;user=phone>"]
    assert verified(received, ELSEWHERE) == Verstat.PASSED
    assert cast.record(received)["diverted"] == CALLED[1:]


OTHER_KEY, _ = pki.Authority().leaf()


@pytest.mark.parametrize(
    ("office", "proof"),
    [
        (f'numbers: ["{CALLED}"]; verify: tag', None),
        (f'numbers: ["{CALLED}"]; verify: tag', foreign(dest=CALLED, orig=ELSEWHERE, key=OTHER_KEY)),
        (f'numbers: ["{CALLED}"]; verify: tag', foreign(dest=CALLED, orig=ELSEWHERE, iat=NOW - 100)),
        (f'numbers: ["{CALLED}"]; verify: tag', foreign(dest=CALLED, orig=CALLER)),
        (f'numbers: ["{CALLED}"]; verify: tag', foreign(dest=FORWARDED, orig=CALLER)),
        (f'numbers: ["{CALLED}"]', foreign(dest=CALLED, orig=ELSEWHERE)),
    ],
    ids=["not signed", "by nobody", "too old", "of another caller", "of another call", "not verified"],
)
def test_STI_09_what_it_sends_on_without_a_proof_is_its_own_call(office: str, proof: str | None) -> None:
    cast = Forwarding(office)
    received = cast.forward(*((("Identity", proof),) if proof else ()))
    found = read(SignedIdentity.parse(received.headers.all("Identity")[-1]).token)
    assert (found.ppt, found.claims["attest"], found.orig, found.dest) == ("shaken", "B", CALLED[1:], (FORWARDED[1:],))
    assert CALLED in received.headers.all("P-Asserted-Identity")[0]
    assert cast.record(received)["attest"] == "B"


def test_STI_09_a_call_that_we_send_on() -> None:
    """The callee redirects, and we follow: its old number is what the new proof begins with, its new one what it ends with."""
    text = policy(office=TRUSTED, carrier=f"{TRUSTED}; redirects: follow").replace(
        "  - name: in\n", '  - name: on\n    when: {trunk: carrier, to: "+1*"}\n    send_to: [carrier]\n  - name: in\n'
    )
    cast = Cast(text)
    cast.world.key = OURS
    proof = foreign()
    received = cast.told(("Identity", proof), ("P-Asserted-Identity", f"<sip:{CALLER}@10.0.0.20>"), number=CALLED)
    assert received.headers.all("Identity") == [proof]
    cast.carrier.answer(received, 302, headers=(("Contact", f"<sip:{ELSEWHERE}@10.1.0.2>"),))
    cast.carrier.expect_request("ACK")
    received = cast.carrier.expect_request("INVITE")
    first, second = received.headers.all("Identity")
    assert first == proof
    assert read(SignedIdentity.parse(second).token).diverted == CALLED[1:]
    assert verified(received) == Verstat.PASSED


def test_STI_08_the_token_is_made_once_and_repeated() -> None:
    cast = Signing()
    received = cast.call()
    cast.world.after(1)
    again = cast.carrier.expect_request("INVITE")
    assert again.headers.all("Identity") == received.headers.all("Identity")
    assert (again.via.branch, again.cseq) == (received.via.branch, received.cseq)


def waiting() -> Signing:
    cast = Signing()
    cast.world.key = None
    cast.send(cast.office, CALLED, (), f"<sip:{CALLER}@10.0.0.20>")
    cast.office.expect_response(100)
    cast.carrier.expect_nothing()
    return cast


def test_a_call_that_cannot_be_signed_goes_its_way_and_the_record_says_why() -> None:
    cast = waiting()
    ((question, asked),) = cast.world.unsigned
    assert (asked.customer, asked.ppt) == ("office", "shaken")
    cast.world.receive(Signed(question, Signature(problem="no answer in 500 ms")))
    received = cast.carrier.expect_request("INVITE")
    assert not received.headers.all("Identity")
    assert cast.record(received) == {"ppt": None, "attest": None, "origid": None, "diverted": None, "problem": "no answer in 500 ms"}


def test_a_caller_who_gives_up_meanwhile() -> None:
    cast = waiting()
    assert cast.office.last_invite is not None
    cast.office.cancel(cast.office.last_invite)
    cast.office.expect_response(200)
    cast.office.expect_response(487)
    ((question, _),) = cast.world.unsigned
    cast.world.receive(Signed(question, Signature("x.y.z;info=<https://a/b>")))
    cast.carrier.expect_nothing()
    assert cast.world.records[0]["sip_status"] == 487
    cast.world.expect_nothing_left()


def test_a_signed_call_leaves_nothing_behind_and_plays_again() -> None:
    cast = Signing()
    received = cast.call()
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    cast.office.expect_response(200)
    cast.world.expect_nothing_left()


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=120)


@settings(max_examples=60, deadline=None)
@given(
    VALUES | st.just(foreign(dest=ELSEWHERE)).map(lambda value: value.replace("shaken", "div")),
    VALUES,
    VALUES.map(lambda text: f"<sip:{quote(text)}@10.0.0.20>"),
)
def test_whatever_a_caller_writes_its_call_goes_out_signed_or_not(identity: str, date: str, asserted: str) -> None:
    cast = Signing(office=TRUSTED)
    received = cast.call(("Identity", identity), ("Date", date), ("P-Asserted-Identity", asserted))
    assert received.headers.all("Identity")[0] == identity
    assert cast.world.key is OURS
