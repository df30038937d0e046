"""Who goes first when there is more to do than time: what the core says of a message that waits."""

from __future__ import annotations

import pytest

from sbc.flow import Flow
from sbc.shield.queue import Rank
from sbc.sip.fields.cseq import CSeq
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from tests.scenarios.test_registrar import register
from tests.world import POLICY, Agent, World, connect

NUMBER = "+4930123456"


@pytest.fixture
def policy() -> str:
    office = '"0": "+49", "9112": "112"}\n    priorities: [ets]'
    return POLICY.replace('"0": "+49"}', office)


def rank(world: World, agent: Agent, message: Request | Response, flow: Flow | None = None) -> Rank:
    """From the wire, and nothing comes of it."""
    return world.core.rank(parse_datagram(message.encode()), flow or agent.flow)


def test_OVL_03_sources_by_what_they_have_shown(world: World, office: Agent, carrier: Agent, alice: Agent) -> None:
    stranger = office.flow._replace(remote=("192.0.2.66", 5060))
    assert world.core.rank(None, office.flow) == Rank.TRUNK
    assert world.core.rank(None, stranger) == Rank.UNKNOWN
    assert world.core.rank(None, alice.flow) == Rank.UNKNOWN
    register(alice, "<sip:alice@198.51.100.7:40123>")
    assert world.core.rank(None, alice.flow) == Rank.AUTHENTICATED


def test_OVL_03_only_a_dialog_that_matches_on_its_flow_comes_first(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, NUMBER)
    bye = office.within(invite, ok, "BYE")
    assert rank(world, office, bye) == Rank.FIRST
    assert rank(world, office, bye, office.flow._replace(remote=("10.0.0.66", 5060))) == Rank.UNKNOWN, "a tag that leaked"
    assert rank(world, office, bye, office.flow._replace(realm="inside", local=("10.1.0.1", 5060))) != Rank.FIRST
    other = office.within(invite, ok, "BYE")
    other.headers.set("Call-ID", "another")
    assert rank(world, office, other) == Rank.TRUNK, "a To tag alone is written by anybody"


def test_OVL_03_what_belongs_to_an_invite_that_is_here_comes_first(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite(NUMBER)
    cseq = CSeq(invite.cseq.number, "CANCEL")
    cancel = Request.build("CANCEL", invite.uri, via=invite.via, from_=invite.from_, to=invite.to, call_id=invite.call_id, cseq=cseq)
    assert rank(world, office, cancel) == Rank.FIRST
    assert rank(world, office, invite) == Rank.FIRST, "it comes once more"
    assert world.core.has_invite(invite.via, office.flow)
    assert not world.core.has_invite(invite.via, office.flow._replace(remote=("10.0.0.66", 5060)))
    assert rank(world, office, cancel, office.flow._replace(remote=("10.0.0.66", 5060))) == Rank.UNKNOWN
    received = carrier.expect_request("INVITE")
    answer = Response.answer(received, 180, to_tag="x")
    assert rank(world, carrier, answer) == Rank.FIRST
    answer.headers.replace_first("Via", str(answer.via).replace("z9hG4bK", "z9hG4bKno"))
    assert rank(world, carrier, answer) == Rank.TRUNK
    carrier.inbox.clear()
    office.inbox.clear()


@pytest.mark.parametrize(
    ("number", "headers", "expected"),
    [
        ("112", (), Rank.URGENT),
        ("9112", (), Rank.URGENT),  # by its dial plan
        (NUMBER, (), Rank.TRUNK),
        (NUMBER, (("Resource-Priority", "ets.0"),), Rank.URGENT),
        (NUMBER, (("Resource-Priority", "q735.0"),), Rank.TRUNK),  # not one it may have
        ("nonsense%20number", (), Rank.TRUNK),
    ],
)
def test_OVL_02_emergencies_and_priorities_of_those_we_know_come_next(
    world: World, office: Agent, number: str, headers: tuple[tuple[str, str], ...], expected: Rank
) -> None:
    invite = office.request("INVITE", f"sip:{number}@10.0.0.1", headers=headers)
    assert rank(world, office, invite) == expected
    if not headers:
        assert world.core.rank(invite.uri, office.flow) == expected
    stranger = office.flow._replace(remote=("192.0.2.66", 5060))
    assert rank(world, office, invite, stranger) == Rank.UNKNOWN, "a stranger's never"


def test_OVL_03_whoever_has_answered_us_was_seen(world: World, office: Agent, carrier: Agent) -> None:
    elsewhere = carrier.flow._replace(remote=("10.1.0.99", 5060))
    office.invite(NUMBER)
    received = carrier.expect_request("INVITE")
    assert world.core.rank(None, elsewhere) == Rank.UNKNOWN
    carrier.flow, own = elsewhere, carrier.flow
    carrier.answer(received, 180)
    carrier.flow = own
    assert world.core.rank(None, elsewhere) == Rank.SEEN
    office.inbox.clear()
