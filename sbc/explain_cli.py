"""`sbc explain`: what would become of a call, and which line of the policy says so."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated

import typer

from sbc.errors import ConfigError
from sbc.explain.asked import Asked, Assumed, Flags, Reply
from sbc.explain.text import lines_of

SOCKET = Path("var/sbc.sock")
LARGEST_MESSAGE = 64 * 1024  # octets of a file with one SIP message


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
    policies: Annotated[Path, typer.Option(help="Folder with the policy: the saved one, or a candidate.")] = Path("policies"),
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of text.")] = False,
) -> None:
    """Say what would become of a call, phase by phase, and which line of the policy decides. Nothing is sent."""
    if bool(to) == (message is not None):
        raise ConfigError("what is asked? --to NUMBER, or --message FILE")
    rows = tuple(_row(each) for each in header or ())
    flags = Flags(to, trunk, user, source, realm, transport, caller, name, "INVITE", rows, tuple(codec or ()))
    if signed not in ("passed", "failed", "unsigned"):
        raise ConfigError("--signed passed, failed or unsigned")
    statuses = _numbers(answer, "--answer")
    if wrong := [status for status in statuses.values() if not 200 <= status <= 699]:
        raise ConfigError(f"--answer: {wrong[0]} is no final status: 200 to 699; 408: no answer")
    answers = {name: Reply(status) for name, status in statuses.items()}
    assumed = Assumed(answers, _numbers(calls, "--calls"), frozenset(absent or ()), signed)  # type: ignore[arg-type]
    octets = _message(message) if message is not None else None
    _tell(policies, flags, assumed, octets, as_json=as_json)


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


def _tell(policies: Path, flags: Flags, assumed: Assumed, octets: bytes | None, *, as_json: bool) -> None:
    from sbc import app
    from sbc.explain.asked import asked, brought
    from sbc.explain.story import explain as account_of
    from sbc.policy.load import load_policy

    loaded = load_policy(policies, app.choose_media("auto").capabilities.suites)
    question: Asked = asked(loaded.snapshot, flags, assumed) if octets is None else brought(loaded.snapshot, flags, octets, assumed)
    account = account_of(loaded.snapshot, loaded.places, question)
    for line in [json.dumps(account.as_json(), ensure_ascii=False)] if as_json else lines_of(account):
        typer.echo(line)


def _row(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f'{text!r} is no header row: "Name: value"')
    return name.strip(), value.strip()


def _numbers(pairs: list[str] | None, option: str) -> dict[str, int]:
    found = {}
    for pair in pairs or ():
        name, _, number = pair.partition("=")
        if not (number.isascii() and number.isdigit() and len(number) <= 6):
            raise ConfigError(f"{option} {pair}: NAME=NUMBER")
        found[name] = int(number)
    return found


def _message(file: Path) -> bytes:
    """As it was on the wire, or as an editor has saved it."""
    try:
        with file.open("rb") as opened:
            octets = opened.read(LARGEST_MESSAGE + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    if len(octets) > LARGEST_MESSAGE:
        raise ConfigError(f"{file}: too large for a SIP message")
    return octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n")
