"""The tables: what is in them, and that nothing a peer sent can do anything to a terminal."""

from __future__ import annotations

import time
from typing import Any

import pytest
from rich.console import Console, RenderableType

from media.api import SideStats
from sbc.admin import shown, wire
from sbc.call.decisions import Decision, Source
from sbc.call.intrusions import Intrusion
from sbc.call.record import Times, heard_json, judged_json
from sbc.frozen import replace
from sbc.policy.counters import LimitState
from sbc.registrar.outbound_rules import Outlook
from sbc.views import (
    CallsView,
    CallView,
    FailureView,
    LimitsView,
    RefusalsView,
    RegistrationsView,
    RegistrationView,
    ServerView,
    TrunksView,
    TrunkView,
)
from tests.unit.admin.test_server import call


def text(table: RenderableType) -> str:
    screen = Console(width=240, no_color=True, highlight=False, markup=False)
    with screen.capture() as captured:
        screen.print(table)
    return captured.get()


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell for cell in line.split("  ") if cell.strip()]


def figures(packets: int, **more: Any) -> dict[str, object]:
    stats, times = SideStats(packets_received=packets, **more), Times(0.0, answered=0.0, ended=10.0)
    return heard_json(stats) | judged_json(stats, SideStats(packets_received=1), "PCMA", times) | {"suite": "AEAD_AES_128_GCM"}


def test_calls() -> None:
    rows = wire.plain(CallsView((call(),), 7, 9))
    rows["calls"][0] |= {"began": time.time() - 70, "answered": time.time() - 61, "media": {"a": figures(500), "b": figures(0)}}
    told = text(shown.calls(rows))
    cells = [cell.strip() for cell in row(told, "c1")]
    assert cells[2:] == ["1:01", "connected", "+4930 → +4940", "office → carrier", "PCMA", "ok 4.4", "one_way"]
    assert "7 calls that match, of 9; 6 more are not shown (--limit)" in told
    assert "no calls" in text(shown.calls(wire.plain(CallsView((), 0, 0))))


def test_a_call() -> None:
    told = text(shown.call({"call": wire.plain(call()) | {"media": {"a": figures(500, rtt_ms=12.5), "b": figures(0)}}}))
    assert "+4930 → +4940 (dialled 040), route out" in told
    assert row(told, "signalling")[1].strip() == "TLS 10.0.0.20:40123 (we: 10.0.0.1:5061)"
    assert [cell.strip() for cell in row(told, "keys")] == ["keys", "sdes AEAD_AES_128_GCM", "AEAD_AES_128_GCM"]
    assert [cell.strip() for cell in row(told, "packets received")] == ["packets received", "500", "0"]
    assert [cell.strip() for cell in row(told, "round trip ms")] == ["round trip ms", "12.5"]
    assert "tried carrier" in told
    alone: CallView = call(relay=None)
    assert "none (RTP)" in text(shown.call({"call": wire.plain(alone) | {"media": None}}))


def test_registrations() -> None:
    one = RegistrationView("alice", "user", "sip:alice@192.168.1.9", "outside", "TLS", "203.0.113.7:40123", 3599.0, "flow lost", "")
    told = text(shown.registrations(wire.plain(RegistrationsView((one,), 1, 1))))
    cells = [cell.strip() for cell in row(told, "user alice")]
    assert cells[1:] == ["sip:alice@192.168.1.9", "TLS 203.0.113.7:40123", "outside", "59:59", "flow lost", "we"]
    assert told.splitlines()[-1].strip() == "1 registration"


def test_our_own_registrations() -> None:
    now = time.time()
    out = (Outlook("tel", "TLS 192.0.2.1:5061", "waiting", 1_800_000_000.0, None, "503", now + 61),)
    told = text(shown.registrations(wire.plain(RegistrationsView((), 0, 0, out))))
    assert "no registrations" in told
    cells = [cell.strip() for cell in row(told, "tel")]
    assert cells[1:] in (["TLS 192.0.2.1:5061", "waiting", "08:00:00Z", "503", each] for each in ("1:00", "1:01"))


CALLS_TO = LimitState("l", "carrier", "new_calls_to", 1, 9, 20, 3, 20.0)


