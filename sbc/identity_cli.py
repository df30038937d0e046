"""`sbc identity …`: sign, verify and look at proofs of who calls, without a call."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="STIR/SHAKEN without a call: sign, verify, explain. Nothing is fetched.", no_args_is_help=True, pretty_exceptions_enable=False
)

_At = Annotated[float | None, typer.Option("--at", help="The time it is, in seconds since 1970. Default: now.")]
_Roots = Annotated[Path, typer.Option(help="PEM certificates of the authorities that are trusted.")]


@app.command()
def verify(
    message: Annotated[Path, typer.Argument(help="File with an INVITE, as it was received.")],
    roots: _Roots,
    certificate: Annotated[Path | None, typer.Option(help="PEM file that its x5u leads to, the signer's certificate first.")] = None,
    at: _At = None,
) -> None:
    """What a verifier says of a message. Exit status 1: not what TN-Validation-Passed asks for."""
    from sbc import passports

    raise typer.Exit(_print(passports.verified(message, roots, certificate, at)))


@app.command()
def explain(text: Annotated[str, typer.Argument(help='An Identity header or a token; "-" reads it from standard input.')]) -> None:
    """What is in an Identity header, true or not."""
    from sbc import passports

    for line in passports.explained(sys.stdin.read() if text == "-" else text):
        typer.echo(line)


@app.command()
def certificate(
    file: Annotated[Path, typer.Argument(help="PEM file, the signer's certificate first.")],
    roots: Annotated[Path | None, typer.Option(help="PEM certificates of the authorities that are trusted.")] = None,
    at: _At = None,
) -> None:
    """Which numbers a certificate is for, and whether it is to be trusted. Exit status 1: it is not."""
    from sbc import passports

    raise typer.Exit(_print(passports.certificate(file, roots, at)))


@app.command()
def sign(
    key: Annotated[Path, typer.Option(help="PEM private key, P-256.")],
    x5u: Annotated[str, typer.Option(help="https URL of its certificate.")],
    orig: Annotated[str, typer.Option(help="Number of the caller, with country code.")] = "",
    dest: Annotated[str, typer.Option(help="Number that is called, with country code.")] = "",
    attest: Annotated[str, typer.Option(help="A, B or C.")] = "A",
    origid: Annotated[str, typer.Option(help="A UUID that stands for the customer.")] = "00000000-0000-4000-8000-000000000000",
    claims: Annotated[str, typer.Option(help="JSON of other claims than these, for another kind of token.")] = "",
    ppt: Annotated[str, typer.Option(help="Kind of token: shaken, div, rcd, rph.")] = "shaken",
    at: _At = None,
) -> None:
    """An Identity header."""
    from sbc import passports

    said = passports.read_claims(claims) if claims else passports.claims_of(attest, orig, dest, origid, at)
    typer.echo(passports.header(said, key, x5u, ppt))


def _print(lines: Iterable[tuple[str, bool]]) -> int:
    """The exit status: that of the last line."""
    good = True
    for line, good in lines:  # noqa: B007
        typer.echo(line)
    return 0 if good else 1
