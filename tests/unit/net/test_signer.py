"""Who signs: answers once to each question, also when nothing can be signed, and takes another key while calls go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from sbc import devcerts
from sbc.errors import ConfigError
from sbc.frozen import replace
from sbc.identity.passport import read
from sbc.identity.signature import Signature, ToSign
from sbc.inputs import Signed
from sbc.net.signer import NOBODY, Signer
from sbc.net.tasks import Tasks
from sbc.policy.load import load_policy
from sbc.sip.fields.signed_identity import SignedIdentity
from tests.unit.identity.pki import NOW, URL
from tests.world import POLICY

ASKED = ToSign("office", "A", "12155550121", "12155550131", NOW)


def policy(folder: Path, identity: str) -> Path:
    devcerts.make(folder / "certs", ["sbc.example.com"], users=())
    devcerts.make_stir(folder / "certs")
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "sbc.yaml").write_text(POLICY + identity)
    secret = folder / "policies" / "alice.secret"
    if not secret.exists():
        devcerts.write_new(secret, b"wonderland\n", devcerts.PRIVATE_MODE)
    return folder / "policies"


def of(answer: Callable[[Signed], None]) -> Signer:
    loop = asyncio.get_running_loop()
    return Signer(loop, Tasks(loop, lambda error: None), answer, lambda url, problem: None)


async def signatures(signer: Signer, answers: asyncio.Queue[Signed], *asked: ToSign) -> list[Signature]:
    for number, each in enumerate(asked):
        signer.ask(str(number), each)
    assert answers.empty()
    told = [await asyncio.wait_for(answers.get(), 5) for _ in asked]
    assert [each.question for each in told] == [str(number) for number, _ in enumerate(asked)]
    return [each.signature for each in told]


def test_STI_06_by_our_own_key(tmp_path: Path) -> None:
    async def scene() -> None:
        answers = asyncio.Queue[Signed]()
        signer = of(answers.put_nowait)
        assert await signatures(signer, answers, ASKED) == [Signature(problem=NOBODY)]
        folder = policy(tmp_path, f"identity: {{sign: {{certificate: stir, url: {URL}}}}}\n")
        first = signer.read(load_policy(folder).snapshot)
        assert first is not None
        assert first.key is not None
        signer.apply(first)
        good, bad = await signatures(signer, answers, ASKED, ToSign("office", "A", "alice", "1", NOW))
        found = read(SignedIdentity.parse(good.identity).token)
        assert found.verified(first.key.private.public_key())
        assert found.claims["origid"] == good.origid
        assert (bad.identity, bad.problem) == ("", "orig is not canonical")
        for name in ("stir.pem", "stir.key"):  # another key, which nobody has to stop for; who calls is the same customer to those who ask
            (tmp_path / "certs" / name).unlink()
        (folder / "origid.secret").write_text("what it is worked out from\n")
        (folder / "origid.secret").chmod(0o600)
        again = f"identity: {{sign: {{certificate: stir, url: {URL}, origid: {{file: origid.secret}}}}}}\n"
        origids = []
        for _ in range(2):
            for name in ("stir.pem", "stir.key"):
                (tmp_path / "certs" / name).unlink(missing_ok=True)
            signer.apply(signer.read(load_policy(policy(tmp_path, again)).snapshot))
            (signature,) = await signatures(signer, answers, ASKED)
            assert not read(SignedIdentity.parse(signature.identity).token).verified(first.key.private.public_key())
            origids.append(signature.origid)
        assert len(set(origids)) == 1

    asyncio.run(scene())


def test_STI_12_a_certificate_at_its_end_signs_nothing_and_takes_no_call_down(tmp_path: Path) -> None:
    async def scene() -> None:
        answers = asyncio.Queue[Signed]()
        signer = of(answers.put_nowait)
        folder = policy(tmp_path, f"identity: {{sign: {{certificate: stir, url: {URL}}}}}\n")
        signer.apply(signer.read(load_policy(folder).snapshot))
        ends = int(load_pem_x509_certificate((tmp_path / "certs" / "stir.pem").read_bytes()).not_valid_after_utc.timestamp())
        last, late = await signatures(signer, answers, replace(ASKED, iat=ends), replace(ASKED, iat=ends + 1))
        assert last.identity
        assert (late.identity, late.problem) == ("", "our certificate has expired")

    asyncio.run(scene())


def test_a_key_that_went_away_is_said(tmp_path: Path) -> None:
    async def scene() -> None:
        signer = of(lambda answer: None)
        snapshot = load_policy(policy(tmp_path, f"identity: {{sign: {{certificate: stir, url: {URL}}}}}\n")).snapshot
        (tmp_path / "certs" / "stir.key").unlink()
        with pytest.raises(ConfigError, match="No such file"):
            signer.read(snapshot)

    asyncio.run(scene())
