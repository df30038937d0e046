"""What a policy needs of the world around the core: listeners, certificates, authorities, name servers, media interfaces.

All of it is got first, so that what can fail has failed before anything changes; then one policy takes the place of the other
within one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from media.api import MediaEngine, MediaError, Suite, Tier
from sbc.errors import ConfigError
from sbc.log import EventLog
from sbc.net import network, tls
from sbc.net.expiry import ExpiryWatch
from sbc.net.guard import Guard
from sbc.net.network import Network
from sbc.net.ports import CoreLike
from sbc.net.publication import Publication
from sbc.net.resolver import Resolver
from sbc.net.signer import Signatory, Signer
from sbc.net.site import Page, Site
from sbc.net.sockets import check_local
from sbc.net.verifier import Known, Verifier
from sbc.policy.load import Loaded, load_policy
from sbc.policy.snapshot import Snapshot
from sbc.policy.text import Text

Load = Callable[[Path, Collection[Suite], Text | None], Loaded]

CLEARING = 5.0  # seconds between looks at what earlier policies have left: some ms for 10,000 calls


@dataclass(frozen=True, slots=True)
class Material:
    """A policy with all that its files refer to, read."""

    loaded: Loaded
    contexts: tls.Contexts
    known: Known
    signatory: Signatory | None
    page: Page | None

    @property
    def snapshot(self) -> Snapshot:
        return self.loaded.snapshot


@dataclass(frozen=True, slots=True)
class Provided:
    """What is open for a policy that does not count yet."""

    material: Material
    sockets: network.Prepared


@dataclass(frozen=True, slots=True)
class Proofs:
    """Those who have to do with proofs of who calls."""

    verifier: Verifier
    signer: Signer
    publication: Publication
    site: Site

    def apply(self, material: Material) -> None:
        self.verifier.apply(material.known)
        self.signer.apply(material.signatory)
        self.publication.apply(material.known.ours)
        self.site.apply(material.page)


class Provision:
    def __init__(
        self,
        network: Network,
        guard: Guard,
        resolver: Resolver,
        proofs: Proofs,
        media: MediaEngine,
        log: EventLog,
        suites: Collection[Suite],
        load: Load = load_policy,
    ) -> None:
        """`load` makes a policy of what `read` is given."""
        self._load = load
        self._network = network
        self._guard = guard
        self._resolver = resolver
        self._proofs = proofs
        self._media = media
        self._log = log
        self._suites = suites
        self._expiry = ExpiryWatch()
        self.tiers: dict[str, Tier] = {}

    def read(self, text: Text) -> Material:
        """Takes its time, and may run in a thread of its own. Raises ConfigError with all that is wrong."""
        return self.complete(self._load(text.folder, self._suites, text))

    def complete(self, loaded: Loaded) -> Material:
        """With what the policy refers to. Raises ConfigError."""
        snapshot = loaded.snapshot
        proofs = self._proofs
        return Material(
            loaded, tls.read(snapshot), proofs.verifier.read(snapshot), proofs.signer.read(snapshot), proofs.site.read(snapshot)
        )

    def prepare(self, material: Material) -> Provided:
        """Open what is new. Raises ConfigError, and then it is closed again."""
        for realm in material.snapshot.realms.values():
            check_local(realm.relay.address, f"realm {realm.name}: relay")
        return Provided(material, self._network.prepare(material.snapshot, material.contexts))

    def commit(self, provided: Provided) -> None:
        """Let it count. Raises ConfigError when the media engine cannot have it: then nothing has changed, and it is discarded."""
        snapshot = provided.material.snapshot
        try:
            self._media.provide({realm.name: realm.relay for realm in snapshot.realms.values()})
        except MediaError as error:
            self._network.discard(provided.sockets)
            raise ConfigError(f"media: {error}") from error
        self._network.commit(provided.sockets)
        self._guard.apply(snapshot)
        self._resolver.apply(snapshot)
        self._proofs.apply(provided.material)
        for warning in provided.material.loaded.warnings:
            self._log.event("warning", "policy_warning", {"problem": str(warning)})
        self._log_tiers()
        with suppress(OSError, ValueError):  # gone since it was loaded: the next policy will say so
            self._expiry.take(tls.certificates(snapshot))
        self.warn_of_expiry()

    def warn_of_expiry(self) -> None:
        for expiring in self._expiry.due():
            self._log.event(expiring.level, "certificate_expires", {"problem": expiring.text})

    async def clear(self, core: CoreLike) -> None:
        """Close what is left of earlier policies, each when no call needs it any more; ends when all is."""
        while True:
            for flow in core.strays():
                self._network.close_flow(flow)
            if not self._network.release(core.flows_in_use()) and not core.departed():
                return
            await asyncio.sleep(CLEARING)

    def _log_tiers(self) -> None:
        """Those that are not as they were."""
        for realm, tier in self._media.tiers().items():
            if self.tiers.get(realm) != tier:
                problem = {"problem": tier.problem} if tier.problem else {}
                self._log.event("warning" if problem else "info", "media_packets", {"realm": realm, "by": tier.name, **problem})
        self.tiers = dict(self._media.tiers())
