"""Policy tests: what they say of a policy, and of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbc.explain import schema
from sbc.explain.cases import load_cases
from sbc.explain.testing import Examined, examine
from sbc.policy.load import Loaded
from sbc.policy.problems import PolicyErrors

HEAD = "version: 1\ncases:\n"


def run(folder: Path, loaded: Loaded, text: str) -> Examined:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "a.yaml").write_text(HEAD + text)
    return examine(folder, loaded)


def failures(folder: Path, loaded: Loaded, text: str) -> list[str]:
    return [str(each).replace(f"{folder}/", "") for each in run(folder, loaded, text).failures]


def errors(folder: Path, loaded: Loaded, text: str) -> list[str]:
    with pytest.raises(PolicyErrors) as raised:
        run(folder, loaded, text)
    return str(raised.value).replace(f"{folder}/", "").splitlines()


def test_what_is_as_expected_says_nothing(folder: Path, loaded: Loaded) -> None:
    text = """\
- name: everything that can be expected
  given: {trunk: office, to: "0301234567", from: "+4930777", headers: {X-Y: z, P-Asserted-Identity: "<sip:+1@x>"}, answers: {carrier: 503}}
  expect:
    status: 200
    reason: OK
    step: none
    party: office
    by: address
    emergency: false
    called: +49301234567
    caller: +4930777
    asserted: none
    route: out
    tried: [carrier, backup]
    sent_to: backup
    uri: sip:+49301234567@10.1.0.3:5060
    headers: {To: "<sip:+49301234567@10.1.0.3:5060>"}
    without: [P-Asserted-Identity, X-Y]
    codecs: [PCMA, PCMU, G729, telephone-event]
    keys: none
- name: a limit
  given: {user: alice, to: 123, calls: {alice: 1}}
  expect: {status: 486, step: limits, limit: person, note: limit calls of alice, sent_to: none, party: alice}
- name: nobody
  given: {source: 10.1.0.77, realm: inside, to: 1}
  expect: {status: nothing, party: none, step: who}
- name: no offer
  given: {trunk: carrier, to: alice, offer: none}
  expect: {sent_to: alice, status: 200}
- name: not there
  given: {trunk: carrier, to: alice, absent: alice}
  expect: {status: 480, route: to-alice}
"""
    assert run(folder, loaded, text) == Examined(5, ())


def test_what_is_not_is_said_with_its_place_and_the_rule(folder: Path, loaded: Loaded) -> None:
    text = """\
- name: to Berlin
  given: {trunk: office, to: "0301234567"}
  expect:
    route: in
    called: +4930
    tried: [backup]
    headers: {From: x}
    without: [From]
"""
    found = failures(folder, loaded, text)
    assert [each.partition(" (")[0] for each in found] == [
        "tests/a.yaml:6:12: cases.0.expect.route: to Berlin: expected in, got out",
        "tests/a.yaml:7:13: cases.0.expect.called: to Berlin: expected +4930, got +49301234567",
        "tests/a.yaml:8:12: cases.0.expect.tried: to Berlin: expected [backup], got [carrier]",
        "tests/a.yaml:9:21: cases.0.expect.headers.From: to Berlin: expected 'x', got '<sip:office@10.1.0.1>'",
        "tests/a.yaml:10:15: cases.0.expect.without.0: to Berlin: expected no From, got '<sip:office@10.1.0.1>'",
    ]
    rules = [each.rpartition("; ")[2] for each in found[:3]]
    assert rules == ["sbc.yaml:37:5 routes.0)", "sbc.yaml:24:28 trunks.office.dial_plan.0)", "sbc.yaml:28:5 trunks.carrier.peer)"]


def test_a_refusal_nobody_expected_names_what_refused(folder: Path, loaded: Loaded) -> None:
    (failure,) = failures(folder, loaded, "- {name: x, given: {trunk: carrier, to: +4940}, expect: {status: 200}}\n")
    assert failure == (
        "tests/a.yaml:3:66: cases.0.expect.status: x: expected 200, got 404 (route: no route of carrier has +4940; sbc.yaml:36:1 routes)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "- {name: x, given: {trunk: ofice, to: 1}, expect: {}}",
            "a.yaml:3:28: cases.0.given.trunk: there is no trunk 'ofice', did you mean",
        ),
        ("- {name: x, given: {trunk: office, too: 1}, expect: {}}", "a.yaml:3:36: cases.0.given.too: unknown key, did you mean 'to'?"),
        ("- {name: x, given: {trunk: office}, expect: {}}", "a.yaml:3:13: cases.0.given: needs 'to'"),
        ("- {name: x, given: {trunk: office, to: 1}}", "a.yaml:3:3: cases.0: needs 'expect'"),
        ("- {name: x, given: {trunk: office, to: 1}, expect: {route: outt}}", "there is no route 'outt', did you mean 'out'?"),
        ("- {name: x, given: {trunk: office, to: 1}, expect: {status: 99}}", "a final status"),
        ("- {name: x, given: {trunk: office, to: 1}, expect: {emergency: maybe}}", "must be true or false"),
        ("- {name: x, given: {trunk: office, to: 1, answers: {carier: 503}}, expect: {}}", "did you mean 'carrier'?"),
        ("- {name: x, given: {trunk: office, to: 1, absent: [bob]}, expect: {tried: [bob]}}", "there is no trunk or user 'bob'"),
        ("- {name: x, name: y, given: {trunk: office, to: 1}, expect: {}}", "a.yaml:3:13: cases.0.name: is already defined"),
        ("  x: y", "cases: must be a list"),
    ],
)
def test_mistakes_in_tests_have_a_place(folder: Path, loaded: Loaded, text: str, said: str) -> None:
    assert any(said in error for error in errors(folder, loaded, text + "\n")), errors(folder, loaded, text + "\n")


def test_a_wrong_status_is_one_mistake(folder: Path, loaded: Loaded) -> None:
    (error,) = errors(folder, loaded, "- {name: x, given: {trunk: office, to: 1}, expect: {status: x}}\n")
    assert "cases.0.expect.status: a final status, 200 to 699, or nothing" in error


def test_a_call_that_cannot_be_given_fails_its_case(folder: Path, loaded: Loaded) -> None:
    (failure,) = failures(folder, loaded, "- {name: x, given: {source: 192.0.2.1, to: 1}, expect: {}}\n")
    assert failure.startswith("tests/a.yaml:3:20: cases.0.given: x: which network")


def test_a_policy_without_tests_has_none(folder: Path, loaded: Loaded) -> None:
    assert load_cases(folder, loaded.snapshot) == []
    assert examine(folder, loaded) == Examined(0, ())


def test_the_schema_in_the_repository_is_the_one_of_the_language() -> None:
    shipped = Path(__file__).parents[3] / "policies" / "tests.schema.json"
    assert shipped.read_text() == schema.text(), "run: python -m sbc.explain.schema > policies/tests.schema.json"
