"""Calls whose INVITE brings a proof of who calls (RFC 8224): verified, told to whom we trust, refused where the policy insists."""

from __future__ import annotations

import pytest

from sbc.identity.passport import signed
from sbc.identity.verdict import Verdict, Verstat
from sbc.identity.verify import Credentials
from sbc.inputs import Verified
from sbc.sip.fields.signed_identity import SignedIdentity
from sbc.sip.message import Request
from tests.unit.identity import pki
from tests.unit.identity.pki import NOW, URL
from tests.vectors.test_passport import HERE
from tests.world import POLICY, Agent, World, sdp

CALLER, CALLED = "+12155550121", "+12155550131"
ROOT = pki.Authority()
KEY, LEAF = ROOT.leaf()
IDENTITY = f"identity: {{roots: {HERE / 'pki' / 'root.cert.pem'}}}\n"


def policy(verify: str, trusted: str) -> str:
    verifying = POLICY.replace("    peer: sip:10.0.0.20:5060\n", f"    peer: sip:10.0.0.20:5060\n    {trusted}\n    verify: {verify}\n")
    return verifying.replace("    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    trusted: true\n") + IDENTITY


def identity(attest: str = "A", caller: str = CALLER, iat: int = NOW) -> str:
    claims = {"attest": attest, "dest": {"tn": [CALLED[1:]]}, "iat": iat, "orig": {"tn": caller[1:]}, "origid": "1"}
    return str(SignedIdentity(signed(claims, KEY, URL, "shaken"), URL, ppt="shaken"))


def made(verify: str, trusted: str = "trusted: true") -> tuple[World, Agent, Agent]:
    world = World(policy(verify, trusted))
    world.chains = {URL: pki.pem(LEAF)}
    world.credentials = Credentials(ROOT.trust)
    return world, world.agent("office", ("10.0.0.20", 5060), "outside"), world.agent("carrier", ("10.1.0.2", 5060), "inside")


def invite(office: Agent, *identities: str, said: str = CALLER, called: str = CALLED) -> Request:
    rows = (("P-Asserted-Identity", f"<sip:{said}@10.0.0.20;user=phone>"), *(("Identity", each) for each in identities))
    sent = office.invite(called, headers=rows)
    office.expect_response(100)
    return sent


def shown(request: Request) -> str:
    (value,) = request.headers.all("P-Asserted-Identity")
    return value


def stir(world: World) -> dict[str, object]:
    (record,) = world.records
    found = record["stir"]
    assert isinstance(found, dict)
    return found


def test_STV_13_a_good_proof_is_told_to_whom_we_trust() -> None:
    world, office, carrier = made("tag")
    proof = identity()
    invite(office, proof)
    received = carrier.expect_request("INVITE")
    assert f"{CALLER};verstat=TN-Validation-Passed" in shown(received)
    assert received.headers.all("Identity") == [proof]
    carrier.answer(received, 486)
    office.expect_response(486)
    assert stir(world)["verstat"] == "TN-Validation-Passed"
    assert stir(world)["attest"] == "A"


@pytest.mark.parametrize(
    ("proofs", "verstat"),
    [((), "No-TN-Validation"), (("nonsense",), "TN-Validation-Failed"), ((identity(caller="+12155550199"),), "TN-Validation-Failed")],
)
def test_STV_04_no_call_is_refused_unasked(proofs: tuple[str, ...], verstat: str) -> None:
    world, office, carrier = made("tag")
    invite(office, *proofs)
    received = carrier.expect_request("INVITE")
    assert f";verstat={verstat}" in shown(received)
    carrier.answer(received, 486)
    office.expect_response(486)
    assert stir(world)["verstat"] == verstat


def test_what_others_have_verified_is_not_believed_where_we_verify() -> None:
    _, office, carrier = made("tag")
    invite(office, said=f"{CALLER};verstat=TN-Validation-Passed")
    assert "verstat=No-TN-Validation" in shown(carrier.expect_request("INVITE"))


@pytest.mark.parametrize(
    ("proofs", "status", "reason"),
    [
        ((), 428, "Use Identity Header"),
        (("nonsense",), 438, "Invalid Identity Header"),
        ((identity(iat=NOW - 62),), 403, "Stale Date"),
        ((identity(iat=NOW + 62),), 403, "Stale Date"),
    ],
)
def test_TMD_15_STV_03_REJ_12_a_policy_may_insist(proofs: tuple[str, ...], status: int, reason: str) -> None:
    world, office, _ = made("require")
    invite(office, *proofs)
    refused = office.expect_response(status)
    assert refused.reason == reason
    (record,) = world.records
    assert (record["sip_status"], record["released_by"]) == (status, "sbc")
    assert stir(world)["failures"] or not proofs