@pytest.mark.parametrize(("rate", "written"), [(20.0, "20/s"), (1.5, "1.5/s"), (100 / 60, "1.66667/s"), (0.5, "30/m"), (5 / 3600, "5/h")])
def test_limits(rate: float, written: str) -> None:
    rows = (replace(CALLS_TO, rate=rate), LimitState("p", "office p for +49", "calls", 2, 2, 2, 7))
    told = text(shown.limits(wire.plain(LimitsView(rows, 2, 2))))
    assert [cell.strip() for cell in row(told, "l ")] == ["l", "carrier", "new calls to it at once", "1", "9", f"20, {written}", "3"]
    assert [cell.strip() for cell in row(told, "p ")] == ["p", "office p for +49", "calls", "2", "2", "2", "7"]
    assert told.splitlines()[-1].strip() == "2 limits"


@pytest.mark.parametrize(("bits", "written"), [(0, "0"), (512_000, "512k"), (10_000_000, "10M"), (1_234_567, "1.235M"), (2 * 10**9, "2G")])
def test_bandwidth_is_written_as_in_the_policy(bits: int, written: str) -> None:
    rows = (LimitState("l", "carrier", "bandwidth", bits, bits, 4 * 10**9, 1),)
    told = text(shown.limits(wire.plain(LimitsView(rows, 1, 1))))
    assert [cell.strip() for cell in row(told, "l ")] == ["l", "carrier", "bandwidth", written, written, "4G", "1"]


def test_trunks() -> None:
    servers = (ServerView("UDP 10.1.0.2:5060", 503, 1_800_000_000.0, "down", 25.0),)
    failures = (FailureView(1_800_000_000.0, 503, "refused", "UDP 10.1.0.2:5060"),)
    limits = (LimitState("l", "carrier", "calls", 30, 31, 200, 0), CALLS_TO)
    one = TrunkView("carrier", "inside", "sip:gw", (), "", 0, "down", 2, 30, 200, servers, failures, limits)
    told = text(shown.trunks(wire.plain(TrunksView((one,), 1, 1))))
    cells = [cell.strip() for cell in row(told, "carrier")]
    assert cells == [
        *("carrier", "inside", "sip:gw", "none", "down", "2", "30 of 200 calls"),
        *("UDP 10.1.0.2:5060 down 503 08:00:00Z tried last for 0:25", "08:00:00Z 503 refused"),
    ]
    assert "1 of 20 new calls to it at once" in told


@pytest.mark.parametrize("evil", ["\x1b[2J", "[red]", "a\nb", "\u202e"])
def test_what_peers_write_does_nothing(evil: str) -> None:
    rows = wire.plain(CallsView((call(),), 1, 1))
    rows["calls"][0] |= {"caller": evil, "media": None}
    told = text(shown.calls(rows))
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "[red]" in told or evil != "[red]"


def refusal(**changes: Any) -> Decision:
    usual = Decision(
        1.0e9, "route", "INVITE", "outside", "UDP", "10.0.0.20", 5060, "c@h", 404, "Not Found", "no route", "office", "address"
    )
    return replace(usual, **changes)


def test_why() -> None:
    call = refusal(
        id="n1", caller="+4930", called="+4940", route="out", line="sbc.yaml:37", attempts=({"target": "carrier", "status": 503},)
    )
    told = text(shown.why(wire.plain(RefusalsView((call,), (), 1))))
    assert "INVITE +4930 → +4940 of office (address), UDP 10.0.0.20:5060 in realm outside: 404 Not Found" in told
    assert "where to? no route" in told
    assert "by route out (sbc.yaml:37)" in told
    assert "tried carrier 503" in told
    assert "call n1, Call-ID c@h" in told


def test_why_tells_of_media_into_calls() -> None:
    intrusion = Intrusion(1.0e9, "192.0.2.66", 40000, "n1", "c@h\x1b[2J", "office")
    told = text(shown.why(wire.plain(RefusalsView((), (), 3, (intrusion,)))))
    assert "media from 192.0.2.66 port 40000 in the place of office, dropped: call n1, Call-ID c@h" in told
    assert "nothing is remembered" not in told
    assert "\x1b" not in told


def test_why_a_stranger_was_refused() -> None:
    last = refusal(party="", by="", step="who", status=0, note="nobody known is there\x1b[2J", call_id="x")
    told = text(shown.why(wire.plain(RefusalsView((), (Source(7, 1.0e9, last),), 1))))
    assert "stranger at 10.0.0.20: 7 requests since 2001-09-09" in told
    assert "of nobody we know, UDP 10.0.0.20:5060 in realm outside: no answer" in told
    assert "\x1b" not in told
    assert "nothing is remembered of that; 3 refusals are" in text(shown.why(wire.plain(RefusalsView((), (), 3))))
    assert "nothing is remembered of that; 1 refusal is" in text(shown.why(wire.plain(RefusalsView((), (), 1))))
