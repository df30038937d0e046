"""What crosses from leg to leg beside who calls: diversions, session identifiers, verdicts, and the headers of services."""

from __future__ import annotations

import pytest

from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Response
from tests.scenarios.cast import NUMBER, TRUSTED, Cast, policy
from tests.vectors.messages import request as sample
from tests.world import connect, sdp

# ID-07, ID-08: who sent the call on

DIVERSIONS = (
    "<sip:+4930444@10.0.0.20;user=phone>;reason=no-answer;counter=1;privacy=off, "
    "<sip:030-333@pbx.local;user=phone>;reason=user-busy;counter=2;privacy=full"
)


def test_ID_07_diversions_cross_between_trusted_sides_alone() -> None:
    passed = Cast(policy(office=TRUSTED, carrier=TRUSTED)).told(("Diversion", DIVERSIONS))
    assert passed.headers.all("Diversion") == [
        "<sip:+4930444@10.1.0.1;user=phone>;reason=no-answer;counter=1;privacy=off",
        "<sip:+4930333@10.1.0.1;user=phone>;reason=user-busy;counter=2;privacy=full",
    ]
    for office, carrier in ((TRUSTED, ""), ("", TRUSTED), ("", "")):
        assert "Diversion" not in Cast(policy(office=office, carrier=carrier)).told(("Diversion", DIVERSIONS)).headers


def test_ID_07_diversions_as_history() -> None:
    """RFC 7544 s5: the first who diverted is the first entry; a counter of two leaves a gap."""
    cast = Cast(policy(office=TRUSTED, carrier=f"{TRUSTED}; diversions_as: history-info"))
    received = cast.told(("Diversion", DIVERSIONS))
    assert "Diversion" not in received.headers
    assert received.headers.all("History-Info") == [
        "<sip:+4930333@10.1.0.1;user=phone?Privacy=history>;index=1",
        "<sip:+4930444@10.1.0.1;user=phone;cause=486>;index=1.1.1;mp=1",
        "<sip:+4930123456@10.1.0.1;user=phone;cause=408>;index=1.1.1.1;mp=1.1.1",
    ]


def test_ID_07_history_as_diversions() -> None:
    """RFC 7544 s6: the entries that were left for another user, with the gaps as counters; a contact is no other user."""
    cast = Cast(policy(office=TRUSTED, carrier=f"{TRUSTED}; diversions_as: diversion"))
    received = cast.told(
        ("History-Info", "<sip:030-333@pbx.local?Privacy=history>;index=1, <sip:+4930444@10.0.0.20;cause=486>;index=1.1.1;mp=1"),
        ("History-Info", "<sip:444@10.0.0.9>;index=1.1.1.1;rc=1.1.1, <sip:+4930123456@10.0.0.1;cause=302>;index=1.1.1.1.1;mp=1.1.1.1"),
    )
    assert "History-Info" not in received.headers
    assert received.headers.all("Diversion") == [
        "<sip:444@10.1.0.1>;reason=unconditional;counter=1;privacy=off",
        "<sip:+4930333@10.1.0.1;user=phone>;reason=user-busy;counter=2;privacy=full",
    ]


def test_ID_07_ID_08_the_sample_with_both_headers() -> None:
    headers = sample("samples", "diversion_history_privacy.sip").headers
    rows = [(name, value) for name in ("Diversion", "History-Info") for value in headers.all(name)]
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED).replace('"0": "+49"', '"0": "+49", "+1": "+1"'))
    received = cast.told(*rows)
    assert [value.count("10.1.0.1") for value in received.headers.all("Diversion")] == [1, 1]
    history = received.headers.all("History-Info")
    assert history[:3] == [
        "<sip:+12025550133@10.1.0.1;user=phone?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1",
        "<sip:+12025550144@10.1.0.1;user=phone?Reason=SIP%3Bcause%3D408>;index=1.1;rc=1",
        "<sip:+12025550177@10.1.0.1;user=phone>;index=1.1.1;mp=1.1",
    ]
    assert history[3:] == ["<sip:+4930123456@10.1.0.1;user=phone>;index=1.1.1.0.1;np=1.1.1"], "the entry nobody wrote leaves a zero"
    assert b"example.net" not in received.encode()


