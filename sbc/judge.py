"""What a peer makes of the proofs of the calls it gets: for `sbc testpeer`, which so says whether an SBC signs well."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

from sbc import passports
from sbc.errors import ConfigError
from sbc.identity.credential import Trust
from sbc.identity.verdict import Verstat
from sbc.identity.verify import Credentials, locations, verify
from sbc.net.fetch import Certificates
from sbc.net.tasks import Tasks
from sbc.sip.message import Request

PATIENCE = 2.0  # seconds that a call waits for a certificate: as much as fetching one may take


class Judge:
    """Asked in one loop."""

    def __init__(self, roots: Path, authority: Path) -> None:
        """PEM certificates of whose signers are believed, and of whose web servers on this machine. ConfigError."""
        self._credentials = Credentials(Trust(tuple(passports.certificates(roots))))
        try:
            self._here = ssl.create_default_context(cafile=authority)
        except OSError as error:
            raise ConfigError(f"{authority}: {error.strerror or error}") from error
        self._fetcher: Certificates | None = None
        self._failures: dict[str, str] = {}

    async def __call__(self, invite: Request) -> str:
        """In a few words."""
        try:
            question = passports.question(invite)
        except ConfigError as error:
            return f"not to be verified: {error}"
        if self._fetcher is None:
            loop = asyncio.get_running_loop()
            self._fetcher = Certificates(loop, Tasks(loop, lambda error: None), self._failures.__setitem__)
            self._fetcher.trust_here(self._here)
        chains, _ = await self._fetcher.chains(locations(question), PATIENCE)
        verdict = verify(question, chains, self._credentials, time.time())
        if verdict.verstat == Verstat.PASSED:
            return f"signed {verdict.attest}, verified: {verdict.verstat}-{verdict.attest}"
        if not question.identities:
            return f"not signed: {verdict.verstat}"
        missing = [f"{url}: {self._failures[url]}" for url in locations(question) if url in self._failures and url not in chains]
        why = missing or [f"{each.status} {each.reason}: {each.detail}" for each in verdict.failures]
        return f"signed, not verified: {verdict.verstat}, {'; '.join(why)}"