def test_TRAP_06_TMD_15_a_fresh_proof_without_date_is_good() -> None:
    _, office, carrier = made("require")
    invite(office, identity(iat=NOW - 58))
    assert not carrier.expect_request("INVITE").headers.all("Date")


def test_STV_04_who_calls_for_help_waits_for_nobody() -> None:
    world, office, carrier = made("require")
    world.chains = None
    office.invite("112", headers=(("Identity", identity()),))
    carrier.expect_request("INVITE")
    assert world.unverified == []


def test_TMD_19_a_call_goes_on_without_a_certificate_that_is_late() -> None:
    """How long is the business of whoever fetches: at most as long as the policy says."""
    world, office, carrier = made("require")
    world.chains = None
    invite(office, identity())
    (question,) = world.unverified
    carrier.expect_nothing()
    world.receive(Verified(question, Verdict(Verstat.NONE, late=True)))
    assert "verstat=No-TN-Validation" in shown(carrier.expect_request("INVITE"))


def test_a_caller_who_gives_up_meanwhile() -> None:
    world, office, carrier = made("tag")
    world.chains = None
    sent = invite(office, identity())
    office.cancel(sent)
    office.expect_response(200)
    office.expect_response(487)
    (question,) = world.unverified
    world.receive(Verified(question, Verdict(Verstat.PASSED)))
    carrier.expect_nothing()
    assert world.records[0]["sip_status"] == 487


def test_nobody_is_asked_where_the_policy_does_not() -> None:
    world, office, carrier = made("no")
    world.chains = None
    invite(office, identity())
    assert "verstat" not in shown(carrier.expect_request("INVITE"))
    carrier.inbox.clear()


def test_a_number_that_stands_in_for_the_callers_is_not_called_verified() -> None:
    """The trunk is not trusted: what it asserts is its own number, and the proof was about another one."""
    main = "+4930123000"
    world, office, carrier = made("tag", trusted=f"numbers: [{main}]")
    invite(office, identity())
    received = carrier.expect_request("INVITE")
    assert main in shown(received)
    assert "verstat" not in shown(received)
    carrier.answer(received, 486)
    office.expect_response(486)
    assert stir(world)["verstat"] == "TN-Validation-Passed"


STALE = identity(iat=NOW - 62)
TOLD = 'STIR;cause=403;text="Stale Date"'
PASSED = identity()


def which(proof: str) -> str:
    return ".." + proof.partition(";")[0].rpartition(".")[2]


def test_STV_05_of_several_proofs_each_that_failed_is_named() -> None:
    """RFC 9410 s4: by its signature alone, which says nothing of who called whom."""
    _, office, carrier = made("tag", trusted="trusted: true\n    verify_reasons: true")
    foreign = identity(caller="+12155550199")
    invite(office, PASSED, STALE, foreign, "nonsense;info=<https://a/b>")
    carrier.answer(carrier.expect_request("INVITE"), 180)
    assert office.expect_response(180).headers.all("Reason") == [
        f'{TOLD};ppi="{which(STALE)}"',
        f'STIR;cause=438;text="Invalid Identity Header";ppi="{which(foreign)}"',
        'STIR;cause=438;text="Invalid PASSporT"',
    ]


@pytest.mark.parametrize(("verify", "reasons"), [("tag", True), ("require", True), ("tag", False)])
def test_STV_05_the_signer_may_hear_what_was_wrong(verify: str, reasons: bool) -> None:
    """RFC 9410: also when the call goes on, in what it is answered with."""
    world = World(policy(verify, "trusted: true" + ("\n    verify_reasons: true" if reasons else "")))
    world.chains, world.credentials = {URL: pki.pem(LEAF)}, Credentials(ROOT.trust)
    office, carrier = world.agent("office", ("10.0.0.20", 5060), "outside"), world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite(office, STALE)
    if verify == "require":
        assert office.expect_response(403).headers.all("Reason") == [TOLD]
        return
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    assert office.expect_response(180).headers.all("Reason") == ([TOLD] if reasons else [])
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    assert office.expect_response(200).headers.all("Reason") == ([TOLD] if reasons else [])


def test_STV_05_nobody_hears_of_a_good_proof_or_a_late_certificate() -> None:
    _, office, carrier = made("tag", trusted="trusted: true\n    verify_reasons: true")
    invite(office, identity())
    carrier.answer(carrier.expect_request("INVITE"), 180)
    assert not office.expect_response(180).headers.all("Reason")