def test_ID_08_history_that_is_complete_stays_as_it_is() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    rows = ("<sip:boss@pbx.local?Route=%3Csip:10.0.0.9%3E&Reason=SIP%3Bcause%3D302>;index=1", f"<tel:{NUMBER}>;index=1.2;mp=1;x=pbx.local")
    received = cast.told(*[("History-Info", row) for row in rows])
    assert received.headers.all("History-Info") == [
        "<sip:boss@10.1.0.1?Reason=SIP%3Bcause%3D302>;index=1",
        f"<sip:{NUMBER}@10.1.0.1;user=phone>;index=1.2;mp=1",
    ]


def test_ID_08_nobody_keeps_his_place() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told(("History-Info", f"<mailto:x@pbx.local>;index=1, <sip:{NUMBER}@10.0.0.1>;index=1.1;mp=1"))
    assert received.headers.all("History-Info") == [
        '"Anonymous" <sip:anonymous@anonymous.invalid>;index=1',
        f"<sip:{NUMBER}@10.1.0.1;user=phone>;index=1.1;mp=1",
    ]


def test_ID_08_the_history_of_an_answer_goes_back() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told()
    cast.carrier.answer(received, 181, headers=(("History-Info", "<sip:+4930777@10.1.0.2>;index=1.1;mp=1"),))
    forwarded = cast.office.expect_response(181)
    assert forwarded.headers.all("History-Info") == ["<sip:+4930777@10.0.0.1;user=phone>;index=1.1;mp=1"]


# ID-09: Session-ID

A, B, NIL = "a" * 32, "b" * 32, "0" * 32


def test_ID_09_the_identifier_of_a_session_is_the_same_on_both_legs() -> None:
    cast = Cast(policy())
    invite = cast.send(cast.office, NUMBER, (("Session-ID", f"{A};remote={NIL}"),))
    assert cast.office.expect_response(100).headers.all("Session-ID") == [f"{NIL};remote={A}"]
    received = cast.carrier.expect_request("INVITE")
    assert received.headers.all("Session-ID") == [f"{A};remote={NIL}"]
    theirs = (("Session-ID", f"{B};remote={A}"),)
    cast.carrier.answer(received, 180, headers=theirs)
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=theirs)
    assert cast.carrier.expect_request("ACK").headers.all("Session-ID") == [f"{A};remote={B}"]
    ringing, ok = cast.office.expect_response(180), cast.office.expect_response(200)
    assert ringing.headers.all("Session-ID") == ok.headers.all("Session-ID") == [f"{B};remote={A}"]
    cast.office.ack(ok)
    cast.office.send(cast.office.within(invite, ok, "BYE", headers=(("Session-ID", f"{A};remote={B}"),)))
    assert cast.office.expect_response(200).headers.all("Session-ID") == [f"{B};remote={A}"]
    assert cast.carrier.expect_request("BYE").headers.all("Session-ID") == [f"{A};remote={B}"]


def test_ID_09_an_end_that_has_none_is_given_one() -> None:
    cast = Cast(policy())
    cast.send(cast.office, NUMBER, (("Session-ID", A),))
    cast.office.expect_response(100)
    received = cast.carrier.expect_request("INVITE")
    cast.carrier.answer(received, 180)
    (told,) = cast.office.expect_response(180).headers.all("Session-ID")
    given = told.partition(";")[0]
    assert told == f"{given};remote={A}"
    assert (len(given), given[12], given[16] in "89ab", given == given.lower()) == (32, "4", True, True)
    cast.carrier.answer(received, 486, headers=(("Session-ID", A),))  # RFC 7329: the same one for both
    assert cast.office.expect_response(486).headers.all("Session-ID") == [told]


def test_ID_09_nobody_asked_nobody_is_told() -> None:
    cast = Cast(policy())
    _, ok, received = connect(cast.office, cast.carrier, NUMBER)
    assert "Session-ID" not in received.headers
    assert "Session-ID" not in ok.headers


