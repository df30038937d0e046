"""Answers the core's questions about Identity headers: fetches the certificates, looks at the signatures."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from sbc.clock import Now
from sbc.errors import ConfigError
from sbc.frozen import replace
from sbc.identity.credential import Trust, read_revoked
from sbc.identity.replays import Replays
from sbc.identity.verdict import Claimed, Verdict, Verstat
from sbc.identity.verify import Credentials, locations, verify
from sbc.inputs import Verified
from sbc.net.fetch import Certificates
from sbc.net.tasks import Tasks
from sbc.policy.snapshot import IdentityRules, Snapshot

NOT_CHECKED = Verdict(Verstat.NONE, late=True)


@dataclass(frozen=True, slots=True)
class Known:
    """`ours`: the chain of our own certificate, by its URL. Calls that come back to us are no reason to fetch it.

    `local`: whose web servers on this machine have certificates, too; None: nobody's.
    """

    credentials: Credentials
    ours: dict[str, bytes]
    local: ssl.SSLContext | None = None


class Verifier:
    """`answer` gets one Verified per question, never from within `ask`."""

    def __init__(
        self,
        tasks: Tasks,
        certificates: Certificates,
        clock: Callable[[], Now],
        answer: Callable[[Verified], None],
    ) -> None:
        self._tasks = tasks
        self._certificates = certificates
        self._clock = clock
        self._answer = answer
        self._credentials = Credentials(Trust(()))
        self._ours: dict[str, bytes] = {}
        self._replays = Replays()

    def read(self, snapshot: Snapshot) -> Known:
        """The authorities of a policy that has been checked, and our own certificate. ConfigError: they are not readable any more."""
        rules = snapshot.identity
        try:
            ours = {rules.sign.url: Path(rules.sign.certificate.certificate).read_bytes()} if rules and rules.sign else {}
            local = ssl.create_default_context(cafile=rules.local_authority) if rules and rules.local_authority else None
            return Known(Credentials(self._trust(rules) if rules is not None else Trust(())), ours, local)
        except (OSError, ValueError) as error:
            raise ConfigError(f"identity: {error}") from error

    def apply(self, known: Known) -> None:
        """It counts from now on."""
        self._credentials, self._ours = known.credentials, known.ours
        self._certificates.trust_here(known.local)

    def _trust(self, rules: IdentityRules) -> Trust:
        roots = tuple(load_pem_x509_certificates(Path(rules.roots).read_bytes())) if rules.roots is not None else ()
        revoked: frozenset[tuple[bytes, int]] = frozenset()
        if rules.revoked is not None:
            issuers = load_pem_x509_certificates(Path(rules.revoked_by).read_bytes()) if rules.revoked_by is not None else roots
            revoked, _ = read_revoked(Path(rules.revoked).read_bytes(), issuers, self._clock().wall)
        return Trust(roots, revoked)

    def ask(self, question: str, asked: Claimed, patience: float) -> None:
        self._tasks.start(self._verify(question, asked, patience))

    async def _verify(self, question: str, asked: Claimed, patience: float) -> None:
        verdict = NOT_CHECKED
        try:
            wanted = [url for url in locations(asked) if url not in self._ours]
            chains, late = await self._certificates.chains(wanted, patience)
            verdict = verify(asked, chains | self._ours, self._credentials, self._clock().wall)
            if late and verdict.verstat != Verstat.PASSED:
                verdict = NOT_CHECKED
            if verdict.verstat == Verstat.PASSED and self._replays.seen(asked, self._clock().monotonic):
                verdict = replace(verdict, replayed=True)
        finally:  # a fault of ours must not keep a call waiting for ever
            self._answer(Verified(question, verdict))
