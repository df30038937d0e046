"""What a trunk's signatures are worth: our certificate, and whether it is where we say it is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from sbc.doctor.certificates import SOON
from sbc.doctor.finding import Finding, good, note, wrong
from sbc.errors import SipError
from sbc.identity.authority import authority
from sbc.identity.credential import Trust, credential, read_chain
from sbc.net.fetch import Certificates
from sbc.net.publication import problem
from sbc.net.tasks import Tasks
from sbc.policy.snapshot import IdentityRules, SigningRules, Snapshot, Trunk


def found(snapshot: Snapshot, trunk: Trunk) -> Iterator[Finding]:
    rules = snapshot.identity
    if trunk.sign != "no" and rules is not None and rules.sign is not None:
        chain = Path(rules.sign.certificate.certificate).read_bytes()
        yield from of_chain(rules, rules.sign, chain)
        yield published(rules.sign.url, asyncio.run(_problem(rules, rules.sign.url, chain)))


def of_chain(rules: IdentityRules, ours: SigningRules, chain: bytes) -> Iterator[Finding]:
    certificates = read_chain(chain)
    name, now, ends = f"calls are signed with {ours.certificate.certificate}", datetime.now(UTC), certificates[0].not_valid_after_utc
    said = authority(certificates[0])
    whose = f"for the numbers of {', '.join(said.codes)}" if said is not None and said.codes else "for single numbers"
    if ends < now:
        yield wrong(f"{name}, which has expired on {ends:%Y-%m-%d}", "get another one, publish it under another URL, send SIGHUP")
        return
    if ends < now + SOON:
        yield note(f"{name}, {whose}, which expires on {ends:%Y-%m-%d}", "renew it in time, and publish it under another URL")
    else:
        yield good(f"{name}, {whose}, until {ends:%Y-%m-%d}")
    if rules.roots is None:
        return
    try:
        credential(certificates, Trust(tuple(load_pem_x509_certificates(Path(rules.roots).read_bytes()))), now.timestamp())
    except SipError as error:
        yield wrong(f"whoever trusts {rules.roots} does not believe it ({error})", "are the issuers' certificates behind ours in the file?")
    else:
        yield good(f"whoever trusts {rules.roots} believes it")


def published(url: str, why: str) -> Finding:
    if why:
        return wrong(f"verifiers do not find it at {url} ({why})", "publish the file as it is, by https, for everybody")
    return good(f"verifiers find it at {url}")


async def _problem(rules: IdentityRules, url: str, chain: bytes) -> str:
    loop = asyncio.get_running_loop()
    fetcher = Certificates(loop, Tasks(loop, lambda error: None), lambda url, why: None)
    if rules.local_authority is not None:
        fetcher.trust_here(ssl.create_default_context(cafile=rules.local_authority))
    try:
        return await problem(fetcher, url, chain)
    finally:
        await fetcher.close()
