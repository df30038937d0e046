"""The command line: `sbc --help`. A user's mistake is one line on stderr and exit status 1, never a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sbc import __version__
from sbc.errors import ConfigError
from sbc.explain_cli import explain, test, why
from sbc.identity_cli import app as _identity

POLICIES = Path("policies")
RECORDINGS = Path("var/recordings")
SOCKET = Path("var/sbc.sock")
_CA = Path("certs/ca.pem")

_app = typer.Typer(
    help="A session border controller: SIP over TLS, SRTP media anchor, YAML policies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_app.add_typer(_identity, name="identity")
_app.command()(explain)
_app.command()(test)
_app.command()(why)

_Folder = Annotated[Path, typer.Argument(help="Folder with the *.yaml files of the policy.", show_default=True)]

_Socket = Annotated[Path, typer.Option("--socket", help="Socket of the running process: sbc.sock beside its call records.")]
_Json = Annotated[bool, typer.Option("--json", help="One line of JSON instead of a table.")]
_Watch = Annotated[bool, typer.Option("--watch", help="Again every 2 s, until Ctrl-C.")]
_Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many to show.")]


def main() -> None:
    """Entry point of `sbc` and of `python -m sbc`."""
    try:
        _app()
    except ConfigError as error:
        for line in str(error).splitlines():
            typer.echo(line, err=True)
        sys.exit(1)


# Each command imports what it needs: `sbc version` shall not wait for a media engine.


@_app.command()
def run(
    folder: _Folder = POLICIES,
    records: Annotated[Path, typer.Option(help="File for the call records, one JSON object per line.")] = Path("var/records.jsonl"),
    recordings: Annotated[Path, typer.Option(help="Folder for the recordings of calls that the policy wants kept.")] = RECORDINGS,
    registrations: Annotated[
        Path | None, typer.Option(help="File that keeps who is registered. Default: registrations.db beside the call records.")
    ] = None,
    socket: Annotated[
        Path | None, typer.Option(help="Socket for the live views (sbc calls and its like). Default: sbc.sock beside the call records.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that calls in progress get when we are told to stop.")] = 5.0,
    media: Annotated[str, typer.Option(help="Media engine: auto, native or portable.")] = "auto",
    watch: Annotated[
        bool, typer.Option("--watch", help="Apply what is saved in the folder, or in files it refers to, whenever it is.")
    ] = False,
    testpeer: Annotated[bool, typer.Option("--testpeer", help="Start `sbc testpeer` with us: somebody to call.")] = False,
) -> None:
    """Serve the policy until SIGTERM or Ctrl-C; SIGHUP takes policy, certificates and the record file anew."""
    from sbc import app

    companion = app.companion("testpeer") if testpeer else ()
    settings = app.Settings(folder, records, drain, companion, recordings, registrations, socket, watch=watch)
    app.run(settings, app.choose_media(media), typer.echo)


@_app.command()
def link(
    file: Annotated[Path, typer.Argument(help="YAML file of the site: where the edge is, where the PBX is.")] = Path("site.yaml"),
    records: Annotated[Path, typer.Option(help="File for the call records, one JSON object per line.")] = Path("var/records.jsonl"),
    socket: Annotated[
        Path | None, typer.Option(help="Socket for the live views (sbc calls and its like). Default: sbc.sock beside the call records.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that calls in progress get when we are told to stop.")] = 5.0,
    media: Annotated[str, typer.Option(help="Media engine: auto, native or portable.")] = "auto",
) -> None:
    """Be a remote site: stand beside its PBX, and carry its calls to the edge over one outgoing UDP flow."""
    from sbc import app
    from sbc.link.site_file import load_site

    app.run(app.Settings(file, records, drain, socket=socket), app.choose_media(media), typer.echo, load_site)


@_app.command()
def fingerprint(certificate: Annotated[Path, typer.Argument(help="PEM file.")]) -> None:
    """Print the SHA-256 of a certificate: what the other end of a link pins."""
    from sbc.link.proof import fingerprint_of_file

    typer.echo(fingerprint_of_file(certificate))


@_app.command()
def check(folder: _Folder = POLICIES) -> None:
    """Say everything that is wrong with a policy, without running it."""
    from sbc import app, host
    from sbc.policy.load import load_policy

    media = app.choose_media("auto")
    loaded = load_policy(folder, media.capabilities.suites)
    for warning in loaded.warnings:
        typer.echo(f"{warning} (warning)", err=True)
    typer.echo(f"{folder}: good: {app.counts(loaded.snapshot)}")
    for name, inherited in loaded.inherited.items():
        typer.echo(f"trunk {name}: profile {inherited.profile} ({inherited.file}) gives {', '.join(inherited.keys) or 'nothing'}")
    if media.passed_over:
        typer.echo(f"media engine: {media.passed_over}, so the portable one serves (warning)", err=True)
    else:
        typer.echo(f"media engine: {app.media_name(media)}")
    for line, warns in app.tier_lines(media, loaded.snapshot):
        typer.echo(line, err=warns)
    for concern in host.concerns(loaded.snapshot):
        typer.echo(f"{concern} (warning)", err=True)


@_app.command()
def diff(
    folder: Annotated[Path | None, typer.Argument(help="Another policy. Default: the folder of the running process.")] = None,
    socket: _Socket = SOCKET,
    as_json: _Json = False,
) -> None:
    """What a policy changes in the one that runs, and from when on: live, new calls only, or by rebinding a listener."""
    from sbc import policy_cli

    policy_cli.diff(socket, folder, as_json=as_json)


@_app.command()
def apply(
    confirm: Annotated[str, typer.Option("--confirm", metavar="5m", help="Take it back after that time, unless confirmed.")] = "",
    registrations: Annotated[
        int, typer.Option("--min-registrations", min=0, max=100, help="With --confirm: percent of those registered that must stay so.")
    ] = 80,
    answers: Annotated[
        int, typer.Option("--min-answers", min=0, max=100, help="With --confirm: percent of its share that answered calls must keep.")
    ] = 50,
    running: Annotated[str, typer.Option("--if-match", metavar="HASH", help="Only if that is the policy that runs.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Needed where nobody can be asked.")] = False,
    socket: _Socket = SOCKET,
) -> None:
    """Let the saved policy count in the running process, calls or not. What cannot be done changes nothing."""
    from sbc import policy_cli

    policy_cli.apply(socket, running=running, confirm=confirm, registrations=registrations, answers=answers, yes=yes)


@_app.command()
def confirm(socket: _Socket = SOCKET) -> None:
    """What was applied with --confirm stays."""
    from sbc import policy_cli

    policy_cli.confirm(socket)


@_app.command()
def undo(
    number: Annotated[int, typer.Argument(help="Version to go back to, as `sbc versions` has it. Default: the one before.")] = 0,
    socket: _Socket = SOCKET,
) -> None:
    """Go back to an earlier policy, in the running process and in its folder."""
    from sbc import policy_cli

    policy_cli.undo(socket, number)


@_app.command()
def versions(socket: _Socket = SOCKET, as_json: _Json = False) -> None:
    """The policies that have counted, newest first: number, hash, since when, by whom."""
    from sbc import policy_cli

    policy_cli.versions(socket, as_json=as_json)


@_app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where policies/ and certs/ are made.")],
    names: Annotated[list[str] | None, typer.Argument(help="Host names phones will use; they go into the certificate.")] = None,
    address: Annotated[str | None, typer.Option(help="Our address. Default: the one that leads to the Internet.")] = None,
    example: Annotated[str, typer.Option(help="A whole policy for a purpose, with its tests, instead; a wrong name names all.")] = "",
) -> None:
    """Write a first policy to fill in, or an example; development certificates and passwords. Overwrites nothing."""
    from sbc.init import write_example, write_tree

    if example and address:
        raise ConfigError("--address: an example has several addresses of ours; it says which they are here")
    for line in write_example(directory, example, names or ()) if example else write_tree(directory, address, names or ()):
        typer.echo(line)


@_app.command()
def certs(
    names: Annotated[list[str] | None, typer.Argument(help="Host names and addresses for edge.pem, beside localhost.")] = None,
    folder: Annotated[Path, typer.Option(help="Where they are made.")] = Path("certs"),
    user: Annotated[list[str] | None, typer.Option(help="A password for it, as USER.secret; may be repeated.")] = None,
    stir: Annotated[
        bool, typer.Option("--stir", help="An STI authority as well (sti-ca), and a certificate of it to sign calls with.")
    ] = False,
) -> None:
    """Make what is missing of certificates and passwords for development. Overwrites nothing."""
    from sbc import devcerts

    try:
        created = devcerts.make(folder, names or (), user or ()) + (devcerts.make_stir(folder) if stir else [])
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from None
    for path in created:
        typer.echo(f"created {path}")


@_app.command()
def testpeer(
    address: Annotated[str, typer.Option(help="HOST:PORT to answer on.")] = "127.0.0.3:5060",
    mode: Annotated[str, typer.Option(help="echo, tone, ring or busy.")] = "echo",
    certificate: Annotated[Path | None, typer.Option(help="PEM certificate: answer over TLS instead of UDP.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its PEM key.")] = None,
    roots: Annotated[
        Path, typer.Option(help="PEM certificates of the authorities whose signers of calls are believed; nothing is verified without it.")
    ] = Path("certs/sti-ca.pem"),
    ca: Annotated[Path, typer.Option(help="PEM certificates that signers' web servers on this machine are signed by.")] = _CA,
    ready: Annotated[int | None, typer.Option(hidden=True, help="Descriptor to close when calls are answered.")] = None,
) -> None:
    """Be somebody to call: answer, play a tone, send back what is said; say whether the call was signed well."""
    from sbc.judge import Judge
    from sbc.probe import testpeer as probe

    raise typer.Exit(probe.main(address, mode, certificate, key, ready, Judge(roots, ca) if roots.exists() else None))


@_app.command()
def testcall(
    server: Annotated[str, typer.Option(help="HOST:PORT of the SBC, TLS.")] = "127.0.0.1:5061",
    user: Annotated[str, typer.Option(help="Account to call as.")] = "alice",
    password_file: Annotated[Path, typer.Option(help="File with its password.")] = Path("certs/alice.secret"),
    ca: Annotated[Path, typer.Option(help="PEM certificates the SBC's must be signed by.")] = _CA,
    number: Annotated[str, typer.Option(help="Number to call.")] = "+12155550131",
    seconds: Annotated[float, typer.Option(help="How long to talk.")] = 4.0,
) -> None:
    """Make one encrypted call through the SBC and say whether both sides were heard."""
    from sbc.probe import testcall as probe

    raise typer.Exit(probe.main(server, user, password_file, ca, number, seconds))


@_app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording of var/recordings/, or such a folder.")],
    ladder: Annotated[bool, typer.Option("--ladder", help="Draw the call.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Draw the call, with every message whole.")] = False,
    policy: Annotated[
        Path | None, typer.Option(help="What if? Run the call under the policy of this folder, and show what differs.")
    ] = None,
    call: Annotated[str, typer.Option(help="Only the call with this identifier, the `id` of its call record.")] = "",
    save: Annotated[Path | None, typer.Option(help="Run nothing: write that call, alone, into this file.")] = None,
) -> None:
    """Run a recorded call again and compare each effect. Exit status 1: something differs."""
    from sbc import replay as replaying
    from sbc.recording.ladder import Shown

    shown = Shown.MESSAGES if verbose else Shown.LADDER if ladder else Shown.NOTHING
    raise typer.Exit(replaying.main(file, shown, policy, call, save))


@_app.command()
def calls(
    trunk: Annotated[str, typer.Option(help="Only calls of this trunk or user.")] = "",
    number: Annotated[str, typer.Option(help="Only calls that have this in one of their numbers.")] = "",
    limit: _Limit = 50,
    socket: _Socket = SOCKET,
    as_json: _Json = False,
    watch: _Watch = False,
) -> None:
    """The calls in progress, newest first, and how their media is."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "calls", "most": limit, "party": trunk, "number": number}, as_json=as_json, watch=watch)


