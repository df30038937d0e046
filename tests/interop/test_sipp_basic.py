"""SIPp on both sides: UDP and TCP, one call and many, and nothing of one side visible on the other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.interop.namespaces import Lab
from tests.interop.server import POLICY, Server, serve
from tests.interop.sipp import Sipp, sipp

CALLER = {"caller": "+4940222", "called": "+4930123"}


def call(lab: Lab, folder: Path, *, calls: int = 1, rate: float = 10.0, transport: str = "u1") -> tuple[Sipp, Sipp]:
    """From a PBX outside, known by its address, to the carrier inside; both ends after all calls are over."""
    callee = sipp(lab.carrier, folder / "callee", "callee", calls=calls)
    caller = sipp(
        lab.attacker, folder / "caller", "caller", f"{lab.outside}:5060", calls=calls, rate=rate, transport=transport, keys=CALLER
    )
    assert caller.result().successful == calls
    assert callee.result().successful == calls
    return caller, callee


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_a_call_crosses(lab: Lab, sbc_server: Server, tmp_path: Path, transport: str) -> None:
    call(lab, tmp_path, transport=transport)
    (record,) = sbc_server.records(1)
    assert record["answered"] is not None
    assert record["route"] == "out"
    assert record["called"] == "+4930123"
    assert record["released_by"] == "a"
    assert isinstance(record["duration_ms"], int)
    assert 900 <= record["duration_ms"] <= 2000


def test_neither_side_sees_the_other(lab: Lab, sbc_server: Server, tmp_path: Path) -> None:
    caller, callee = call(lab, tmp_path)
    assert len(caller.received()) >= 3
    assert len(callee.received()) == 3  # INVITE, ACK, BYE: no retransmission
    for message in caller.received():
        # What the caller wrote itself comes back to it: only the far network and its software are secrets.
        assert "10.99.2." not in message
        assert "secret-switch" not in message
    for message in callee.received():
        assert "10.99.1." not in message
        assert "secret-pbx" not in message


def test_many_calls_and_not_one_lost(lab: Lab, sbc_server: Server, tmp_path: Path) -> None:
    call(lab, tmp_path, calls=200, rate=40)
    records = sbc_server.records(200)
    assert len(records) == 200
    assert {record["sip_status"] for record in records} == {200}


def test_a_stranger_gets_no_further_than_a_challenge(lab: Lab, sbc_server: Server, tmp_path: Path) -> None:
    """The phone's address is no trunk and it shows no credentials; where users have passwords it is asked for one, once."""
    callee = sipp(lab.carrier, tmp_path / "callee", "callee", patience=5)
    caller = sipp(lab.phone, tmp_path / "caller", "caller", f"{lab.outside}:5060", keys=CALLER, patience=3)
    for waiting in (caller, callee):
        with pytest.raises(AssertionError):
            waiting.result(10)
    assert [message[:12] for message in caller.received()] == ["SIP/2.0 401 "]
    assert callee.received() == []


def test_a_full_trunk_refuses_the_next_call(lab: Lab, tmp_path: Path) -> None:
    """One call is allowed and in progress; the second is refused, the first is not touched."""
    policy = POLICY.replace("calls: 200", "calls: 1")
    with serve(lab, tmp_path / "sbc", policy) as server:
        callee = sipp(lab.carrier, tmp_path / "callee", "callee")
        first = sipp(lab.attacker, tmp_path / "first", "caller", f"{lab.outside}:5060", keys=CALLER, talk=4.0)
        time.sleep(1.0)  # SIPp writes what it has seen when it ends
        second = sipp(lab.attacker, tmp_path / "second", "caller", f"{lab.outside}:5060", port=5080, keys=CALLER)
        with pytest.raises(AssertionError):
            second.result()
        assert first.result().successful == 1
        assert callee.result().successful == 1
        refused = second.received()[-1]
        assert refused.startswith("SIP/2.0 503 ")
        assert "Q.850;cause=34" in refused
        assert "Retry-After" not in refused, "the carrier is full, not we: nobody is to keep away (RFC 3261 s21.5.4)"
        assert {record["sip_status"] for record in server.records(2)} == {200, 503}
