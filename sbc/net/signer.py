"""Carries out what the core wants to have signed, by our own key or by an authentication service.

What cannot be signed is answered, too: the call then goes unsigned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sbc.errors import ConfigError, SipError
from sbc.identity.sign import Key, origid_of
from sbc.identity.signature import Signature, ToSign
from sbc.inputs import Signed
from sbc.net.authentication import AuthenticationService
from sbc.net.tasks import Tasks
from sbc.policy.credentials import signing_key
from sbc.policy.snapshot import ServiceRules, Snapshot

NOBODY = "nobody signs here any more"  # the policy has changed since the call began


@dataclass(frozen=True, slots=True)
class Signatory:
    """Our key, or somebody else's. `secret`: what `origid` is worked out from."""

    secret: bytes = field(repr=False)
    key: Key | None = None
    service: AuthenticationService | None = None
    rules: ServiceRules | None = None


class Signer:
    """`answer` gets one Signed per question, never from within `ask`. `say`: see AuthenticationService."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tasks: Tasks, answer: Callable[[Signed], None], say: Callable[[str, str], None]
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._answer = answer
        self._say = say
        self._signatory: Signatory | None = None

    def read(self, snapshot: Snapshot) -> Signatory | None:
        """Who signs by a policy that has been checked. ConfigError: the key is not readable any more."""
        identity = snapshot.identity
        if identity is not None and identity.sign is not None:
            key = signing_key(identity.sign)
            return Signatory(identity.sign.secret.encode() or key.secret, key)
        if identity is None or identity.service is None:
            return None
        if self._signatory is not None and self._signatory.rules == identity.service:
            return self._signatory  # whatever it is known not to answer
        try:
            service = AuthenticationService(identity.service, self._loop.time, self._say)
        except (OSError, ValueError) as error:
            raise ConfigError(f"identity: sign: service: {identity.service.ca}: {error}") from error
        return Signatory(identity.service.secret.encode(), service=service, rules=identity.service)

    def apply(self, signatory: Signatory | None) -> None:
        """It signs from now on."""
        before, self._signatory = self._signatory, signatory
        if before is not None and before is not signatory and before.service is not None and before.rules is not None:
            self._tasks.start(_close_after(before.rules.timeout, before.service))

    def ask(self, question: str, asked: ToSign) -> None:
        """Our own key takes 0.1 ms of the loop."""
        signatory = self._signatory
        if signatory is not None and signatory.service is not None:
            self._tasks.start(self._ask(signatory, signatory.service, question, asked))
        else:
            self._loop.call_soon(self._answer, Signed(question, _by_key(signatory, asked)))

    async def close(self) -> None:
        if self._signatory is not None and self._signatory.service is not None:
            await self._signatory.service.close()

    async def _ask(self, signatory: Signatory, service: AuthenticationService, question: str, asked: ToSign) -> None:
        signature = Signature(problem="it could not be signed")
        try:
            signature = await service.sign(asked, origid_of(signatory.secret, asked.customer))
        finally:  # a fault of ours must not keep a call waiting for ever
            self._answer(Signed(question, signature))


def _by_key(signatory: Signatory | None, asked: ToSign) -> Signature:
    if signatory is None or signatory.key is None:
        return Signature(problem=NOBODY)
    origid = origid_of(signatory.secret, asked.customer)
    try:
        identity = signatory.key.sign(asked, origid)
    except SipError as error:
        return Signature(problem=str(error))
    return Signature(identity, asked.attest, origid) if asked.attest else Signature(identity)


async def _close_after(seconds: float, service: AuthenticationService) -> None:
    """Nobody waits for it any more by then."""
    await asyncio.sleep(seconds)
    await service.close()