def test_ID_09_cancel_and_the_next_target() -> None:
    cast = Cast(policy())
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    invite = cast.send(cast.office, NUMBER, (("Session-ID", f"{A};remote={NIL}"),))
    cast.office.expect_response(100)
    cast.carrier.answer(cast.carrier.expect_request("INVITE"), 500, headers=(("Session-ID", f"{B};remote={A}"),))
    received = backup.expect_request("INVITE")
    assert received.headers.all("Session-ID") == [f"{A};remote={NIL}"]
    backup.answer(received, 180, headers=(("Session-ID", f"{'c' * 32};remote={A}"),))
    cast.office.cancel(invite)
    assert backup.expect_request("CANCEL").headers.all("Session-ID") == [f"{A};remote={'c' * 32}"]


def test_ID_09_a_late_answer_does_not_speak_for_the_next_target() -> None:
    cast = Cast(policy())
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    cast.send(cast.office, NUMBER, (("Session-ID", f"{A};remote={NIL}"),))
    first = cast.carrier.expect_request("INVITE")
    theirs = (("Session-ID", f"{B};remote={A}"),)
    cast.carrier.answer(first, 180, headers=theirs)
    cast.world.after(60.1)
    second = backup.expect_request("INVITE")
    assert second.headers.all("Session-ID") == [f"{A};remote={NIL}"]
    backup.answer(second, 180, headers=(("Session-ID", f"{'c' * 32};remote={A}"),))
    cast.carrier.answer(first, 487, headers=theirs)
    backup.answer(second, 200, body=sdp("10.1.0.3", 50000))
    assert backup.expect_request("ACK").headers.all("Session-ID") == [f"{A};remote={'c' * 32}"]


@pytest.mark.parametrize("value", ["x", A.upper(), f"{A};remote=y", ""])
def test_ID_09_malformed_is_none(value: str) -> None:
    assert "Session-ID" not in Cast(policy()).told(("Session-ID", value)).headers


# ID-10: verstat


@pytest.mark.parametrize("office", ["", TRUSTED])
@pytest.mark.parametrize("carrier", ["", TRUSTED])
def test_ID_10_only_a_trusted_verdict_crosses(office: str, carrier: str) -> None:
    cast = Cast(policy(office=office, carrier=carrier))
    verdict = "verstat=TN-Validation-Passed"
    received = cast.told(
        ("P-Asserted-Identity", f"<sip:+4930123;{verdict}-A@x;user=phone>, <tel:+4930123;{verdict}>"),
        from_=f"<sip:+4930123@x;user=phone;{verdict}>",
    )
    if office:
        assert received.headers.all("P-Asserted-Identity") == [
            f"<sip:+4930123;{verdict}-A@10.1.0.1;user=phone>",
            f"<tel:+4930123;{verdict}>",
        ]
        assert str(received.from_.uri) == f"sip:+4930123;{verdict}@10.1.0.1;user=phone"
    else:
        assert b"verstat" not in received.encode().lower()
        assert received.from_.uri.user == "+4930123"


@pytest.mark.parametrize("value", ["yes", "TN-Validation-Passed-Z", "%0d%0aX:1", ""])
def test_ID_10_no_other_word_is_a_verdict(value: str) -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    assert b"verstat" not in cast.told(("P-Asserted-Identity", f"<sip:+4930123;verstat={value}@x>")).encode()


# ID-11 and the rest of the table