@_app.command()
def call(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Of a call in progress, as `sbc calls` has it.")],
    socket: _Socket = SOCKET,
    as_json: _Json = False,
    watch: _Watch = False,
) -> None:
    """All there is to know of one call in progress: both sides, and what is heard of them."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "call", "id": identifier}, as_json=as_json, watch=watch)


@_app.command()
def registrations(
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    limit: _Limit = 50,
    socket: _Socket = SOCKET,
    as_json: _Json = False,
    watch: _Watch = False,
) -> None:
    """Who is registered, from where, and for how long."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "registrations", "most": limit, "account": account}, as_json=as_json, watch=watch)


@_app.command()
def trunks(
    trunk: Annotated[str, typer.Option(help="Only this one.")] = "",
    limit: _Limit = 50,
    socket: _Socket = SOCKET,
    as_json: _Json = False,
    watch: _Watch = False,
) -> None:
    """The trunks: where they are, whether they answer, and how many calls they have."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "trunks", "most": limit, "trunk": trunk}, as_json=as_json, watch=watch)


@_app.command()
def limits(
    name: Annotated[str, typer.Argument(help="Only this `limits` object, or those that count for this trunk, user or number.")] = "",
    limit: _Limit = 50,
    socket: _Socket = SOCKET,
    as_json: _Json = False,
    watch: _Watch = False,
) -> None:
    """How far each limit is used up, the fullest first, and what it has refused."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "limits", "most": limit, "name": name}, as_json=as_json, watch=watch)


