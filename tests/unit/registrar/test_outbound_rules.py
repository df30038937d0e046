"""Waits, and what answers to a REGISTER of ours mean."""

from __future__ import annotations

import pytest

from sbc.registrar.outbound_rules import LONGEST_EXPIRES_S, back_off, granted, keep_alive, meaning, not_before, refresh_after, sent_to
from sbc.registrar.outbound_table import Event
from sbc.sip.message import Response
from tests.unit.sip.peer import request, response


def ok(*headers: tuple[str, str], via: str = "", status: int = 200) -> Response:
    return response(request("REGISTER", via=via), status, "t", *headers)


def lowest(size: int) -> bytes:
    return bytes(size)


def highest(size: int) -> bytes:
    return b"\xff" * size


@pytest.mark.parametrize(("failures", "upper"), [(1, 60), (2, 120), (3, 240), (4, 480), (5, 960), (6, 1800), (7, 1800), (10_000, 1800)])
def test_the_wait_is_half_to_all_of_a_bound_that_doubles(failures: int, upper: float) -> None:
    """RFC 5626 s4.5, with its base of 30 s and its limit of 1800 s."""
    assert back_off(failures, lowest) == upper / 2
    assert upper - 0.001 < back_off(failures, highest) <= upper


@pytest.mark.parametrize(("seconds", "least", "most"), [(600, 300, 420), (3600, 1800, 2520), (60, 30, 42), (4, 5, 5), (1, 5, 5)])
def test_the_refresh_comes_well_before_the_end(seconds: int, least: float, most: float) -> None:
    assert refresh_after(seconds, lowest) == least
    assert most - 0.001 < refresh_after(seconds, highest) <= most


@pytest.mark.parametrize(
    ("status", "event"),
    [
        *((status, Event.ACCEPTED) for status in (200, 202, 299)),
        *((status, Event.REDIRECTED) for status in (300, 301, 302, 305)),
        *((status, Event.CHALLENGED) for status in (401, 407)),
        (423, Event.TOO_BRIEF),
        *((status, Event.FAILED) for status in (408, 429, 480, 486, 491, 500, 501, 503, 504, 599)),
        *((status, Event.DENIED) for status in (400, 402, 403, 404, 405, 410, 420, 439, 484, 488, 600, 603, 604)),
    ],
)
def test_what_an_answer_means(status: int, event: Event) -> None:
    assert meaning(ok(status=status)) == event


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("Contact", "<sip:u@h;line=abc>;expires=5"),), 5),
        ((("Contact", "<sip:u@h;line=abc>;expires=0"),), 0),
        ((("Contact", "<sip:u@h;line=x>;expires=7"), ("Contact", "<sip:u@h;line=abc>;expires=5")), 5),
        ((("Contact", "<sip:u@h;line=x>;expires=7"), ("Contact", "<sip:u@i>;expires=5")), 300),
        ((("Contact", "<sip:u@h;line=x>;expires=7"),), 7),
        ((("Expires", "9"),), 9),
        ((("Contact", "*"),), 300),
        ((("Contact", "<sip:u@h;line=abc>;expires=4294967295"),), LONGEST_EXPIRES_S),
        ((("Contact", "<sip:u@h;line=abc>;expires=soon"),), 3600),
        ((), 300),
    ],
)
def test_what_is_granted(headers: tuple[tuple[str, str], ...], seconds: int) -> None:
    assert granted(ok(*headers), "abc", 300) == seconds


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("120 (soon);duration=3600", 120), ("x", 0), ("4000000000", 3600), ("", 0)])
def test_how_long_a_server_wants_to_be_left_alone(value: str, seconds: float) -> None:
    assert not_before(ok(("Retry-After", value))) == seconds


def test_the_best_contact_of_a_redirection() -> None:
    rows = (("Contact", "<sip:a.example>;q=0.1"), ("Contact", "<sip:b.example>;q=0.9"), ("Contact", "<mailto:x@y>"))
    contact = sent_to(ok(*rows, status=302))
    assert contact is not None
    assert contact.uri.host == "b.example"
    assert sent_to(ok(("Contact", "<mailto:x@y>"), status=302)) is None
    assert sent_to(ok(("Contact", "<sip:"), status=302)) is None
    assert sent_to(ok(status=302)) is None


VIA = "SIP/2.0/TLS 10.0.0.1;branch=z9hG4bK-1"


@pytest.mark.parametrize(
    ("via", "timer", "expected"),
    [
        (VIA, None, (95.0, 0.0)),
        (f"{VIA};keep", None, (95.0, 0.0)),
        (f"{VIA};keep=30", None, (24.0, 10.0)),
        (f"{VIA};keep=0", None, (95.0, 0.0)),
        (f"{VIA};keep=x", None, (95.0, 0.0)),
        (f"{VIA};keep=99999999999999", None, (672.0, 10.0)),
        (VIA, "120", (96.0, 10.0)),
        (VIA, "-1", (95.0, 0.0)),
        (f"{VIA};keep=30", "120", (24.0, 10.0)),
    ],
)
def test_TRN_31_how_often_pings_are_sent(via: str, timer: str | None, expected: tuple[float, float]) -> None:
    headers = (("Flow-Timer", timer),) if timer is not None else ()
    assert keep_alive(ok(*headers, via=via), lowest) == pytest.approx(expected)
