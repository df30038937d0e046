"""Who is at the other end changes within a call (RFC 4916, RFC 3325): it crosses as far as trust goes."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.cast import TRUSTED, Cast, policy
from tests.scenarios.test_transfer import PERFORMED, accept_blind, expect_report
from tests.scenarios.test_update import ALLOWS
from tests.world import Agent, World, sdp

BOB, CAROL = '"Bob" <sip:+4930111@10.1.0.2>', '"Carol" <sip:+4930222@10.1.0.2>'
CAROL_TOLD = '"Carol" <sip:+4930222@10.0.0.1;user=phone>'
HOLD = sdp("10.1.0.2", 50000, version=2, direction="sendonly")
HELD = sdp("10.0.0.20", 40000, version=2, direction="recvonly")


def by(identity: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("P-Asserted-Identity", identity), *more)


class Scene(Cast):
    """A call of the office to the carrier's Bob."""

    def __init__(self, office: str = TRUSTED, carrier: str = TRUSTED, *, updates: bool = True) -> None:
        super().__init__(policy(office=office, carrier=carrier))
        allows = ALLOWS if updates else ()
        self.received = self.told(*allows)
        self.carrier.answer(self.received, 200, body=sdp("10.1.0.2", 50000), headers=(*by(BOB), *allows))
        self.carrier.expect_request("ACK")
        self.ok: Response = self.office.expect_response(200)
        self.office.ack(self.ok)

    def carriers(self, method: str, *headers: tuple[str, str], body: bytes = b"", cseq: int = 1) -> None:
        self.carrier.send(self.carrier.within_received(self.received, method, cseq=cseq, body=body, headers=(*headers, *ALLOWS)))

    def offices(self, method: str, *headers: tuple[str, str], body: bytes = b"", cseq: int = 2) -> Request:
        assert self.office.last_invite is not None
        request = self.office.within(self.office.last_invite, self.ok, method, cseq=cseq, body=body, headers=(*headers, *ALLOWS))
        self.office.send(request)
        return request

    def end(self) -> None:
        self.offices("BYE", cseq=99)
        self.office.expect_response(200)
        self.carrier.answer(self.carrier.expect_request("BYE"), 200)
        self.world.expect_nothing_left()


def identities(message: Request | Response) -> list[str]:
    return message.headers.all("P-Asserted-Identity")


def test_ID_06_an_update_without_an_offer_says_who_is_there_now() -> None:
    scene = Scene()
    scene.carriers("UPDATE", *by(CAROL))
    scene.carrier.expect_response(200)
    told = scene.office.expect_request("UPDATE")
    assert (identities(told), told.body) == ([CAROL_TOLD], b"")
    scene.office.answer(told, 200)
    scene.carriers("UPDATE", *by(CAROL), cseq=2)
    scene.carrier.expect_response(200)
    scene.office.expect_nothing()  # it is no news
    scene.end()


def test_ID_06_by_re_invite_where_there_is_no_update() -> None:
    scene = Scene(updates=False)
    before = scene.ok.body
    scene.carriers("UPDATE", *by(CAROL))
    scene.carrier.expect_response(200)
    told = scene.office.expect_request("INVITE")
    assert (identities(told), told.body) == ([CAROL_TOLD], before), "the session stays as it is"
    scene.office.answer(told, 200, body=sdp("10.0.0.20", 40000))
    scene.office.expect_request("ACK")
    scene.end()


def test_ID_06_it_goes_along_with_an_offer_and_its_answer() -> None:
    scene = Scene()
    scene.carriers("INVITE", *by(CAROL), body=HOLD)
    scene.carrier.expect_response(100)
    told = scene.office.expect_request("INVITE")
    assert identities(told) == [CAROL_TOLD]
    scene.office.answer(told, 200, body=HELD, headers=by('"Desk" <sip:030333@10.0.0.20>'))
    scene.office.expect_request("ACK")
    answer = scene.carrier.expect_response(200)
    assert identities(answer) == ['"Desk" <sip:+4930333@10.1.0.1;user=phone>']
    scene.carrier.send(scene.carrier.within_received(scene.received, "ACK", cseq=answer.cseq.number))
    scene.office.expect_nothing()
    scene.carrier.expect_nothing()
    scene.world.after(33)
    scene.end()


def test_ID_06_the_answer_to_a_refresh_says_so_too() -> None:
    """The office refreshes, we answer; we refresh, the carrier answers as somebody else."""
    scene = Scene()
    scene.offices("UPDATE", *by("<sip:030444@10.0.0.20>"))
    scene.office.expect_response(200)
    refresh = scene.carrier.expect_request("UPDATE")
    assert identities(refresh) == ["<sip:+4930444@10.1.0.1;user=phone>"]
    scene.carrier.answer(refresh, 200, headers=by(CAROL))
    told = scene.office.expect_request("UPDATE")
    assert identities(told) == [CAROL_TOLD]
    scene.office.answer(told, 200, headers=by("<sip:030444@10.0.0.20>"))
    scene.carrier.expect_nothing()
    scene.end()


