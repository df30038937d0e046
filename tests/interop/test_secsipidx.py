"""STIR/SHAKEN beside secsipidx, the verifier and signer of Kamailio's secsipid module: we take its signatures, it takes ours."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sbc.identity.authority import TN_AUTH_LIST
from sbc.identity.credential import Trust
from sbc.identity.sign import Key
from sbc.identity.signature import ToSign
from sbc.identity.verdict import Claimed, Verdict, Verstat
from sbc.identity.verify import Credentials, verify
from tests.unit.identity import pki
from tests.unit.identity.pki import URL

CALLER, CALLED, ORIGID = "12155550121", "12155550131", "123e4567-e89b-12d3-a456-426655440000"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def chain() -> tuple[bytes, Trust]:
    """Valid today: it signs by its own clock."""
    now = int(time.time()) - pki.NOW
    root = pki.Authority(ends=now + 100 * 86400)
    leaf = root.issue(KEY, "SHAKEN 1234", extensions=((TN_AUTH_LIST, pki.SPC, False),), begins=now - 3600, ends=now + 3600)
    return pki.pem(leaf), root.trust


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    (tmp_path / "public.pem").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return tmp_path


def secsipidx(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["secsipidx", *arguments], capture_output=True, text=True, timeout=20, check=False)


def theirs(folder: Path, attest: str = "A") -> str:
    numbers = ("-orig-tn", CALLER, "-dest-tn", CALLED, "-orig-id", ORIGID)
    done = secsipidx("-sign-full", "-k", folder / "key.pem", *numbers, "-attest", attest, "-x5u", URL)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def accepts(folder: Path, identity: str) -> bool:
    (folder / "identity.txt").write_text(identity)
    return secsipidx("-check", "-fidentity", folder / "identity.txt", "-fpubkey", folder / "public.pem", "-expire", "60").returncode == 0


def verdict(identity: str, chain: tuple[bytes, Trust], caller: str = CALLER, *, later: float = 0.0) -> Verdict:
    octets, trust = chain
    return verify(Claimed((identity,), (caller,), CALLED, CALLED), {URL: octets}, Credentials(trust), time.time() + later)


@pytest.mark.parametrize("attest", ["A", "B", "C"])
def test_we_verify_what_it_signs(folder: Path, chain: tuple[bytes, Trust], attest: str) -> None:
    found = verdict(theirs(folder, attest), chain)
    assert (found.verstat, found.attest, found.origid) == (Verstat.PASSED, attest, ORIGID)


def test_we_refuse_what_it_signs_of_another_call_or_another_time(folder: Path, chain: tuple[bytes, Trust]) -> None:
    assert verdict(theirs(folder), chain, caller="12155550199").verstat == Verstat.FAILED
    assert [failure.status for failure in verdict(theirs(folder), chain, later=65).failures] == [403]


def test_it_verifies_what_we_sign(folder: Path) -> None:
    ours = Key(KEY, URL).sign(ToSign("office", "A", CALLER, CALLED, int(time.time())), ORIGID)
    assert accepts(folder, ours)


def test_it_refuses_what_was_changed_and_what_is_old(folder: Path) -> None:
    now = int(time.time())
    ours = Key(KEY, URL).sign(ToSign("office", "A", CALLER, CALLED, now), ORIGID)
    head, claims, rest = ours.split(".", 2)
    other = Key(KEY, URL).sign(ToSign("office", "A", "12155550199", CALLED, now), ORIGID).split(".")[1]
    assert claims != other
    assert not accepts(folder, f"{head}.{other}.{rest}")
    assert not accepts(folder, Key(KEY, URL).sign(ToSign("office", "A", CALLER, CALLED, now - 3600), ORIGID))
