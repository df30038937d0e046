"""Calls of a trunk at a linked site: as on any trunk, but for the way, its limit, and what happens when both ends compare."""

from __future__ import annotations

from sbc.inputs import LinkCompared
from sbc.policy.sites import site_address
from sbc.sip.message import Response
from sbc.views import LinkedCallsAsked, LinkedCallsView, RefusalsAsked, RefusalsView
from tests.world import POLICY, World, connect

PIN = ":".join(["AB"] * 32)
INSTEAD = (
    (
        "realms:\n",
        'realms:\n  sites: {signalling: ["quic://10.9.0.1:5063"], relay: {address: 127.0.0.1, ports: 21000-21999}, certificate: edge}\n',
    ),
    ("trunks:\n", "trunks:\n  berlin: {realm: sites, link: berlin, media: plain}\n"),
    ("routes:\n", 'routes:\n  - {name: from-site, when: {trunk: berlin, to: "*"}, send_to: [office]}\n'),
    ("routes:\n", 'routes:\n  - {name: to-site, when: {trunk: office, to: "777*"}, send_to: [berlin]}\n'),
    ("emergency:\n", "emergency:\n  sites: none\n"),
)


class Stage:
    def __init__(self) -> None:
        text = POLICY + f'sites:\n  berlin: {{pin: "{PIN}", calls_per_connection: 2}}\n'
        for old, new in INSTEAD:
            text = text.replace(old, new, 1)
        self.world = World(text)
        self.office = self.world.agent("office", ("10.0.0.20", 5060), "outside")
        self.site = self.world.agent("berlin", site_address("berlin"), "sites", "QUIC", names=("berlin",))

    def calls(self) -> frozenset[str]:
        view = self.world.core.ask(LinkedCallsAsked("berlin"), self.world.now)
        assert isinstance(view, LinkedCallsView)
        return view.call_ids


def test_calls_go_to_the_site_and_come_from_it() -> None:
    it = Stage()
    invite, _, _ = connect(it.office, it.site, "777")
    connect(it.site, it.office, "+4930")
    there = it.site.last_invite
    assert there is not None
    assert len(it.calls()) == 2
    assert there.call_id in it.calls()
    assert invite.call_id not in it.calls()
    assert [spec.link for pair in it.world.updates for spec in pair if spec.link] == ["berlin"] * len(it.world.updates)


def test_more_calls_than_the_link_carries_are_refused_clearly() -> None:
    it = Stage()
    connect(it.office, it.site, "7771")
    connect(it.site, it.office, "+4930")
    for caller, number, status in ((it.office, "7772", 503), (it.site, "+4931", 503)):
        caller.invite(number)
        answers = [caller.inbox.popleft() for _ in range(len(caller.inbox))]
        final = answers[-1]
        assert isinstance(final, Response)
        assert final.status == status
        assert final.headers.first("Reason") == 'Q.850;cause=34;text="limit"'
    notes = [str(record["note"]) for record in it.world.records]
    assert all("calls of berlin" in note for note in notes), notes
    asked = it.world.core.ask(RefusalsAsked(5, "office"), it.world.now)
    assert isinstance(asked, RefusalsView)
    assert [(each.status, each.step, each.note) for each in asked.refusals] == [(503, "target", "limit calls of berlin")]


def test_a_call_that_the_other_end_does_not_know_is_ended() -> None:
    it = Stage()
    connect(it.office, it.site, "777")
    (known,) = it.calls()
    it.world.receive(LinkCompared("berlin", (known,), 5.0))
    it.world.receive(LinkCompared("paris", (), 0.0))
    it.world.receive(LinkCompared("berlin", (), 5.0))  # younger than that: its ACK may still be on the way
    it.office.expect_nothing()
    it.world.after(6.0)
    it.world.receive(LinkCompared("berlin", (), 5.0))
    it.office.answer(it.office.expect_request("BYE"), 200)
    it.site.answer(it.site.expect_request("BYE"), 200)
    (record,) = it.world.records
    assert record["note"] == "the other end of the link does not know this call"
    it.world.after(40.0)
    it.world.expect_nothing_left()
    it.world.expect_replayable()


def test_a_site_that_has_begun_anew_knows_none_of_the_calls_before() -> None:
    it = Stage()
    connect(it.site, it.office, "+4930")
    it.world.receive(LinkCompared("berlin", (), 0.0))
    it.office.expect_request("BYE")
    it.site.expect_request("BYE")