@pytest.mark.parametrize(
    ("office", "carrier", "headers", "told"),
    [
        ("", TRUSTED, by(CAROL), [CAROL_TOLD]),
        ("", TRUSTED, by(CAROL, ("Privacy", "id")), None),
        (TRUSTED, TRUSTED, by(CAROL, ("Privacy", "id")), [CAROL_TOLD]),
        (TRUSTED, "", by(CAROL), None),
        (TRUSTED, 'numbers: ["+4930222", "+4930555"]', by(CAROL), ["<sip:+4930222@10.0.0.1;user=phone>"]),
        (TRUSTED, 'numbers: ["+4930222", "+4930555"]', by("<sip:+49900@h>"), None),
        (TRUSTED, TRUSTED, by('"x <sip:@>'), None),
        (
            TRUSTED,
            TRUSTED,
            (("Remote-Party-ID", "<sip:+4930222@10.1.0.2>;party=calling;screen=yes"),),
            ["<sip:+4930222@10.0.0.1;user=phone>"],
        ),
        (TRUSTED, TRUSTED, (("Privacy", "id"),), None),
    ],
)
def test_ID_06_as_far_as_trust_goes(office: str, carrier: str, headers: tuple[tuple[str, str], ...], told: list[str] | None) -> None:
    scene = Scene(office, carrier)
    scene.carriers("UPDATE", *headers)
    scene.carrier.expect_response(200)
    if told is None:
        scene.office.expect_nothing()
    else:
        update = scene.office.expect_request("UPDATE")
        assert identities(update) == told
        assert b"10.1.0.2" not in update.encode()
        assert update.headers.first("Privacy") == ("id" if ("Privacy", "id") in headers else None)
        scene.office.answer(update, 200)
    scene.end()


def test_ID_06_when_something_else_is_under_way() -> None:
    scene = Scene()
    scene.offices("INVITE", body=sdp("10.0.0.20", 40000, version=2, direction="sendonly"))
    scene.office.expect_response(100)
    asked = scene.carrier.expect_request("INVITE")
    scene.carriers("UPDATE", *by(CAROL))
    scene.carrier.expect_response(200)
    scene.office.expect_nothing()  # it waits for its answer, and gets it with that
    scene.carrier.answer(asked, 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    scene.carrier.expect_request("ACK")
    answer = scene.office.expect_response(200)
    assert identities(answer) == [CAROL_TOLD]
    scene.office.ack(answer)
    scene.office.expect_nothing()
    scene.end()


@pytest.mark.parametrize("status", [491, 500])
def test_ID_06_refused_for_now(status: int) -> None:
    scene = Scene()
    scene.carriers("UPDATE", *by(CAROL))
    scene.carrier.expect_response(200)
    scene.office.answer(scene.office.expect_request("UPDATE"), status)
    scene.office.expect_nothing()
    scene.world.after(11)
    again = scene.office.expect_request("UPDATE")
    scene.office.inbox.clear()  # its repetitions
    assert identities(again) == [CAROL_TOLD]
    scene.office.answer(again, 200)
    scene.world.after(60)
    scene.office.expect_nothing()
    scene.end()


@pytest.mark.parametrize("status", [403, 488, 603])
def test_ID_06_refused_for_good(status: int) -> None:
    scene = Scene()
    scene.carriers("UPDATE", *by(CAROL))
    scene.carrier.expect_response(200)
    scene.office.answer(scene.office.expect_request("UPDATE"), status)
    scene.world.after(60)
    scene.office.expect_nothing()
    assert scene.world.core.busy() == 1
    scene.end()


def test_ID_06_while_it_rings() -> None:
    """A caller that changes before the answer: the callee hears of it when its dialog allows."""
    cast = Cast(policy(office=TRUSTED, carrier=TRUSTED))
    received = cast.told(*ALLOWS)
    cast.carrier.answer(received, 180, headers=ALLOWS)
    ringing = cast.office.expect_response(180)
    assert cast.office.last_invite is not None
    cast.office.send(cast.office.within(cast.office.last_invite, ringing, "UPDATE", headers=by("<sip:030444@10.0.0.20>")))
    cast.office.expect_response(200)
    cast.carrier.expect_nothing()
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=ALLOWS)
    cast.carrier.expect_request("ACK")
    told = cast.carrier.expect_request("UPDATE")
    assert identities(told) == ["<sip:+4930444@10.1.0.1;user=phone>"]
    cast.carrier.answer(told, 200)
    cast.office.ack(cast.office.expect_response(200))


class TestTransferred:
    @pytest.fixture
    def policy(self) -> str:
        text = PERFORMED
        for peer in ("10.0.0.20", "10.1.0.2", "10.1.0.3"):
            text = text.replace(f"    peer: sip:{peer}:5060\n", f"    peer: sip:{peer}:5060\n    trusted: true\n")
        return text

    def test_ID_06_who_stays_hears_whom_it_talks_to(self, world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
        _, received = accept_blind(world, office, carrier, backup)
        backup.answer(received, 200, body=sdp("10.1.0.3", 50500), headers=by('"Target" <sip:+4940555@10.1.0.3>'))
        backup.expect_request("ACK")
        expect_report(office, "200 OK", "terminated;reason=noresource")
        office.answer(office.expect_request("BYE"), 200)
        introduced = carrier.expect_request("INVITE")
        assert identities(introduced) == ['"Target" <sip:+4940555@10.1.0.1;user=phone>']
        carrier.answer(introduced, 200, body=sdp("10.1.0.2", 40000))
        carrier.expect_request("ACK")
        world.shut_down()
        backup.answer(backup.expect_request("BYE"), 200)
        carrier.answer(carrier.expect_request("BYE"), 200)


def test_ID_06_nothing_of_it_without_news() -> None:
    """A trunk that asserts the same in every message makes no message of ours."""
    scene = Scene()
    for cseq in (1, 2):
        scene.carriers("UPDATE", *by(BOB), cseq=cseq)
        scene.carrier.expect_response(200)
    scene.carriers("INVITE", *by(BOB), body=HOLD, cseq=3)
    scene.carrier.expect_response(100)
    told = scene.office.expect_request("INVITE")
    assert identities(told) == []
    scene.office.answer(told, 488)
    scene.office.expect_request("ACK")
    scene.carrier.expect_response(488)
    scene.office.expect_nothing()
    scene.end()
