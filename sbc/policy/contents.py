"""What is in the files that a policy refers to: secrets, certificates, lists. Told apart by digests, that nothing be shown of a secret.

A file is called as it is in the policy, and so relative to the policy's folder; `certs/NAME.pem` is what `certificate: NAME` means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sbc.policy.checking.checker import Policy
from sbc.policy.lists import MAX_OCTETS
from sbc.policy.material import Unusable, contents, secrets_of
from sbc.policy.problems import Path as Keys

SIZE = 8  # octets of a digest
SHOWN = 8  # digits of one for all, which people copy
CERTS = "certs/"


@dataclass(frozen=True, slots=True)
class Contents:
    """`digests`: by file. `missing`: those that cannot be read."""

    folder: Path
    certs: Path
    digests: Mapping[str, bytes]
    missing: tuple[str, ...]

    def anew(self) -> Contents:
        """As they are now."""
        return _read((*self.digests, *self.missing), self.folder, self.certs)

    def places(self) -> Iterator[Path]:
        for file in (*self.digests, *self.missing):
            yield _place(file, self.folder, self.certs)

    def others_in(self, later: Contents) -> list[str]:
        """Files of both that have something else in them there."""
        return [file for file, digest in later.digests.items() if self.digests.get(file, digest) != digest]

    def sealed(self, key: bytes) -> dict[str, str]:
        """As they may leave the process: without the key nobody can try passwords against them."""
        return {file: _digest(digest, key).hex() for file, digest in self.digests.items()}


def contents_of(policy: Policy, folder: Path, certs: Path) -> Contents:
    """To be asked before the files are used, so that what is written meanwhile is a difference and not overlooked."""
    return _read(dict.fromkeys(file for _, file in references(policy)), folder, certs)


def seal(sealed: Mapping[str, str]) -> str:
    """One for all of them; "": there are none."""
    whole = "".join(f"{len(file)}:{file}{digest}" for file, digest in sorted(sealed.items()))
    return _digest(whole.encode()).hex()[:SHOWN] if whole else ""


def references(policy: Policy) -> Iterator[tuple[Keys, str]]:
    """Where a file is named, and which it is. What is in the environment cannot change while we run."""
    for path, secret in secrets_of(policy).items():
        if secret.file is not None:
            yield path, _as_written(secret.file)
    for path, name in _certificates(policy):
        yield path, f"{CERTS}{name}.pem"
        yield path, f"{CERTS}{name}.key"
    for path, file in _others(policy):
        if file is not None:
            yield path, _as_written(file)


def _as_written(file: str) -> str:
    return f"./{file}" if file.startswith(CERTS) else file


def _place(file: str, folder: Path, certs: Path) -> Path:
    return certs / file.removeprefix(CERTS) if file.startswith(CERTS) else folder / file


def _read(files: Iterable[str], folder: Path, certs: Path) -> Contents:
    found: dict[str, bytes] = {}
    names = tuple(files)
    for file in names:
        with suppress(Unusable):
            found[file] = _digest(contents(_place(file, folder, certs), MAX_OCTETS)[0])
    return Contents(folder, certs, found, tuple(file for file in names if file not in found))


def _certificates(policy: Policy) -> Iterator[tuple[Keys, str]]:
    for name, realm in policy.realms.items():
        for each in realm.certificate or ():
            yield ("realms", name, "certificate"), each
    for name, trunk in policy.trunks.items():
        if trunk.certificate is not None:
            yield ("trunks", name, "certificate"), trunk.certificate
    sign = policy.identity.sign if policy.identity is not None else None
    if sign is not None and sign.certificate is not None:
        yield ("identity", "sign", "certificate"), sign.certificate
    loopback = policy.identity.insecure_loopback if policy.identity is not None else None
    if loopback is not None and loopback.certificate is not None:
        yield ("identity", "insecure_loopback", "certificate"), loopback.certificate


def _others(policy: Policy) -> Iterator[tuple[Keys, str | None]]:
    for name, realm in policy.realms.items():
        yield ("realms", name, "client_ca"), realm.client_ca
    for name, block in policy.blocks.items():
        yield ("blocks", name, "file"), block.file
    identity = policy.identity
    if identity is not None:
        yield ("identity", "roots"), identity.roots
        yield ("identity", "revoked"), identity.revoked
        yield ("identity", "revoked_by"), identity.revoked_by
        if identity.insecure_loopback is not None:
            yield ("identity", "insecure_loopback", "authority"), identity.insecure_loopback.authority
        if identity.sign is not None and identity.sign.service is not None:
            yield ("identity", "sign", "service", "ca"), identity.sign.service.ca


def _digest(data: bytes, key: bytes = b"") -> bytes:
    return hashlib.blake2b(data, digest_size=SIZE, key=key).digest()
