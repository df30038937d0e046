"""STIR (RFC 8224) through us: what was signed crosses as it was signed, and what a verification service says comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.cast import TRUSTED, Cast, policy
from tests.world import POLICY

PASSPORTS = Path(__file__).parents[1] / "vectors" / "passport"
CASES: list[dict[str, Any]] = json.loads((PASSPORTS / "shaken_cases.json").read_text())["cases"]
TOKENS: list[dict[str, Any]] = json.loads((PASSPORTS / "rfc_tokens.json").read_text())["tokens"]
INFO = "info=<https://certs.example.org:8443/chain.pem>"
LONGEST = 8192  # the one beyond is refused by the size of its header, see SYN-11


def signed() -> list[list[str]]:
    """Identity rows that are in use, well made or not: base64url, compact form, `ppt` quoted and not, `iat` as text, duplicate keys."""
    shown = [case["identity"] for case in CASES if all(len(value) < LONGEST for value in case["identity"])]
    shown += [[token["identity_header"]] for token in TOKENS if token["identity_header"]]
    token = CASES[0]["identity"][0].partition(";")[0]
    compact = f"..{token.rpartition('.')[2]}"
    parameters = (f'{INFO};alg=ES256;ppt="shaken"', f"{INFO};alg=ES256;ppt=shaken", f"{INFO} ; ppt=shaken; alg=ES256", INFO, "")
    return [*shown, *([f"{value};{each}"] for value in (token, compact) for each in parameters)]


@pytest.mark.parametrize("identity", signed())
def test_TRAP_04_what_was_signed_crosses_as_it_came(identity: list[str]) -> None:
    """ "MUST NOT" be altered, and whoever verifies it has to see the octets: the grammar of RFC 8224 s4 forbids even `-` and `_`."""
    cast = Cast(policy())
    received = cast.told(*(("Identity", value) for value in identity))
    assert [value.encode() for value in received.headers.all("Identity")] == [value.encode() for value in identity]
    assert "Date" not in received.headers, "none came: `iat` says when it was signed"


REFUSALS = [
    *((428, "Use Identity Header"), (428, "Use Supported PASSporT Format"), (436, "Bad Identity Info")),
    *((437, "Unsupported Credential"), (438, "Invalid Identity Header"), (403, "Stale Date")),
]


@pytest.mark.parametrize("keys", ["", TRUSTED])
@pytest.mark.parametrize(("status", "phrase"), REFUSALS)
def test_REJ_12_the_verdict_of_a_verifier_behind_us_reaches_who_signed(status: int, phrase: str, keys: str) -> None:
    """ "… sends a 4xx back", to the authentication service that has to mend it (RFC 8224 s6.2.2, RFC 9410)."""
    cast = Cast(policy(office=keys))
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    reason = f'STIR;cause={status};text="{phrase}"'
    cast.carrier.answer(cast.told(("Identity", f"..x;{INFO}")), status, phrase, headers=(("Reason", reason),))
    answer = cast.office.expect_response(status)
    assert (answer.reason, answer.headers.all("Reason")) == (phrase, [reason])
    backup.expect_nothing()
    assert (cast.world.records[0]["sip_status"], cast.world.records[0]["sip_reason"]) == (status, phrase)


@pytest.mark.parametrize("identity", [(), ("nonsense",), ("..;info=<ftp://127.0.0.1>",), ("",)])
def test_REJ_12_nobody_is_refused_for_what_was_not_asked_for(identity: tuple[str, ...]) -> None:
    """A call without Identity, and one with what no verifier would take, goes its way."""
    cast = Cast(POLICY)
    received = cast.told(*(("Identity", value) for value in identity))
    assert received.headers.all("Identity") == list(identity)
