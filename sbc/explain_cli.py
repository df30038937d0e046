"""`sbc explain`: what would become of a call, and which line of the policy says so."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

SOCKET = Path("var/sbc.sock")


def explain(
    to: Annotated[str, typer.Option(help="Number, name or URI that is called.")] = "",
    trunk: Annotated[str, typer.Option(help="The trunk that calls; its proof is made as the policy wants it.")] = "",
    user: Annotated[str, typer.Option(help="The user that calls.")] = "",
    source: Annotated[str, typer.Option(help="ADDRESS or ADDRESS:PORT the call comes from.")] = "",
    realm: Annotated[str, typer.Option(help="The network it comes by, where the source does not tell.")] = "",
    transport: Annotated[str, typer.Option(help="udp, tcp, tls, ws or wss.")] = "",
    caller: Annotated[str, typer.Option("--from", help="Number, name or URI in From.")] = "",
    name: Annotated[str, typer.Option("--name", help="The name shown beside it.")] = "",
    header: Annotated[list[str] | None, typer.Option(help='A header row that goes along: "Privacy: id". May be repeated.')] = None,
    codec: Annotated[list[str] | None, typer.Option(help="A codec of the offer, in order. Default: all of its media.")] = None,
    answer: Annotated[list[str] | None, typer.Option(help="NAME=STATUS: what a trunk or user answers; 408: nothing.")] = None,
    calls: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER: calls it has already.")] = None,
    absent: Annotated[list[str] | None, typer.Option(help="NAME: it is not registered.")] = None,
    signed: Annotated[str, typer.Option(help="What verifying the caller comes to: passed, failed or unsigned.")] = "unsigned",
    message: Annotated[Path | None, typer.Option(help="File with the SIP request, instead of --to and what goes with it.")] = None,
    capture: Annotated[Path | None, typer.Option(help="Capture (pcap, pcapng) with the request, instead.")] = None,
    call_id: Annotated[str, typer.Option(help="Which call of the capture. Default: the first that came to us.")] = "",
    policies: Annotated[Path, typer.Option(help="Folder with the policy: the saved one, or a candidate.")] = Path("policies"),
    running: Annotated[
        bool, typer.Option("--running", help="By the policy that runs, and with the calls and registrations of now.")
    ] = False,
    socket: Annotated[Path, typer.Option("--socket", help="Socket of the running process: sbc.sock beside its call records.")] = SOCKET,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of text.")] = False,
) -> None:
    """Say what would become of a call, phase by phase, and which line of the policy decides. Nothing is sent."""
    from sbc import app
    from sbc.explain.asked import Flags
    from sbc.explain.command import Options, account_of
    from sbc.explain.text import lines_of
    from sbc.policy.load import load_policy
    from sbc.running import running_now

    flags = Flags(to, trunk, user, source, realm, transport, caller, name)
    options = Options(flags, header or (), codec or (), answer or (), calls or (), absent or (), signed, message, capture, call_id)
    suites = app.choose_media("auto").capabilities.suites
    if running:
        loaded, known = running_now(socket, suites, user or trunk)
        options = replace(options, known=known)
    else:
        loaded = load_policy(policies, suites)
    account = account_of(loaded, options, partial(typer.echo, err=True))
    for line in [json.dumps(account.as_json(), ensure_ascii=False)] if as_json else lines_of(account):
        typer.echo(line)


def test(
    policies: Annotated[Path, typer.Argument(help="Folder with the policy, and tests/*.yaml in it.")] = Path("policies"),
) -> None:
    """Run the policy's own tests: calls that are given, and what is expected of each. Exit status 1: something is not as expected."""
    from sbc import app
    from sbc.explain.testing import examine
    from sbc.policy.load import load_policy

    loaded = load_policy(policies, app.choose_media("auto").capabilities.suites)
    tested = examine(policies, loaded)
    for failure in tested.failures:
        typer.echo(str(failure), err=True)
    if not tested.cases:
        typer.echo(f"{policies}/tests: no tests", err=True)
    else:
        failed = len({failure.path[:2] for failure in tested.failures})
        typer.echo(f"{policies}/tests: {tested.cases - failed} of {tested.cases} as expected")
    raise typer.Exit(1 if tested.failures else 0)


def why(
    about: Annotated[str, typer.Argument(metavar="ID|ADDRESS", help="Id or Call-ID of a call, an address, a trunk or a user.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many to show.")] = 10,
    socket: Annotated[Path, typer.Option("--socket", help="Socket of the running process: sbc.sock beside its call records.")] = SOCKET,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of text.")] = False,
) -> None:
    """Why a call, or whoever is at an address, was refused: the last refusals that the running process remembers, newest first."""
    from sbc.admin import shown
    from sbc.admin.client import ask

    answer = ask(socket, {"ask": "why", "most": limit, "about": about})
    standing = ask(socket, {"ask": "source", "address": about}) if _is_source(about) else None
    if as_json:
        typer.echo(json.dumps(answer | {"standing": standing}, ensure_ascii=False))
        return
    screen = shown.console()
    if standing is not None:
        screen.print(shown.source(standing))
    screen.print(shown.why(answer))


def _is_source(text: str) -> bool:
    """An address, or the /64 that all of an IPv6 host's are in."""
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True
