"""Header fields of transfers and subscriptions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sbc.errors import ParseError
from sbc.sip.fields.event import Event
from sbc.sip.fields.info_package import parse_info_package
from sbc.sip.fields.refer_to import ReferTo
from sbc.sip.fields.replaces import Replaces
from sbc.sip.fields.resource_priority import ResourcePriority, parse_priorities
from sbc.sip.fields.subscription_state import SubscriptionState

CALLFLOWS = Path(__file__).parents[2] / "vectors" / "callflows"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff", Replaces("98732@sip.example.com", "ff87ff", "r33th4x0r")),
        ("12adf2f34456gs5;to-tag=12345;from-tag=54321", Replaces("12adf2f34456gs5", "12345", "54321")),
        ("87134@192.0.2.23;to-tag=24796;from-tag=0;early-only", Replaces("87134@192.0.2.23", "24796", "0", True)),
        ("a;to-tag=1;from-tag=2;x=y", Replaces("a", "1", "2")),
    ],
)
def test_REF_03_replaces(text: str, expected: Replaces) -> None:
    assert Replaces.parse(text) == expected
    assert Replaces.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2", "a;to-tag=1;from-tag=2;to-tag=3", "a b;to-tag=1;from-tag=2"],
)
def test_REF_03_replaces_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Replaces.parse(text)


def test_REF_01_refer_to_with_replaces() -> None:
    value = "<sips:bob@h;x-m=8:abc;transport=tls?Replaces=0904%40h%3Bto-tag%3D9m%3Bfrom-tag%3D76&Require=replaces&Route=%3Csip:evil%3E>"
    refer_to = ReferTo.parse_rows([value])
    assert refer_to.replaces == Replaces("0904@h", "9m", "76")
    assert str(refer_to) == "<sips:bob@h;x-m=8:abc?Replaces=0904%40h%3Bto-tag%3D9m%3Bfrom-tag%3D76>"
    assert ReferTo.parse_rows([str(refer_to)]) == refer_to


def test_REF_01_a_bare_refer_to() -> None:
    assert str(ReferTo.parse_rows(["sip:+49@h;method=INVITE"])) == "<sip:+49@h>"
    assert str(ReferTo.parse_rows(["tel:+49"])) == "<tel:+49>"


@pytest.mark.parametrize(
    "rows",
    [[], ["<sip:a@h>", "<sip:b@h>"], ["<sip:a@h;method=BYE>"], ["sip:"], ["<sip:a@h?Replaces=x>"], ["<sip:a@h?replaces=x&Replaces=y>"]],
)
def test_REF_01_exactly_one_refer_to(rows: list[str]) -> None:
    with pytest.raises(ParseError):
        ReferTo.parse_rows(rows)


def test_REF_01_every_refer_to_and_replaces_of_the_rfcs() -> None:
    seen = 0
    for file in ("rfc3515.json", "rfc5589.json", "rfc5359.json"):
        for message in json.loads((CALLFLOWS / file).read_text())["messages"]:
            for name, value in re.findall(r"\r\n(Refer-To|Replaces): *([^\r]*)", re.sub(r"\r\n +", "", message["message"])):
                if "(" in value or "..." in value or "tag3D" in value:
                    continue  # a placeholder, or a misprint
                if name == "Replaces":
                    Replaces.parse(value)
                else:
                    ReferTo.parse_rows([value])
                seen += 1
    assert seen > 20


def test_EVT_01_event() -> None:
    assert Event.parse("Presence.winfo ;id=4;x") == Event("presence.winfo", (("id", "4"), ("x", None)))
    assert Event.parse("refer;id=93809824").id == "93809824"
    assert str(Event.parse("dialog;call-id=a;to-tag=b")) == "dialog;call-id=a;to-tag=b"
    for text in ("", ";id=1", "a b"):
        with pytest.raises(ParseError):
            Event.parse(text)


def test_EVT_01_subscription_state() -> None:
    state = SubscriptionState.parse("Active;expires=600;x-host=inside")
    assert (state.state, state.params[0], state.terminated) == ("active", ("expires", "600"), False)
    assert str(state.told) == "active;expires=600"
    assert SubscriptionState.parse("terminated;reason=noresource").terminated
    assert str(SubscriptionState.parse("terminated ; reason=noresource")) == "terminated;reason=noresource"
    with pytest.raises(ParseError):
        SubscriptionState.parse(";expires=1")


def test_INF_01_info_package() -> None:
    assert parse_info_package("Foo ;x=y") == "foo"
    for text in ("", "a b", ";x", "a, b"):
        with pytest.raises(ParseError):
            parse_info_package(text)


def test_RPI_01_resource_priority() -> None:
    values = parse_priorities(["ETS.0, wps.4", "dsn.Flash-Override"])
    assert [str(value) for value in values] == ["ets.0", "wps.4", "dsn.flash-override"]
    assert all(value.known for value in values)
    assert not ResourcePriority.parse("ets.5").known
    assert not ResourcePriority.parse("foo.1").known
    for text in ("", "ets", "ets.", ".1", "ets.1.2", "e ts.1"):
        with pytest.raises(ParseError):
            ResourcePriority.parse(text)
