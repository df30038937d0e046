"""Who is calling, and who may know it."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request
from tests.scenarios.cast import ANONYMOUS_FROM, NUMBER, TRUSTED, Cast, policy
from tests.scenarios.test_registration import credentials
from tests.vectors.messages import request as sample
from tests.world import connect, sdp


def user_and_host(value: str | None) -> tuple[str, str]:
    assert value is not None
    inner = value[value.index("<") + 1 : value.index(">")]
    user, _, host = inner.partition(":")[2].partition("@")
    return user, host


# ID-01: the trust matrix of RFC 3325 s5, by privacy


@pytest.mark.parametrize("privacy", ["", "id", "none"])
@pytest.mark.parametrize("to_trusted", [True, False])
@pytest.mark.parametrize("from_trusted", [True, False])
def test_ID_01_trust_matrix(from_trusted: bool, to_trusted: bool, privacy: str) -> None:
    cast = Cast(policy(office=TRUSTED if from_trusted else "", carrier=TRUSTED if to_trusted else ""))
    asserted = ("P-Asserted-Identity", '"Bob" <sip:+4930123@10.0.0.20:5060>, <tel:+4930123>')
    received = cast.told(asserted, *((("Privacy", privacy),) if privacy else ()))
    expected = from_trusted and (to_trusted or privacy != "id")
    assert received.headers.all("P-Asserted-Identity") == (
        ['"Bob" <sip:+4930123@10.1.0.1;user=phone>', "<tel:+4930123>"] if expected else []
    )
    assert b"10.0.0.20" not in received.encode()
    assert received.headers.first("Privacy") == (privacy or None)
    if privacy == "id" and not to_trusted:
        assert received.from_.uri.host == "anonymous.invalid"
        assert received.from_.display == "Anonymous"
    else:
        assert (received.from_.display, received.from_.uri.user, received.from_.uri.host) == ("Office", "office", "10.1.0.1")


@pytest.mark.parametrize("value", ["<sip:+1@h", '"x <sip:1@h>', "<mailto:x@h>", "<sip:\u0661@h>", "<sip:@h>", "\x01"])
def test_ID_01_what_cannot_be_read_was_not_asserted(value: str) -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    assert "P-Asserted-Identity" not in cast.told(("P-Asserted-Identity", value)).headers


def test_ID_01_numbers_are_normalised_as_dialled_ones_are() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told(("P-Asserted-Identity", "<sip:0049-30-123@10.0.0.20>"), ("Remote-Party-ID", "<sip:030.124@10.0.0.20>;screen=yes"))
    assert received.headers.all("P-Asserted-Identity") == ["<sip:+4930123@10.1.0.1;user=phone>"]
    assert received.headers.all("Remote-Party-ID") == ["<sip:+4930124@10.1.0.1;user=phone>;screen=yes"]


def test_ID_01_identity_of_the_callee_within_the_trust_domain() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told()
    asserted = (("P-Asserted-Identity", '"Bob" <sip:+4930999@10.1.0.2>'), ("Privacy", "id"))
    cast.carrier.answer(received, 180, headers=asserted)
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=asserted)
    for response in (cast.office.expect_response(180), cast.office.expect_response(200)):
        assert response.headers.all("P-Asserted-Identity") == ['"Bob" <sip:+4930999@10.0.0.1;user=phone>']
        assert response.headers.all("Privacy") == ["id"]


@pytest.mark.parametrize(("office", "carrier"), [("", TRUSTED), (TRUSTED, ""), ("", "")])
def test_ID_01_identity_of_the_callee_stays_in_the_trust_domain(office: str, carrier: str) -> None:
    cast = Cast(policy(office=office, carrier=carrier))
    received = cast.told()
    cast.carrier.answer(received, 486, headers=(("P-Asserted-Identity", "<sip:+4930999@10.1.0.2>"), ("Privacy", "id")))
    assert "P-Asserted-Identity" not in cast.office.expect_response(486).headers


# ID-02: what somebody outside the trust domain says is a wish


@pytest.mark.parametrize(
    ("headers", "from_", "asserted"),
    [
        ((("P-Preferred-Identity", "<sip:+4930555@x>"),), "", "+4930555"),
        ((("P-Preferred-Identity", "<tel:030-555-77>"),), "", "+493055577"),
        ((("P-Preferred-Identity", "<sip:+1900@x>"), ("P-Asserted-Identity", "<sip:+4930556@x>")), "", "+4930556"),
        ((), "<sip:+4930557@10.0.0.20>", "+4930557"),
        ((), "<sip:+1900@10.0.0.20>", "+4930555"),
        ((("P-Preferred-Identity", "<sip:+1900@x>"),), ANONYMOUS_FROM, "+4930555"),
    ],
)
def test_ID_02_a_preferred_identity_counts_if_it_is_ones_own(headers: tuple[tuple[str, str], ...], from_: str, asserted: str) -> None:
    cast = Cast(policy(office='numbers: ["+4930555", "+4930555*", "+493055*"]', carrier=TRUSTED))
    received = cast.told(*headers, from_=from_)
    assert received.headers.all("P-Asserted-Identity") == [f"<sip:{asserted}@10.1.0.1;user=phone>"]
    assert "P-Preferred-Identity" not in received.headers


def test_ID_02_a_trusted_side_asserts_and_does_not_wish() -> None:
    cast = Cast(policy(office=f'{TRUSTED}; numbers: "+4930555*"', carrier=TRUSTED))
    received = cast.told(("P-Preferred-Identity", "<sip:+49305551@x>"), ("P-Asserted-Identity", "<sip:+1900@x>"))
    assert received.headers.all("P-Asserted-Identity") == ["<sip:+1900@10.1.0.1;user=phone>"]


@pytest.mark.parametrize(
    ("keys", "headers", "known_as"),
    [
        ("", (("P-Asserted-Identity", "<sip:+1900@x>"),), "alice"),
        ('numbers: ["+4930777*", "+49307770"]', (), "+49307770"),
        ('numbers: ["+4930777*", "+49307770"]', (("P-Preferred-Identity", "<sip:+49307775@x>"),), "+49307775"),
        ('numbers: ["+4930777*", "+49307770"]', (("P-Preferred-Identity", "<sip:+1900@x>"),), "+49307770"),
    ],
)
def test_ID_02_a_user_is_who_it_has_proved_to_be(keys: str, headers: tuple[tuple[str, str], ...], known_as: str) -> None:
    cast = Cast(policy(alice=keys, carrier=TRUSTED))
    received = call_of_alice(cast, *headers)
    assert user_and_host(received.headers.first("P-Asserted-Identity")) == (known_as, "10.1.0.1" + ";user=phone" * (known_as != "alice"))
    assert (received.from_.uri.user, received.from_.uri.host) == (known_as, "10.1.0.1")


def call_of_alice(cast: Cast, *headers: tuple[str, str], from_: str = "") -> Request:
    """Challenged first, then let through."""
    first = cast.send(cast.alice, NUMBER, headers, from_)
    challenge = cast.alice.expect_response(401)
    cast.send(cast.alice, NUMBER, (*headers, credentials(challenge, first)), from_)
    cast.alice.expect_response(100)
    return cast.carrier.expect_request("INVITE")


def test_ID_02_who_answers_may_say_which_number_it_is_and_no_more_is_told() -> None:
    cast = Cast(policy(office='numbers: ["+49301", "+4930123*"]', carrier=TRUSTED))
    cast.send(cast.carrier, NUMBER, ())
    cast.carrier.expect_response(100)
    received = cast.office.expect_request("INVITE")
    cast.office.answer(received, 180)
    assert "P-Asserted-Identity" not in cast.carrier.expect_response(180).headers
    cast.office.answer(received, 183, headers=(("P-Preferred-Identity", "<sip:+49301234@x>"),))
    told = cast.carrier.expect_response(183)
    assert told.headers.all("P-Asserted-Identity") == ["<sip:+49301234@10.1.0.1;user=phone>"]
    cast.office.answer(received, 182, headers=(("P-Asserted-Identity", "<sip:+1900@x>"),))
    assert "P-Asserted-Identity" not in cast.carrier.expect_response(182).headers


# ID-03: privacy (RFC 3323)


def test_ID_03_user_privacy_makes_from_anonymous_for_everybody() -> None:
    listed = "pass_headers: [Subject, Call-Info, X-Case]"
    cast = Cast(policy(office=f"{TRUSTED}; {listed}", carrier=f"{TRUSTED}; {listed}"))
    said = (("Subject", "my own"), ("Call-Info", "<https://me.example/>"), ("X-Case", "1"))
    received = cast.told(("Privacy", "header;user"), ("P-Asserted-Identity", "<sip:+4930123@x>"), *said)
    assert str(received.from_.with_tag("")) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert received.headers.all("Privacy") == ["id"], "what we did is taken away, what others have to do is there"
    assert received.headers.all("P-Asserted-Identity") == ["<sip:+4930123@10.1.0.1;user=phone>"]
    assert [name in received.headers for name in ("Subject", "Call-Info", "X-Case")] == [False, False, True]
    shown = cast.told(*said)
    assert [name in shown.headers for name in ("Subject", "Call-Info", "X-Case")] == [True, True, True]


def test_ID_03_none_leaves_everything_as_it_is() -> None:
    cast = Cast(policy(office=TRUSTED))
    asserted = ("P-Asserted-Identity", "<sip:+4930123@x>")
    received = cast.told(("Privacy", "none"), asserted, from_=ANONYMOUS_FROM)
    assert received.headers.all("Privacy") == ["none"]
    assert received.headers.all("P-Asserted-Identity") == ["<sip:+4930123@10.1.0.1;user=phone>"]
    assert received.from_.uri.host == "anonymous.invalid"


@pytest.mark.parametrize("value", ["id;location;critical", "critical;x"])
def test_ID_03_critical_privacy_that_we_do_not_know(value: str) -> None:
    cast = Cast(policy(carrier=TRUSTED))
    cast.send(cast.office, NUMBER, (("Privacy", value),))
    refused = cast.office.expect_response(500)
    assert refused.reason == "Privacy Failure"
    cast.carrier.expect_nothing()
    assert cast.world.records[0]["sip_status"] == 500
    assert cast.world.core.busy() == 0
    cast.send(cast.office, "112", (("Privacy", value),))
    cast.office.expect_response(100)
    cast.carrier.expect_request("INVITE")


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("session;critical", None),
        ("id;critical", "id;critical"),
        ("user;id;critical", "id;critical"),
        ("header;history", "history"),
        ("location", "location"),
    ],
)
def test_ID_03_what_is_left_to_ask(asked: str, left: str | None) -> None:
    received = Cast(policy(carrier=TRUSTED)).told(("Privacy", asked))
    assert received.headers.first("Privacy") == left


def test_ID_03_privacy_in_proxy_require_is_ours() -> None:
    received = Cast(policy()).told(("Proxy-Require", "privacy"), ("Privacy", "id"))
    assert "Proxy-Require" not in received.headers
    assert received.from_.uri.host == "anonymous.invalid"


def test_ID_03_rows_of_privacy_count_together() -> None:
    received = Cast(policy()).told(("Privacy", "session"), ("Privacy", "id"))
    assert received.from_.uri.host == "anonymous.invalid"


def test_ID_03_the_sample_of_a_call_without_a_number() -> None:
    cast = Cast(policy(carrier=TRUSTED))
    received = cast.told(from_=str(sample("samples", "audiocodes_invite_compact.sip").from_.with_tag("")))
    assert str(received.from_.uri) == "sip:anonymous@anonymous.invalid"


# ID-04: anonymous calls


def test_ID_04_an_anonymous_call_is_known_in_the_trust_domain() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told(("P-Asserted-Identity", "<sip:+4930123@x>"), from_=ANONYMOUS_FROM)
    assert received.headers.all("P-Asserted-Identity") == ["<sip:+4930123@10.1.0.1;user=phone>"]
    assert received.headers.all("Privacy") == ["id"], "so that nobody behind it shows the number"
    assert str(received.from_.uri) == "sip:anonymous@anonymous.invalid"


@pytest.mark.parametrize("from_", [ANONYMOUS_FROM, "<sip:anonymous@10.0.0.20>", "<sip:Anonymous@office.example>"])
def test_ID_04_and_nowhere_else(from_: str) -> None:
    received = Cast(policy(office=TRUSTED)).told(("P-Asserted-Identity", "<sip:+4930123@x>"), from_=from_)
    assert "P-Asserted-Identity" not in received.headers
    assert received.from_.uri.host == "anonymous.invalid"


@pytest.mark.parametrize("from_", [ANONYMOUS_FROM, "<sip:anonymous@sbc.example.com>"])
def test_ID_04_an_anonymous_user_is_not_named_in_from(from_: str) -> None:
    cast = Cast(policy(carrier=TRUSTED))
    received = call_of_alice(cast, from_=from_)
    assert str(received.from_.uri) == "sip:anonymous@anonymous.invalid"
    assert received.headers.all("P-Asserted-Identity") == ["<sip:alice@10.1.0.1>"]
    assert received.headers.all("Privacy") == ["id"]


def test_ID_04_who_helps_is_told_who_calls_and_where() -> None:
    cast = Cast(policy(office='numbers: "+4930555"'))
    cast.send(cast.office, "112", (("Privacy", "id;user"), ("Geolocation", "<cid:1@office>"), ("Priority", "emergency")))
    cast.office.expect_response(100)
    received = cast.carrier.expect_request("INVITE")
    assert received.headers.all("P-Asserted-Identity") == ["<sip:+4930555@10.1.0.1;user=phone>"]
    assert received.headers.all("Geolocation") == ["<cid:1@office>"]
    assert received.headers.all("Priority") == ["emergency"]
    assert received.from_.uri.user == "office"


def test_ID_04_emergency_headers_come_once_between_trusted_sides() -> None:
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    cast.send(cast.office, "112", (("Geolocation", "<cid:1@office>"), ("Accept-Contact", "*;audio")))
    cast.office.expect_response(100)
    received = cast.carrier.expect_request("INVITE")
    assert received.headers.all("Geolocation") == ["<cid:1@office>"]
    assert received.headers.all("Accept-Contact") == ["*;audio"]


@pytest.mark.parametrize(
    ("headers", "from_"), [((("Privacy", "id"),), ""), ((), ANONYMOUS_FROM), ((("Privacy", "user"),), ""), ((), "<sip:anonymous@x>")]
)
def test_REJ_11_433_to_who_hides_from_a_callee_that_refuses_it(headers: tuple[tuple[str, str], ...], from_: str) -> None:
    cast = Cast(policy(office="refuse_anonymous: true", carrier=TRUSTED))
    cast.send(cast.carrier, NUMBER, (*headers, ("P-Asserted-Identity", "<sip:+4989@x>")), from_)
    cast.carrier.expect_response(100)
    assert cast.carrier.expect_response(433).reason == "Anonymity Disallowed"
    cast.office.expect_nothing()
    cast.send(cast.carrier, NUMBER, (*headers, ("Priority", "psap-callback")), from_)
    cast.carrier.expect_response(100)
    cast.office.expect_request("INVITE")


def test_REJ_11_433_is_for_hiding_alone() -> None:
    cast = Cast(policy(office="refuse_anonymous: true", carrier=TRUSTED))
    cast.send(cast.carrier, NUMBER, (("Privacy", "none"),))
    cast.carrier.expect_response(100)
    cast.office.expect_request("INVITE")


# ID-05: Remote-Party-ID


def test_ID_05_screened_by_a_trusted_side_it_is_an_identity() -> None:
    cast = Cast(policy(office=TRUSTED))
    received = cast.told(("Remote-Party-ID", '"Val" <sip:+4930123@172.17.16.13>;party=calling;screen=yes;privacy=off'))
    assert received.headers.all("P-Asserted-Identity") == ['"Val" <sip:+4930123@10.1.0.1;user=phone>']
    assert "Remote-Party-ID" not in received.headers


@pytest.mark.parametrize(
    "value", ["<sip:+4930123@x>;party=calling;screen=no", "<sip:+4930123@x>;party=called;screen=yes", "<sip:+4930123@x>"]
)
def test_ID_05_what_was_not_screened_proves_nothing(value: str) -> None:
    received = Cast(policy(office=TRUSTED, carrier=TRUSTED)).told(("Remote-Party-ID", value))
    assert "P-Asserted-Identity" not in received.headers


def test_ID_05_from_outside_the_trust_domain_it_is_nothing() -> None:
    received = Cast(policy(carrier=TRUSTED)).told(("Remote-Party-ID", "<sip:+4930123@x>;party=calling;screen=yes"))
    assert "P-Asserted-Identity" not in received.headers
    assert "Remote-Party-ID" not in received.headers


@pytest.mark.parametrize("privacy", ["full", "uri", '"name,uri"'])
def test_ID_05_its_privacy_is_privacy(privacy: str) -> None:
    value = f"<sip:+4930123@10.0.0.20>;party=calling;privacy={privacy};screen=yes"
    trusted = Cast(policy(office=TRUSTED, carrier=TRUSTED)).told(("Remote-Party-ID", value))
    assert trusted.headers.all("Privacy") == ["id"]
    assert trusted.headers.all("Remote-Party-ID") == [value.replace("10.0.0.20", "10.1.0.1;user=phone")]
    others = Cast(policy(office=TRUSTED)).told(("Remote-Party-ID", value))
    assert "P-Asserted-Identity" not in others.headers
    assert others.from_.uri.host == "anonymous.invalid"


# ID-06: tags decide a dialog, not addresses (RFC 4916)


def test_ID_06_another_from_within_the_dialog() -> None:
    cast = Cast(policy())
    _, _, received = connect(cast.office, cast.carrier, NUMBER)
    again = cast.carrier.within_received(received, "INVITE", cseq=3, body=sdp("10.1.0.2", 50000, direction="sendonly", version=2))
    again.headers.set("From", "Carol <sip:carol@somewhere.example>;tag=to-carrier")
    cast.carrier.send(again)
    cast.carrier.expect_response(100)
    cast.office.expect_request("INVITE")
