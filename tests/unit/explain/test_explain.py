"""What would become of a call, and the line that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbc.errors import ConfigError
from sbc.explain.account import NO, Account, Phase
from sbc.explain.asked import Assumed, Contact, Flags, Reply, asked, brought
from sbc.explain.rules import nothing_fits
from sbc.explain.story import explain
from sbc.explain.text import lines_of
from sbc.frozen import replace
from sbc.policy.load import Loaded, load_policy
from tests.unit.explain.conftest import Told
from tests.vectors.messages import index, octets
from tests.world import POLICY


def phase(account: Account, name: str) -> Phase:
    return next(each for each in account.phases if each.name == name)


def written_at(folder: Path, text: str, nth: int = 0) -> str:
    """file:line:column of a text of the policy."""
    place = -1
    for _ in range(nth + 1):
        place = POLICY.index(text, place + 1)
    line = POLICY.count("\n", 0, place) + 1
    return f"{folder / 'sbc.yaml'}:{line}:{place - POLICY.rfind(chr(10), 0, place)}"


def test_every_phase_names_the_line_that_decides(told: Told, folder: Path) -> None:
    account = told("0301234567", trunk="office", headers=(("P-Asserted-Identity", "<sip:+4930@x>"),))
    assert [each.name for each in account.phases] == [
        *("who", "allowed", "emergency", "number", "caller", "limits", "route", "target", "edits", "media", "answer"),
    ]
    assert all(each.result != NO for each in account.phases)
    rules = {each.name: str(each.rule) for each in account.phases if each.rule is not None}
    assert rules["who"] == f"{written_at(folder, '10.0.0.20/32')} trunks.office.accept_from.0"
    assert rules["number"] == f"{written_at(folder, chr(34) + '0' + chr(34) + ': ')} trunks.office.dial_plan.0"
    assert rules["route"] == f"{written_at(folder, 'name: out')} routes.0"
    assert rules["media"].endswith("media.plain.codecs")
    assert phase(account, "number").text == "0301234567 is +49301234567: '0' becomes '+49'"
    assert account.facts["sent_to"] == "carrier"
    assert account.facts["status"] == 200


@pytest.mark.parametrize(
    ("party", "dialled", "text"),
    [
        ("office", "49301234567", "no prefix fits in the dial plan of office, which has '0', '00'"),
        ("office", "1-1-0", "no prefix fits in the dial plan of office, which has '0', '00'"),
        ("carrier", "0301234567", "carrier has no dial plan"),
        ("office", "+49301234567", ""),
        ("office", "reception", ""),
        ("office", "112", ""),
    ],
)
def test_a_number_that_no_prefix_fits(told: Told, folder: Path, party: str, dialled: str, text: str) -> None:
    number = phase(told(dialled, trunk=party), "number")
    assert number.text.partition(": ")[2] == text
    assert (number.rule is not None) == bool(text)
    if party == "office" and text:
        assert str(number.rule).endswith("trunks.office.dial_plan")


def test_the_prefixes_that_came_nearest(folder: Path, loaded: Loaded) -> None:
    plan = tuple((prefix, "+") for prefix in ("00", "0111", "0112", "9"))
    office = replace(loaded.snapshot.trunks["office"], dial_plan=plan)
    assert nothing_fits(office, "01134") == "no prefix fits in the dial plan of office; nearest are '0111', '0112'"
    assert nothing_fits(office, "0 3") == "no prefix fits in the dial plan of office; nearest are '00', '0111', '0112'"
    assert nothing_fits(replace(office, dial_plan=(("00", "+"),)), "030") == "no prefix fits in the dial plan of office; nearest is '00'"
    many = replace(office, dial_plan=tuple((f"0{digit}", "+") for digit in range(1, 8)))
    assert nothing_fits(many, "0030").endswith("nearest are '01', '02', '03', '04', '05', …")


def test_headers_are_shown_before_and_after(told: Told) -> None:
    lines = phase(told("0301234567", trunk="office", headers=(("P-Asserted-Identity", "<sip:+4930@x>"),)), "edits").lines
    assert "- P-Asserted-Identity: <sip:+4930@x>" in lines
    assert "+ From: <sip:office@10.1.0.1>" in lines
    assert not [line for line in lines if "Via" in line or "Call-ID" in line]


def test_a_password_is_proved_and_not_assumed(told: Told) -> None:
    account = told("+4930", user="alice")
    assert phase(account, "who").facts == {"party": "alice", "by": "digest", "assumed": False}
    assert (account.facts["keys"], account.facts["route"]) == ("none", "alice-out")


def test_what_refuses_is_the_last_phase_but_the_answer(told: Told, folder: Path) -> None:
    account = told("+4940", trunk="carrier")
    assert [each.name for each in account.phases if each.result == NO] == ["route", "answer"]
    assert str(phase(account, "route").rule) == f"{written_at(folder, 'routes:')} routes"
    assert (account.facts["status"], account.facts["step"]) == (404, "route")


def test_a_stranger_hears_nothing(told: Told, folder: Path) -> None:
    account = told("+4930", source="10.1.0.9", realm="inside")
    assert account.facts["status"] is None
    assert str(phase(account, "answer").rule) == f"{written_at(folder, 'answer: nothing')} strangers.answer"


def test_an_unknown_source_is_asked_for_a_password_where_somebody_has_one(told: Told) -> None:
    account = told("+4930", source="192.0.2.7:5062", realm="outside")
    assert (account.facts["status"], account.facts["party"]) == (401, None)


def test_emergencies_are_exempt(told: Told, folder: Path) -> None:
    account = told("112", Assumed(calls={"alice": 1}), user="alice")
    assert account.facts["emergency"] is True
    assert str(phase(account, "emergency").rule) == f"{written_at(folder, 'outside: {numbers')} emergency.outside"
    assert account.facts["status"] == 200


def test_a_limit_that_is_reached_is_named(told: Told) -> None:
    account = told("+4930", Assumed(calls={"alice": 1}), user="alice")
    assert (account.facts["status"], account.facts["step"]) == (486, "limits")
    assert "limits.person" in str(phase(account, "limits").rule)


def test_targets_that_fail_are_listed(told: Told) -> None:
    account = told("0301234567", Assumed(answers={"carrier": Reply(503)}), trunk="office")
    assert (account.facts["tried"], account.facts["sent_to"]) == (["carrier", "backup"], "backup")
    assert phase(account, "target").lines == ("carrier UDP 10.1.0.2:5060 503", "backup UDP 10.1.0.3:5060 200")


def test_a_target_that_does_not_answer_is_given_up_in_no_time(told: Told) -> None:
    account = told("0301234567", Assumed(answers={"carrier": Reply(408), "backup": Reply(486)}), trunk="office")
    assert (account.facts["tried"], account.facts["status"]) == (["carrier", "backup"], 486)


def test_one_who_is_not_registered_cannot_be_called(told: Told) -> None:
    assert told("alice", trunk="carrier").facts["sent_to"] == "alice"
    account = told("alice", Assumed(absent=frozenset({"alice"})), trunk="carrier")
    assert (account.facts["status"], account.facts["note"]) == (480, "alice is not registered")
    assert phase(account, "target").result == NO


def test_codecs_that_do_not_pass_are_told_with_the_rule(told: Told) -> None:
    account = told("0301234567", trunk="office", codecs=("G729", "PCMA"))
    assert account.facts["codecs"] == ["PCMA", "G729"]
    refused = told("0301234567", trunk="office", codecs=("opus",))
    assert (refused.facts["status"], refused.facts["step"]) == (488, "media")
    assert any(line.startswith("opus: not among the codecs of office's media plain") for line in phase(refused, "media").lines)


def test_passed_over_routes_are_told(folder: Path) -> None:
    from sbc.policy.load import load_policy

    text = POLICY.replace('to: "+*"}', 'to: "+*", not_to: ["+4990*"]}')
    (folder / "sbc.yaml").write_text(text)
    loaded = load_policy(folder)
    account = explain(loaded.snapshot, loaded.places, asked(loaded.snapshot, Flags("0900123", trunk="office")))
    assert account.facts["status"] == 404
    assert any("not out" in line and "not_to has +4990*" in line for line in phase(account, "route").lines)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (Flags("1", trunk="ofice"), "there is no trunk 'ofice', did you mean 'office'?"),
        (Flags("1", user="office"), "'office' is no user, but a trunk"),
        (Flags("1"), "who calls?"),
        (Flags("1", trunk="office", user="alice"), "either --trunk or --user"),
        (Flags("1", trunk="office", realm="inside"), "office is in realm outside"),
        (Flags("1", source="192.0.2.1"), "which network"),
        (Flags("1", source="nowhere"), "a numeric address"),
        (Flags("1", source="192.0.2.1:0"), "an address and a port"),
        (Flags("1", source="192.0.2.1", realm="outsid"), "did you mean 'outside'?"),
        (Flags("1", trunk="carrier", transport="tls"), "realm inside has no listener for TLS"),
        (Flags("1", trunk="office", transport="sctp"), "a transport is one of"),
        (Flags("1\r\nX: y", trunk="office"), "control character"),
        (Flags("1", trunk="office", headers=(("X", "a\nb"),)), "control character"),
        (Flags("1", trunk="office", codecs=("nonsense",)), "no offer can be made"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(loaded: Loaded, flags: Flags, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        asked(loaded.snapshot, flags)
    assert said in str(raised.value)


def test_unknown_names_in_assumptions_are_mistakes(loaded: Loaded) -> None:
    with pytest.raises(ConfigError, match="did you mean 'carrier'"):
        asked(loaded.snapshot, Flags("1", trunk="office"), Assumed(answers={"carier": Reply(503)}))


INVITE = (
    b"INVITE sip:0301234567@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.20:5060;branch=z9hG4bK1\r\nFrom: <sip:0301@x>;tag=1\r\n"
    b"To: <sip:0301234567@10.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:10.0.0.20>\r\nMax-Forwards: 70\r\n\r\n"
)


def test_a_message_is_explained_as_whose_it_is(loaded: Loaded) -> None:
    account = explain(loaded.snapshot, loaded.places, brought(loaded.snapshot, Flags(""), INVITE))
    assert (account.facts["party"], account.facts["called"], account.facts["status"]) == ("office", "+49301234567", 200)
    other = explain(loaded.snapshot, loaded.places, brought(loaded.snapshot, Flags("", trunk="carrier"), INVITE))
    assert other.facts["party"] == "carrier"


def test_credentials_of_long_ago_are_made_anew(loaded: Loaded) -> None:
    old = b'Authorization: Digest username="alice", realm="sbc.example.com", nonce="x", uri="sip:x", response="0"\r\n\r\n'
    question = brought(loaded.snapshot, Flags("", user="alice"), INVITE.replace(b"\r\n\r\n", b"\r\n" + old))
    assert explain(loaded.snapshot, loaded.places, question).facts["by"] == "digest"


def test_a_message_that_cannot_be_read_is_refused_as_it_would_be(loaded: Loaded) -> None:
    with pytest.raises(ConfigError, match="say who brings it"):
        brought(loaded.snapshot, Flags(""), b"nonsense")
    account = explain(
        loaded.snapshot, loaded.places, brought(loaded.snapshot, Flags("", trunk="office"), INVITE.replace(b"CSeq: 1 ", b"CSeq: x "))
    )
    assert account.facts["status"] == 400


def test_an_account_reads_as_text_and_as_json(told: Told) -> None:
    account = told("0301234567", trunk="office")
    text = list(lines_of(account))
    assert text[0] == "INVITE sip:0301234567@sbc.example.com, UDP from 10.0.0.20:5060 in realm outside"
    assert account.as_json()["result"]["route"] == "out"
    assert account.as_json()["phases"][0]["rule"]["place"].endswith("sbc.yaml:21:19")


def test_no_secret_is_told(told: Told) -> None:
    assert "wonderland" not in str(told("+4930", user="alice").as_json())
    assert "inline:" not in str(told("+4930", user="alice").as_json())


@pytest.mark.parametrize("vectors", ["samples", "rfc4475", "rfc5118"])
def test_whatever_comes_is_explained(loaded: Loaded, vectors: str) -> None:
    """What equipment sends, and what is meant to confuse, gives an account, whether the call is allowed or not."""
    files = list(index(vectors, "samples" if vectors == "samples" else "messages"))
    answered = 0
    for file in files:
        data = octets(vectors, file)
        if data.startswith(b"SIP/2.0"):
            continue
        try:
            account = explain(loaded.snapshot, loaded.places, brought(loaded.snapshot, Flags("", trunk="office"), data))
        except ConfigError:  # it is an answer after all
            continue
        assert account.phases[-1].name == "answer"
        assert "".join(lines_of(account)).isprintable()
        answered += account.facts["status"] is not None
    assert answered >= len(files) / 4


def test_who_is_known_by_a_registration_elsewhere_has_to_have_it(folder: Path) -> None:
    text = POLICY.replace("password: {file: alice.secret}", "register_at: carrier").replace("media: encrypted\n", "media: plain\n")
    (folder / "sbc.yaml").write_text(text)
    loaded = load_policy(folder)

    def told(assumed: Assumed) -> Account:
        return explain(loaded.snapshot, loaded.places, asked(loaded.snapshot, Flags("+4930", user="alice"), assumed))

    assert "by its registration (assumed)" in phase(told(Assumed()), "who").text
    for away in (Assumed(contacts=lambda name: None), Assumed(absent=frozenset({"alice"}))):
        assert told(away).facts["party"] is None
    there = (Contact("sip:alice@203.0.113.9:5062", "UDP", ("203.0.113.9", 5062)),)
    account = told(Assumed(contacts=lambda name: there))
    assert account.facts["party"] == "alice"
    assert phase(account, "who").text == "user alice, by its registration"
    assert "UDP from 203.0.113.9:5062" in account.title
