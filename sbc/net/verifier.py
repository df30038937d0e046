"""Answers the core's questions about Identity headers: fetches the certificates, looks at the signatures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from sbc.clock import Now
from sbc.errors import ConfigError
from sbc.identity.credential import Trust, read_revoked
from sbc.identity.verdict import Claimed, Verdict, Verstat
from sbc.identity.verify import Credentials, locations, verify
from sbc.inputs import Verified
from sbc.net.fetch import Certificates
from sbc.net.tasks import Tasks
from sbc.policy.snapshot import IdentityRules, Snapshot

NOT_CHECKED = Verdict(Verstat.NONE, late=True)


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

    def read(self, snapshot: Snapshot) -> Credentials:
        """The authorities of a policy that has been checked. ConfigError: they are not readable any more."""
        try:
            return Credentials(self._trust(snapshot.identity) if snapshot.identity is not None else Trust(()))
        except (OSError, ValueError) as error:
            raise ConfigError(f"identity: {error}") from error

    def apply(self, credentials: Credentials) -> None:
        """They count from now on."""
        self._credentials = credentials

    def _trust(self, rules: IdentityRules) -> Trust:
        roots = tuple(load_pem_x509_certificates(Path(rules.roots).read_bytes()))
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
            chains, late = await self._certificates.chains(locations(asked), patience)
            verdict = verify(asked, chains, self._credentials, self._clock().wall)
            if late and verdict.verstat != Verstat.PASSED:
                verdict = NOT_CHECKED
        finally:  # a fault of ours must not keep a call waiting for ever
            self._answer(Verified(question, verdict))
