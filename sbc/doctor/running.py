"""What the running process knows of the trunk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbc.admin.client import NotRunning, ask
from sbc.admin.wire import USUAL
from sbc.call.context import is_private
from sbc.doctor.finding import Finding, good, note, wrong
from sbc.errors import ConfigError, ParseError
from sbc.policy.snapshot import Trunk
from sbc.sip.uri import Uri


def state(trunk: Trunk, socket: Path) -> Iterator[Finding]:
    """Registration, health and limits; a note when nobody can be asked."""
    try:
        trunks = ask(socket, {"ask": "trunks", "most": 1, "trunk": trunk.name})["trunks"]
        registrations = ask(socket, {"ask": "registrations", "most": USUAL, "account": trunk.name})
    except NotRunning as error:
        yield note("whether it is registered and how its calls go could not be looked at", str(error))
        return
    except ConfigError as error:
        yield wrong("the running process could not be asked", str(error))
        return
    if not trunks:
        yield wrong(f"the running process does not know trunk {trunk.name}", "it has another policy: send it SIGHUP, and look at its log")
        return
    if trunk.registers is not None:
        yield from _registration(trunk, registrations["registrations"])
    if trunk.register_to is not None:
        yield from _registered_there(registrations["out"])
    yield from _health(trunk, trunks[0])


def _registration(trunk: Trunk, registrations: list[dict[str, Any]]) -> Iterator[Finding]:
    assert trunk.registers is not None
    if not registrations:
        change = (
            f"does it have user {trunk.registers.user!r} and the password of the policy, our address, and a way through the firewall? "
            f"`sbc pbx-config` prints its settings; what we refuse is in the log"
        )
        yield wrong("it is not registered", change)
    for each in registrations:
        where = f"{each['transport']} {each['source']}"
        if each["state"] == "registered":
            yield good(f"registered from {where}, for {each['expires_in']:.0f} s{_behind_nat(each)}")
        else:
            change = "does it send OPTIONS or keep-alives, so that it notices? `sbc pbx-config` prints what makes it come back"
            yield wrong(f"the connection it registered over from {where} is gone, and it has not come back", change)


def _registered_there(out: list[dict[str, Any]]) -> Iterator[Finding]:
    for each in out:
        where = f"at {each['server'] or 'no server yet'}: the last answer was {each['last'] or 'none'}"
        if each["state"] == "registered":
            yield good(f"we are registered {where}")
        elif each["state"] == "refused":
            change = "are user and password in 'register_to' those of the carrier, and is the account open?"
            yield wrong(f"our registration is refused {where}", change)
        else:
            yield wrong(f"we are not registered ({each['state']}) {where}", "is the registrar reachable? what is said of its servers above")


def _behind_nat(registration: dict[str, Any]) -> str:
    try:
        host = Uri.parse(registration["contact"]).host
    except ParseError:
        return ""
    source = registration["source"].rpartition(":")[0].strip("[]")
    return f" (behind a NAT: its Contact says {host})" if is_private(host) and host != source else ""


def _health(trunk: Trunk, view: dict[str, Any]) -> Iterator[Finding]:
    for server in view["servers"]:
        if server["state"] != "up":
            change = "calls go elsewhere first until it answers; what failed is below"
            yield wrong(f"{server['server']} failed last, with {server['status']}", change)
    if view["health"] == "up":
        yield good("calls to it get answers")
    if view["failures"]:
        last = view["failures"][0]
        yield note(f"the last call to it that failed: {last['status']} {last['note']} {last['server']}".rstrip())
    if view["limit"] is not None and view["counted"] >= view["limit"]:
        change = f"raise 'calls' of its limits, or see what they are: `sbc calls --trunk {trunk.name}`"
        yield wrong(f"all {view['limit']} calls of its limits are taken", change)
    else:
        yield good(f"{view['calls']} calls in progress" + (f", of {view['limit']}" if view["limit"] is not None else ""))