def test_ID_11_charging_and_access_stay_in_the_trust_domain() -> None:
    rows = (
        ("P-Charging-Vector", "icid-value=1234bc;icid-generated-at=10.0.0.20;orig-ioi=home.example;x=10.0.0.20"),
        ("P-Charging-Function-Addresses", "ccf=10.0.0.20"),
        ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=310990"),
        ("P-Visited-Network-ID", '"visited"'),
        ("P-Called-Party-ID", "<sip:+4930777@10.0.0.20>"),
    )
    passed = Cast(policy(office=TRUSTED, carrier=TRUSTED)).told(*rows)
    assert [passed.headers.first(name) for name, _ in rows] == [
        "icid-value=1234bc;icid-generated-at=10.1.0.1;orig-ioi=home.example",
        None,
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=310990",
        '"visited"',
        "<sip:+4930777@10.1.0.1;user=phone>",
    ]
    assert b"10.0.0.20" not in passed.encode()
    for office, carrier in ((TRUSTED, ""), ("", TRUSTED), ("", "")):
        received = Cast(policy(office=office, carrier=carrier)).told(*rows)
        assert [name for name, _ in rows if name in received.headers] == []


def test_RPI_01_priority_is_given_by_trusted_sides() -> None:
    rows = (("Resource-Priority", "esnet.1"), ("Priority", "psap-callback"), ("Geolocation", "<cid:1@x>"), ("Reject-Contact", "*;video"))
    both = f"{TRUSTED}; priorities: [esnet]"
    passed = Cast(policy(office=both, carrier=both)).told(*rows)
    assert [passed.headers.first(name) for name, _ in rows] == [value for _, value in rows]
    unnamed = Cast(policy(office=both, carrier=TRUSTED)).told(*rows)
    assert [name for name, _ in rows if name not in unnamed.headers] == ["Resource-Priority"]
    dropped = Cast(policy(carrier=TRUSTED)).told(*rows)
    assert [name for name, _ in rows if name in dropped.headers] == []


LISTED = "pass_headers: [User-to-User, X-Case, Alert-Info, call-info, s]"
OPTIONAL = (
    ("User-to-User", "56a390f3d2b7310023a2;encoding=hex"),
    ("X-Case", "4711"),
    ("s", "lunch"),
    ("Alert-Info", "<http://10.0.0.20/ring.wav>, <urn:alert:service:normal>;x=y, ;broken"),
    ("Call-Info", "<https://shop.example/card>;purpose=card, <http://pbx.local/>"),
)


@pytest.mark.parametrize(("office", "carrier"), [("", ""), (LISTED, ""), ("", LISTED), (TRUSTED, TRUSTED)])
def test_HDR_15_headers_that_are_not_on_both_lists_stay_behind(office: str, carrier: str) -> None:
    received = Cast(policy(office=office, carrier=carrier)).told(*OPTIONAL, ("Organization", "x"), ("User-Agent", "y"))
    left = ("User-to-User", "X-Case", "Subject", "Alert-Info", "Call-Info", "Organization", "User-Agent")
    assert [name for name in left if name in received.headers] == []


def test_HDR_15_headers_on_both_lists_cross_both_ways() -> None:
    cast = Cast(policy(office=LISTED, carrier=LISTED))
    received = cast.told(*OPTIONAL)
    assert received.headers.all("User-to-User") == ["56a390f3d2b7310023a2;encoding=hex"]
    assert received.headers.all("X-Case") == ["4711"]
    assert received.headers.all("Subject") == ["lunch"]
    assert received.headers.all("Alert-Info") == ["<urn:alert:service:normal>;x=y"]
    assert received.headers.all("Call-Info") == ["<https://shop.example/card>;purpose=card", "<http://pbx.local/>"]
    cast.carrier.answer(received, 180, headers=(("Alert-Info", "<urn:alert:source:external>"), ("X-Other", "1")))
    ringing = cast.office.expect_response(180)
    assert ringing.headers.all("Alert-Info") == ["<urn:alert:source:external>"]
    assert "X-Other" not in ringing.headers
    cast.carrier.answer(received, 486, headers=(("User-to-User", "00"), ("Call-Info", "<sip:10.1.0.2>")))
    refused = cast.office.expect_response(486)
    assert refused.headers.all("User-to-User") == ["00"]
    assert "Call-Info" not in refused.headers


