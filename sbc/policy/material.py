"""The files a policy refers to: secrets and certificates. Reading and checking them is the only I/O besides the policy itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sbc.identity.credential import read_revoked
from sbc.policy.checking.checker import Policy
from sbc.policy.document import Document
from sbc.policy.model import SecretModel
from sbc.policy.problems import Path as Keys
from sbc.policy.problems import Problem

MAX_SECRET_OCTETS = 1024  # longer than any password a PBX takes; a mistaken path to something else is noticed
MAX_PEM_OCTETS = 4 * 1024 * 1024  # the authorities of a whole operating system fit
EXPIRY_WARNING = timedelta(days=30)

Secrets = Mapping[Keys, str]


class _UnusableError(Exception):
    """The text completes "NAME …" and never contains what the file contains."""


def kept_in(secret: SecretModel, folder: Path) -> str:
    """Where it is, for people."""
    return f"environment variable {secret.env}" if secret.env is not None else os.path.normpath(folder / (secret.file or ""))


def read_secrets(document: Document, policy: Policy, folder: Path, problems: list[Problem]) -> Secrets:
    """All passwords by the path they stand at."""
    wanted: dict[Keys, SecretModel] = {
        ("users", name, "password"): user.password for name, user in policy.users.items() if user.password is not None
    }
    for name, trunk in policy.trunks.items():
        account = trunk.accepts_registration
        if account is not None and account.password is not None:
            wanted["trunks", name, "accepts_registration", "password"] = account.password
        if trunk.authenticates is not None:
            wanted["trunks", name, "authenticates", "password"] = trunk.authenticates.password
        if trunk.register_to is not None:
            wanted["trunks", name, "register_to", "password"] = trunk.register_to.password
        if trunk.credentials is not None:
            wanted["trunks", name, "credentials", "password"] = trunk.credentials.password
    secrets: dict[Keys, str] = {}
    for path, secret in wanted.items():
        try:
            secrets[path] = _secret(secret, folder)
        except _UnusableError as error:
            here = (*path, "file" if secret.file is not None else "env")
            problems.append(Problem(document.place(here), here, str(error)))
    return secrets


def check_certificates(
    document: Document, policy: Policy, folder: Path, certs: Path, problems: list[Problem], warnings: list[Problem]
) -> None:
    """Each certificate of ours exists, belongs to its key and is in date; each client_ca holds certificates."""
    ours: dict[Keys, str] = {
        ("realms", name, "certificate", index): certificate
        for name, realm in policy.realms.items()
        for index, certificate in enumerate(realm.certificate or ())
    }
    ours |= {("trunks", name, "certificate"): trunk.certificate for name, trunk in policy.trunks.items() if trunk.certificate is not None}
    for where, certificate in ours.items():
        path = document.trim(where)
        try:
            read = _key_pair(certs / f"{certificate}.pem", certs / f"{certificate}.key")
        except _UnusableError as error:
            problems.append(Problem(document.place(path), path, str(error)))
        else:
            if what := _date_problem(read):
                warnings.append(Problem(document.place(path), path, what))
    for name, realm in policy.realms.items():
        if realm.client_ca is not None:
            path = ("realms", name, "client_ca")
            try:
                _certificates(folder / realm.client_ca)
            except _UnusableError as error:
                problems.append(Problem(document.place(path), path, str(error)))


def check_authorities(document: Document, policy: Policy, folder: Path, problems: list[Problem], warnings: list[Problem]) -> None:
    """Whose signatures count: each file can be read, and what was revoked was so by one of them."""
    identity = policy.identity
    if identity is None:
        return

    def note(key: str, what: str, into: list[Problem]) -> None:
        path = document.trim(("identity", key))
        into.append(Problem(document.place(path), path, what))

    issuers: list[x509.Certificate] = []
    for key, file in (("roots", identity.roots), ("revoked_by", identity.revoked_by)):
        try:
            issuers = _certificates(folder / file) if file is not None else issuers
        except _UnusableError as error:
            note(key, str(error), problems)
    if identity.revoked is None or not issuers:
        return
    revoked = folder / identity.revoked
    try:
        _, late = read_revoked(_contents(revoked, MAX_PEM_OCTETS)[0], issuers, datetime.now(UTC).timestamp())
    except _UnusableError as error:
        note("revoked", str(error), problems)
    except ValueError as error:
        note("revoked", f"{revoked}: no list of revoked certificates that counts: {error}", problems)
    else:
        if late:
            note("revoked", "is out of date: whose certificate was revoked since then is still believed", warnings)


def _secret(secret: SecretModel, folder: Path) -> str:
    if secret.env is not None:
        text = os.environ.get(secret.env)
        if text is None:
            raise _UnusableError(f"environment variable {secret.env!r} is not set")
        where = f"environment variable {secret.env!r}"
    else:
        assert secret.file is not None
        file = folder / secret.file
        where = str(file)
        try:
            text = _private(file, MAX_SECRET_OCTETS).decode()
        except UnicodeDecodeError:
            raise _UnusableError(f"{where} is not UTF-8") from None
        text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _UnusableError(f"{where} is empty")
    if not text.isprintable():
        raise _UnusableError(f"{where} must be one line of printable text")
    return text


def _private(file: Path, limit: int) -> bytes:
    """Contents of a file that only its owner and group may read."""
    data, mode = _contents(file, limit)
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise _UnusableError(f"{file} is open to every user of this machine: chmod 600 {file}")
    return data


def _contents(file: Path, limit: int) -> tuple[bytes, int]:
    try:
        with file.open("rb") as opened:
            info = os.fstat(opened.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise _UnusableError(f"{file} is not a file")
            data = opened.read(limit + 1)
    except OSError as error:
        raise _UnusableError(f"{file}: {error.strerror}") from None
    if len(data) > limit:
        raise _UnusableError(f"{file} is longer than {limit} octets")
    return data, info.st_mode


def _certificates(file: Path) -> list[x509.Certificate]:
    data, _ = _contents(file, MAX_PEM_OCTETS)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise _UnusableError(f"{file} holds no readable PEM certificate") from None


def _key_pair(pem: Path, key: Path) -> x509.Certificate:
    certificate = _certificates(pem)[0]
    try:
        private = load_pem_private_key(_private(key, MAX_PEM_OCTETS), None)
    except TypeError:
        raise _UnusableError(f"{key} is protected by a passphrase, which nobody could type at a restart") from None
    except ValueError:
        raise _UnusableError(f"{key} holds no readable PEM private key") from None
    der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*der) != certificate.public_key().public_bytes(*der):
        raise _UnusableError(f"{key} is not the key of {pem} (its first certificate must be ours, the chain follows)")
    return certificate


def _date_problem(certificate: x509.Certificate) -> str | None:
    now, end = datetime.now(UTC), certificate.not_valid_after_utc
    if certificate.not_valid_before_utc > now:
        return f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if end < now:
        return f"the certificate expired on {end:%Y-%m-%d}: peers will refuse it"
    if end < now + EXPIRY_WARNING:
        return f"the certificate expires on {end:%Y-%m-%d}"
    return None