@_app.command()
def bans(limit: _Limit = 50, socket: _Socket = SOCKET, as_json: _Json = False, watch: _Watch = False) -> None:
    """Who is banned, for what, and for how much longer."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "bans", "most": limit}, as_json=as_json, watch=watch)


@_app.command()
def unban(
    address: Annotated[str, typer.Argument(help="As `sbc bans` has it.")],
    socket: _Socket = SOCKET,
    as_json: _Json = False,
) -> None:
    """Forgive an address: its ban ends, and those before it are forgotten."""
    from sbc.admin import terminal

    terminal.show(socket, {"ask": "unban", "address": address}, as_json=as_json, watch=False)


@_app.command()
def attack_sim(
    kind: Annotated[
        str,
        typer.Argument(help="invite, register, options, malformed, garbage, fragments, scan, rtp, crack, connections, handshakes or slow."),
    ],
    target: Annotated[str, typer.Argument(help="ADDRESS:PORT of an SBC on this machine or in a network namespace of it.")],
    rate: Annotated[int, typer.Option(min=1, help="Packets, or connections, a second.")] = 1000,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long.")] = 10.0,
    source: Annotated[str, typer.Option("--from", help="Address of ours to send from, such as 127.0.0.66.")] = "",
    as_json: _Json = False,
) -> None:
    """Attack an SBC of our own, to see what it makes of it. Nobody else's can be a target."""
    from sbc.probe import attack
    from sbc.probe.console import say

    attack.main(kind, target, rate, seconds, source, as_json, say)


