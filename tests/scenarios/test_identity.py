"""Who is calling, who may know it, and what else crosses from leg to leg."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.test_registration import credentials
from tests.vectors.messages import request as sample
from tests.world import POLICY, Agent, World, connect, sdp

NUMBER = "+4930123456"
ANONYMOUS_FROM = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def policy(office: str = "", carrier: str = "", alice: str = "") -> str:
    """The world's policy with more keys on its parties."""
    text = POLICY
    for name, keys in (("office", office), ("carrier", carrier), ("alice", alice)):
        text = text.replace(f"  {name}:\n", f"  {name}:\n" + "".join(f"    {key}\n" for key in filter(None, keys.split("; "))), 1)
    return text


TRUSTED = "trusted: true"


class Cast:
    def __init__(self, text: str) -> None:
        self.world = World(text)
        self.office = self.world.agent("office", ("10.0.0.20", 5060), "outside")
        self.carrier = self.world.agent("carrier", ("10.1.0.2", 5060), "inside")
        self.alice = self.world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)

    def told(self, *headers: tuple[str, str], from_: str = "", number: str = NUMBER) -> Request:
        """The INVITE the carrier gets for one of the office with these headers."""
        self.send(self.office, number, headers, from_)
        self.office.expect_response(100)
        return self.carrier.expect_request("INVITE")

    def send(self, caller: Agent, number: str, headers: tuple[tuple[str, str], ...], from_: str = "") -> Request:
        local = f"{caller.flow.local[0]}:{caller.flow.local[1]}"
        request = caller.request("INVITE", f"sip:{number}@{local}", body=sdp(caller.host, 40000), headers=headers)
        if from_:
            request.headers.set("From", f"{from_};tag=from-{caller.name}")
        caller.last_invite = request
        caller.send(request)
        return request


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
def test_433_to_who_hides_from_a_callee_that_refuses_it(headers: tuple[tuple[str, str], ...], from_: str) -> None:
    cast = Cast(policy(office="refuse_anonymous: true", carrier=TRUSTED))
    cast.send(cast.carrier, NUMBER, (*headers, ("P-Asserted-Identity", "<sip:+4989@x>")), from_)
    cast.carrier.expect_response(100)
    assert cast.carrier.expect_response(433).reason == "Anonymity Disallowed"
    cast.office.expect_nothing()
    cast.send(cast.carrier, NUMBER, (*headers, ("Priority", "psap-callback")), from_)
    cast.carrier.expect_response(100)
    cast.office.expect_request("INVITE")


def test_433_is_for_hiding_alone() -> None:
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
    passed = Cast(policy(office=TRUSTED, carrier=TRUSTED)).told(*rows)
    assert [passed.headers.first(name) for name, _ in rows] == [value for _, value in rows]
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
def test_headers_that_are_not_on_both_lists_stay_behind(office: str, carrier: str) -> None:
    received = Cast(policy(office=office, carrier=carrier)).told(*OPTIONAL, ("Organization", "x"), ("User-Agent", "y"))
    left = ("User-to-User", "X-Case", "Subject", "Alert-Info", "Call-Info", "Organization", "User-Agent")
    assert [name for name in left if name in received.headers] == []


def test_headers_on_both_lists_cross_both_ways() -> None:
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


def test_identity_and_its_date_pass_untouched() -> None:
    value = sample("samples", "shaken_invite.sip").headers.all("Identity")[0]
    received = Cast(policy()).told(("Identity", value), ("Identity", "other;info=<x>"), ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"))
    assert received.headers.all("Identity") == [value, "other;info=<x>"]
    assert received.headers.all("Date") == ["Thu, 01 Jan 2026 00:00:00 GMT"]
    assert "Date" not in Cast(policy()).told(("Date", "Thu, 01 Jan 2026 00:00:00 GMT")).headers


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
