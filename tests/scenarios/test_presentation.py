"""How numbers and people look to a peer, by choices with a name; and whom the called side of a route sees."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.cast import ANONYMOUS_FROM, NUMBER, TRUSTED, Cast, policy
from tests.scenarios.test_registration import registered
from tests.world import connect, sdp

TABLE = '{"+49": "0", "+": "00", "+4989": "0891"}'
FROM = '"Bob" <sip:+4930777@10.0.0.20>'
HIDDEN = (("Privacy", "id"),)
ASSERTED = ("P-Asserted-Identity", "<sip:+4930777@h>")


def cast(carrier: str = "", office: str = TRUSTED, shows: str = "") -> Cast:
    text = policy(office=office, carrier=carrier)
    return Cast(text.replace("    ring_for: 60s\n", f"    ring_for: 60s\n    shows: {shows}\n", 1) if shows else text)


def value(message: Request | Response, name: str) -> str | None:
    return message.headers.first(name)


def from_of(message: Request) -> str:
    return (value(message, "From") or "").partition(";tag")[0]


@pytest.mark.parametrize(
    ("keys", "number", "uri"),
    [
        ("", "+4930123456", "sip:+4930123456@10.1.0.2:5060"),
        ("called_as: e164", "+4930123456", "sip:+4930123456@10.1.0.2:5060"),
        ("called_as: digits", "+4930123456", "sip:4930123456@10.1.0.2:5060"),
        (f"called_as: {TABLE}", "+4930123456", "sip:030123456@10.1.0.2:5060"),
        (f"called_as: {TABLE}", "+4989123456", "sip:0891123456@10.1.0.2:5060"),
        (f"called_as: {TABLE}", "+442079460958", "sip:00442079460958@10.1.0.2:5060"),
        (f"called_as: {TABLE}", "112", "sip:112@10.1.0.2:5060"),
        ("called_as: digits; user_phone: true", "+4930123456", "sip:4930123456@10.1.0.2:5060;user=phone"),
        ("user_phone: true", "112", "sip:112@10.1.0.2:5060"),
    ],
)
def test_how_a_number_is_called(keys: str, number: str, uri: str) -> None:
    told = cast(keys).told(number=number)
    assert str(told.uri) == uri
    assert value(told, "To") == f"<{uri}>"


@pytest.mark.parametrize(
    ("keys", "from_", "asserted"),
    [
        ("", '"Bob" <sip:+4930777@10.1.0.1>', "<sip:+4930777@10.1.0.1;user=phone>"),
        ("callers_as: digits", '"Bob" <sip:4930777@10.1.0.1>', "<sip:4930777@10.1.0.1;user=phone>"),
        (f"callers_as: {TABLE}; user_phone: false", '"Bob" <sip:030777@10.1.0.1>', "<sip:030777@10.1.0.1>"),
        ("user_phone: true", '"Bob" <sip:+4930777@10.1.0.1;user=phone>', "<sip:+4930777@10.1.0.1;user=phone>"),
        ("callers_at: sip.example.net", '"Bob" <sip:+4930777@sip.example.net>', "<sip:+4930777@sip.example.net;user=phone>"),
        ("display_names: drop", "<sip:+4930777@10.1.0.1>", "<sip:+4930777@10.1.0.1;user=phone>"),
        ("called_as: digits", '"Bob" <sip:+4930777@10.1.0.1>', "<sip:+4930777@10.1.0.1;user=phone>"),
    ],
)
def test_how_callers_look(keys: str, from_: str, asserted: str) -> None:
    told = cast(f"{TRUSTED}; {keys}").told(ASSERTED, from_=FROM)
    assert (from_of(told), value(told, "P-Asserted-Identity")) == (from_, asserted)


def test_the_verdict_on_a_number_stays_with_it() -> None:
    told = cast(f"{TRUSTED}; callers_as: digits").told(from_="<sip:+4930777;verstat=TN-Validation-Passed@h;user=phone>")
    assert from_of(told) == "<sip:4930777;verstat=TN-Validation-Passed@10.1.0.1;user=phone>"


def test_a_tel_uri_needs_a_host_when_its_number_is_not_global() -> None:
    tel = ("P-Asserted-Identity", "<tel:+4930777>")
    assert value(cast(f"{TRUSTED}; display_names: drop").told(tel), "P-Asserted-Identity") == "<tel:+4930777>"
    assert value(cast(f"{TRUSTED}; callers_as: digits").told(tel), "P-Asserted-Identity") == "<sip:4930777@10.1.0.1;user=phone>"


def test_ID_07_ID_08_who_sent_a_call_on_looks_the_same_way() -> None:
    diversion = ("Diversion", "<sip:+4930999@h>;reason=user-busy")
    told = cast(f"{TRUSTED}; callers_as: digits; callers_at: c.example").told(diversion)
    assert value(told, "Diversion") == "<sip:4930999@c.example;user=phone>;reason=user-busy;counter=1;privacy=off"
    history = cast(f"{TRUSTED}; callers_as: digits; diversions_as: history-info").told(diversion)
    assert (value(history, "History-Info") or "").startswith("<sip:4930999@10.1.0.1;user=phone>;index=1")
    none = cast(f"{TRUSTED}; diversions_as: none").told(diversion)
    assert (value(none, "Diversion"), value(none, "History-Info")) == (None, None)


@pytest.mark.parametrize(
    ("said", "keys", "header", "row"),
    [
        ((), "p-preferred-identity", "P-Preferred-Identity", "<sip:+4930777@10.1.0.1;user=phone>"),
        ((), "remote-party-id", "Remote-Party-ID", "<sip:+4930777@10.1.0.1;user=phone>;party=calling;privacy=off;screen=yes"),
        (HIDDEN, "remote-party-id", "Remote-Party-ID", "<sip:+4930777@10.1.0.1;user=phone>;party=calling;privacy=full;screen=yes"),
        ((), "none", "From", None),
    ],
)
def test_ID_05_the_header_that_says_who(said: tuple[tuple[str, str], ...], keys: str, header: str, row: str | None) -> None:
    told = cast(f"{TRUSTED}; identity_as: {keys}").told(ASSERTED, ("Remote-Party-ID", "<sip:+49111@h>;screen=no"), *said)
    headers = {"P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"}
    assert {name.spelling for name, _ in told.headers} & headers == ({header} if row else set())
    assert row is None or told.headers.all(header) == [row]


def test_ID_01_what_is_hidden_is_hidden_by_every_header() -> None:
    for header in ("p-preferred-identity", "remote-party-id"):
        told = cast(f"identity_as: {header}").told(ASSERTED, ("Privacy", "id"))
        assert "4930777" not in str(told.headers)


def test_answers_and_later_identities_look_so_too() -> None:
    people = cast(carrier=TRUSTED, office=f"{TRUSTED}; identity_as: remote-party-id; callers_as: digits")
    office, carrier = people.office, people.carrier
    office.invite(NUMBER, headers=(("Allow", "INVITE, UPDATE"),))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=(("P-Asserted-Identity", "<sip:+4930123@h>"),))
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert value(ok, "Remote-Party-ID") == "<sip:4930123@10.0.0.1;user=phone>;party=called;privacy=off;screen=yes"
    office.ack(ok)
    people.world.after(1)
    update = carrier.within_received(received, "UPDATE", headers=(("P-Asserted-Identity", "<sip:+4930124@h>"),))
    carrier.send(update)
    carrier.expect_response(200)
    told = office.expect_request("UPDATE")
    assert value(told, "Remote-Party-ID") == "<sip:4930124@10.0.0.1;user=phone>;party=called;privacy=off;screen=yes"


@pytest.mark.parametrize(
    ("keys", "from_"),
    [
        ("", '"Anonymous" <sip:anonymous@anonymous.invalid>'),
        ("anonymous_at: callers_at", '"Anonymous" <sip:anonymous@10.1.0.1>'),
        ("anonymous_at: callers_at; callers_at: c.example", '"Anonymous" <sip:anonymous@c.example>'),
    ],
)
def test_ID_03_where_nobody_is(keys: str, from_: str) -> None:
    assert from_of(cast(keys).told(ASSERTED, from_=ANONYMOUS_FROM)) == from_
    assert from_of(cast(keys).told(ASSERTED, ("Privacy", "user"), from_=FROM)) == from_


def test_a_phone_sees_numbers_as_it_wants() -> None:
    text = policy(alice='callers_as: {"+49": "0"}; display_names: drop').replace(
        '  - name: to-alice\n    when: {trunk: carrier, to: "alice"}', '  - name: to-alice\n    when: {trunk: carrier, to: "+4940*"}'
    )
    people = Cast(text)
    registered(people.alice)
    people.send(people.carrier, "+4940123", (), '"Carol" <sip:+4930777@h>')
    assert from_of(people.alice.expect_request("INVITE")) == "<sip:030777@10.0.0.1>"


# Whom a route shows


PROVED = (ASSERTED, ("Identity", "a.b.c;info=<https://x.example/c>"), ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"))


def test_a_route_that_shows_nobody() -> None:
    told = cast(shows="nobody").told(*PROVED, from_=FROM)
    assert from_of(told) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert [value(told, name) for name in ("P-Asserted-Identity", "Identity", "Date")] == [None, None, None]
    trusted = cast(TRUSTED, shows="nobody").told(*PROVED, ("Privacy", "none"), from_=FROM)
    assert from_of(trusted) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert value(trusted, "P-Asserted-Identity") == "<sip:+4930777@10.1.0.1;user=phone>"
    assert (value(trusted, "Privacy"), value(trusted, "Identity")) == ("id", None)


@pytest.mark.parametrize("from_", [FROM, ANONYMOUS_FROM])
def test_a_route_that_shows_a_number(from_: str) -> None:
    people = cast(f"{TRUSTED}; callers_as: digits", shows='"+4930100"')
    told = people.told(*PROVED, ("Remote-Party-ID", "<sip:+49111@h>"), from_=from_)
    assert from_of(told) == "<sip:4930100@10.1.0.1>"
    assert told.headers.all("P-Asserted-Identity") == ["<sip:4930100@10.1.0.1;user=phone>"]
    assert [value(told, name) for name in ("Privacy", "Identity", "Remote-Party-ID")] == [None, None, None]
    assert "777" not in str(told.headers)
    people.carrier.answer(told, 486)
    (record,) = people.world.records
    assert record["asserted"] == "+4930777", "the record knows better"


def test_who_is_not_shown_is_not_named_later() -> None:
    people = cast(TRUSTED, shows="nobody")
    invite, ok, received = connect(people.office, people.carrier, NUMBER)
    people.world.after(1)
    people.office.send(people.office.within(invite, ok, "UPDATE", headers=(("P-Asserted-Identity", "<sip:+4930888@h>"),)))
    people.office.expect_response(200)
    people.carrier.expect_nothing()
    people.office.send(people.office.within(invite, ok, "INVITE", cseq=3, body=sdp("10.0.0.20", 40002, version=2), headers=(ASSERTED,)))
    again = people.carrier.expect_request("INVITE")
    assert value(again, "P-Asserted-Identity") is None
    assert again.call_id == received.call_id


def test_whoever_calls_for_help_is_shown() -> None:
    told = cast(shows="nobody").told(ASSERTED, from_=FROM, number="112")
    assert from_of(told) == '"Bob" <sip:+4930777@10.1.0.1>'
    back = cast(TRUSTED, shows="nobody").told(ASSERTED, ("Priority", "psap-callback"), from_=FROM)
    assert from_of(back) == '"Bob" <sip:+4930777@10.1.0.1>'


def test_messages_show_nobody_either() -> None:
    people = cast(f"{TRUSTED}; messages: pass", office=f"{TRUSTED}; messages: pass", shows='"+4930100"')
    people.office.send(people.office.request("MESSAGE", f"sip:{NUMBER}@10.0.0.1", headers=(ASSERTED,)))
    told = people.carrier.expect_request("MESSAGE")
    assert from_of(told) == "<sip:+4930100@10.1.0.1>"
    assert "777" not in str(told.headers)


# Number portability (RFC 4694)


@pytest.mark.parametrize(
    ("office", "carrier", "dialled", "user"),
    [
        (TRUSTED, TRUSTED, "+12025550143;npdi;rn=+12025550100", "+12025550143;npdi;rn=+12025550100"),
        (TRUSTED, f"{TRUSTED}; called_as: digits", "+12025550143;npdi", "12025550143;npdi"),
        (TRUSTED, TRUSTED, "+12025550143;NPDI;rn=1234;rn-context=+44;isub=1", "+12025550143;npdi;rn=1234;rn-context=+44"),
        (TRUSTED, TRUSTED, "+12025550143;rn=1%2B;npdi=x", "+12025550143"),
        (TRUSTED, "display_names: drop", "+12025550143;npdi", "+12025550143"),
        ("redirects: refuse", TRUSTED, "+12025550143;npdi", "+12025550143"),
        (TRUSTED, TRUSTED, "112;npdi", "112"),
    ],
)
def test_portability_of_a_number_crosses_within_trust(office: str, carrier: str, dialled: str, user: str) -> None:
    told = cast(carrier, office).told(number=dialled)
    assert told.uri.user == user
    assert (value(told, "To") or "").startswith(f"<sip:{user}@")


def test_portability_in_a_tel_uri() -> None:
    people = cast(TRUSTED)
    people.office.send(people.office.request("INVITE", "tel:+12025550143;npdi;rn=+12025550100", body=sdp("10.0.0.20", 40000)))
    people.office.expect_response(100)
    assert people.carrier.expect_request("INVITE").uri.user == "+12025550143;npdi;rn=+12025550100"
    (call,) = people.world.calls()
    assert call.facts.called == "+12025550143", "it is no part of the number"


# Routes that need to show a caller


VALID = "+4930901820"
NEEDS = "    needs_caller: true\n"


def needing(office: str = "", carrier: str = "") -> Cast:
    return Cast(policy(office=office, carrier=carrier).replace("    send_to: [carrier, backup]\n", f"    send_to: [carrier]\n{NEEDS}", 1))


@pytest.mark.parametrize(
    ("office", "carrier", "from_", "headers", "status"),
    [
        ("", "", f"<sip:{VALID}@h>", (), 0),
        ("", "", "<sip:office@h>", (), 403),
        ("", "", "<sip:+4912@h>", (), 403),
        ("", "", ANONYMOUS_FROM, (), 433),
        ("", "", f"<sip:{VALID}@h>", (("Privacy", "id"),), 433),
        (TRUSTED, TRUSTED, f"<sip:{VALID}@h>", (("Privacy", "id"), ("P-Asserted-Identity", f"<sip:{VALID}@h>")), 0),
        (TRUSTED, TRUSTED, "<sip:office@h>", (("P-Asserted-Identity", f"<sip:{VALID}@h>"),), 0),
        (TRUSTED, TRUSTED, f"<sip:{VALID}@h>", (("P-Asserted-Identity", "<sip:+4912@h>"),), 403),
        (TRUSTED, TRUSTED, f"<sip:{VALID};verstat=TN-Validation-Failed@h>", (), 403),
    ],
)
def test_FRD_11_a_route_that_needs_to_show_a_caller(
    office: str, carrier: str, from_: str, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    cast = needing(office, carrier)
    cast.send(cast.office, NUMBER, headers, from_)
    cast.office.expect_response(100)
    if status:
        cast.office.expect_response(status)
        cast.carrier.expect_nothing()
        (record,) = cast.world.records
        assert "needs to show a caller" in str(record["attempts"])
    else:
        cast.carrier.expect_request("INVITE")


def test_who_calls_for_help_needs_no_number() -> None:
    cast = needing()
    cast.send(cast.office, "112", (), ANONYMOUS_FROM)
    cast.carrier.expect_request("INVITE")


@pytest.mark.parametrize("shows", ["nobody", VALID])
def test_the_record_says_whom_the_called_side_saw_instead(shows: str) -> None:
    cast = Cast(policy().replace("    send_to: [carrier, backup]\n", f'    send_to: [carrier]\n    shows: "{shows}"\n', 1))
    cast.carrier.answer(cast.told(from_="<sip:+4930111@h>"), 486)
    cast.office.expect_response(486)
    (record,) = cast.world.records
    assert isinstance(record["b"], dict)
    assert (record["caller"], record["b"]["shows"]) == ("+4930111", shows)


def test_the_record_says_which_number_was_not_shown() -> None:
    cast = Cast(policy(office=f'numbers: ["{VALID}"]; foreign_numbers: replace'))
    for said, caller_said in (("+4930111", "+4930111"), (VALID, None)):
        cast.carrier.answer(cast.told(from_=f"<sip:{said}@h>"), 486)
        cast.carrier.expect_request("ACK")
        cast.office.expect_response(486)
        record = cast.world.records[-1]
        assert (record["caller"], record["caller_said"]) == (VALID, caller_said)