@_app.command()
def pbx_config(
    make: Annotated[str, typer.Argument(help="asterisk, freepbx or 3cx.")],
    trunk: Annotated[str, typer.Argument(help="Name of the trunk that the PBX is.")],
    folder: Annotated[Path, typer.Option("--policies", help="Folder with the *.yaml files of the policy.")] = POLICIES,
    show_password: Annotated[bool, typer.Option("--show-password", help="Print the password, and not where it is kept.")] = False,
    ca_file: Annotated[
        str, typer.Option(help="Asterisk: where it will have the certificate of our authority.")
    ] = "/etc/asterisk/keys/sbc-ca.pem",
) -> None:
    """Print what a PBX needs to be that trunk: a file to paste, or the fields of its screens."""
    from sbc import pbx
    from sbc.policy.load import load_policy

    typer.echo(pbx.text(make, load_policy(folder), trunk, show_password=show_password, authority=ca_file), nl=False)


@_app.command()
def doctor(
    trunk: Annotated[str, typer.Argument(help="Which trunk to look at.")],
    folder: Annotated[Path, typer.Option("--policies", help="Folder with the *.yaml files of the policy.")] = POLICIES,
    socket: _Socket = SOCKET,
) -> None:
    """Look at everything that can be wrong with a trunk, and say what to change. Exit status 1: something is."""
    from sbc.doctor import examination

    raise typer.Exit(examination.main(folder, trunk, socket))


@_app.command()
def version() -> None:
    """Which version this is."""
    typer.echo(f"sbc {__version__}")
