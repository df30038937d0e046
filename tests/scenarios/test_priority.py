"""Resource-Priority passes between those the policy trusts with its namespace."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.world import POLICY, Agent, World

TRUSTING = POLICY.replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    priorities: [dsn, ets, wps]\n").replace(
    "    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    priorities: [ets, q735, dsn]\n"
)
CALLFLOWS = Path(__file__).parents[1] / "vectors" / "callflows"


@pytest.fixture
def policy() -> str:
    return TRUSTING


def call(agent: Agent, *rows: tuple[str, str], number: str = "+4940555") -> None:
    agent.invite(number, headers=rows)


def refuse(caller: Agent, callee: Agent) -> str | None:
    """What the callee was told of priorities."""
    received = callee.expect_request("INVITE")
    callee.answer(received, 603)
    caller.expect_response(100)
    caller.ack(caller.expect_response(603))
    callee.expect_request("ACK")
    return received.headers.first("Resource-Priority")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("ETS.0", "ets.0"),
        ("wps.1, ets.2", "ets.2"),  # the carrier has no wps
        ("q735.1", None),  # the office has no q735
        ("ets.9", None),
        ("ets", None),
        ("esnet.1", None),
    ],
)
def test_RPI_01_from_and_to_the_trusted_alone(world: World, office: Agent, carrier: Agent, value: str, told: str | None) -> None:
    call(office, ("Resource-Priority", value))
    assert refuse(office, carrier) == told


def test_RPI_01_not_to_the_next_target_that_is_not_trusted(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call(office, ("Resource-Priority", "ets.0"))
    carrier.answer(carrier.expect_request("INVITE"), 503)
    assert refuse(office, backup) is None
    carrier.expect_request("ACK")


def test_RPI_01_required_and_unknown(world: World, office: Agent, carrier: Agent) -> None:
    call(office, ("Resource-Priority", "q735.3"), ("Require", "resource-priority"))
    refused = office.expect_response(417)
    accepted = refused.headers.first("Accept-Resource-Priority") or ""
    assert accepted.startswith("dsn.routine, dsn.priority, ")
    assert "q735" not in accepted
    carrier.expect_nothing()
    assert world.records[0]["sip_status"] == 417


def test_RPI_01_required_and_known(world: World, office: Agent, carrier: Agent) -> None:
    call(office, ("Resource-Priority", "ets.3"), ("Require", "resource-priority"))
    assert refuse(office, carrier) == "ets.3"


def test_RPI_01_required_of_us_by_somebody_without_any(world: World, backup: Agent) -> None:
    call(backup, ("Resource-Priority", "ets.3"), ("Require", "resource-priority"), number="+4930123")
    assert backup.expect_response(420).headers.first("Unsupported") == "resource-priority"


def test_RPI_01_the_calls_of_rfc_4412(world: World, office: Agent, carrier: Agent) -> None:
    seen = []
    for one in json.loads((CALLFLOWS / "rfc4412.json").read_text())["messages"]:
        if not one["message"].startswith("INVITE"):
            continue
        rows = re.findall(r"\r\n(Require|Resource-Priority): *([^\r]*)", one["message"])
        call(office, *rows)
        value = dict(rows)["Resource-Priority"]
        if value.startswith("dsn"):
            seen.append(refuse(office, carrier))
        else:
            office.expect_response(417)
            seen.append("417")
    assert seen[0] == "dsn.flash"
    assert "417" in seen