def test_HDR_06_HDR_07_identity_and_its_date_pass_untouched() -> None:
    value = sample("samples", "shaken_invite.sip").headers.all("Identity")[0]
    received = Cast(policy()).told(("Identity", value), ("Identity", "other;info=<x>"), ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"))
    assert received.headers.all("Identity") == [value, "other;info=<x>"]
    assert received.headers.all("Date") == ["Thu, 01 Jan 2026 00:00:00 GMT"]
    assert "Date" not in Cast(policy()).told(("Date", "Thu, 01 Jan 2026 00:00:00 GMT")).headers


@pytest.mark.parametrize("keys", ["", TRUSTED])
@pytest.mark.parametrize("display", ['"Jörg Müller"', '"O\\"Brien, 李"', "Front Desk", ""])
def test_HDR_04_names_cross_and_hosts_are_ours(display: str, keys: str) -> None:
    cast = Cast(policy(office=keys, carrier=keys))
    received = cast.told(from_=f"{display} <sip:030-123@pbx.internal.example:5099;x=pbx.internal.example>".strip(), number="030123456")
    assert received.from_.display == NameAddr.parse(f"{display} <sip:x@y>".strip()).display
    assert str(received.from_.uri) == "sip:+4930123@10.1.0.1", "the number as the dial plan of the office reads it"
    assert str(received.to) == "<sip:+4930123456@10.1.0.2:5060>", "the number that is called, not the one that was dialled"
    assert b"pbx.internal" not in received.encode()
    cast.carrier.answer(received, 180)
    ringing = cast.office.expect_response(180)
    assert cast.office.last_invite is not None
    assert ringing.headers.first("From") == cast.office.last_invite.headers.first("From"), "its own words come back to it"
    assert ringing.to.uri == cast.office.last_invite.to.uri


def test_UAS_12_max_breadth_is_copied() -> None:
    cast = Cast(policy())
    assert cast.told(("Max-Breadth", "7")).headers.all("Max-Breadth") == ["7"]
    assert cast.told(("Max-Breadth", "100000")).headers.all("Max-Breadth") == ["60"]
    assert "Max-Breadth" not in Cast(policy()).told().headers
    cast.send(cast.office, NUMBER, (("Max-Breadth", "0"),))
    assert cast.office.expect_response(440).reason == "Max-Breadth Exceeded"
    cast.send(cast.office, NUMBER, (("Max-Breadth", "x"),))
    cast.office.expect_response(400)


def test_topology_nothing_of_a_trusted_side_shows_either() -> None:
    """Trust is about who somebody is, not about where."""
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    secret = "pbx.internal.example"
    received = cast.told(
        ("P-Asserted-Identity", f'"A" <sip:+4930123:pw@{secret}:5099;maddr={secret}?X={secret}>'),
        ("Remote-Party-ID", f"<sip:+4930123@{secret};x={secret}>;screen=yes;party=calling;y={secret}"),
        ("Diversion", f"<sip:+4930123@{secret};x={secret}>;reason=away;z={secret}"),
        ("History-Info", f"<sip:+4930123@{secret};x={secret}?X={secret}&Reason=SIP%3Bcause%3D302>;index=1;w={secret}"),
        ("P-Called-Party-ID", f"<sip:+4930123@{secret};x={secret}>;v={secret}"),
        ("P-Charging-Vector", f"icid-value=1;icid-generated-at={secret};related-icid-generated-at={secret}"),
        ("P-Preferred-Identity", f"<sip:+4930123@{secret}>"),
    )
    for name in ("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "History-Info", "P-Called-Party-ID", "P-Charging-Vector"):
        assert name in received.headers, name
    assert secret.encode() not in received.encode()


def test_local_numbers_of_a_tel_uri_get_a_host() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told(("P-Asserted-Identity", "<tel:4711;phone-context=pbx.local>"))
    assert received.headers.all("P-Asserted-Identity") == ["<sip:4711@10.1.0.1>"]


def test_an_answer_without_headers_carries_none() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told()
    cast.carrier.answer(received, 180)
    ringing: Response = cast.office.expect_response(180)
    assert [name.spelling for name, _ in ringing.headers] == ["Via", "From", "To", "Call-ID", "CSeq", "Contact"]
