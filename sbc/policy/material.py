"""The files a policy refers to: secrets and certificates. Reading and checking them is the only I/O besides the policy itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sbc.policy.checking.checker import Policy
from sbc.policy.document import Document
from sbc.policy.model import SecretModel
from sbc.policy.problems import Path as Keys
from sbc.policy.problems import Problem

MAX_SECRET_OCTETS = 1024  # longer than any password a PBX takes; a mistaken path to something else is noticed
MAX_PEM_OCTETS = 4 * 1024 * 1024  # the authorities of a whole operating system fit
EXPIRY_WARNING = timedelta(days=30)

Secrets = Mapping[Keys, str]


class Unusable(Exception):
    """The text completes "NAME …" and never contains what the file contains."""


def kept_in(secret: SecretModel, folder: Path) -> str:
    """Where it is, for people."""
    return f"environment variable {secret.env}" if secret.env is not None else os.path.normpath(folder / (secret.file or ""))


def secrets_of(policy: Policy) -> dict[Keys, SecretModel]:
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
    sign = policy.identity.sign if policy.identity is not None else None
    if sign is not None and sign.origid is not None:
        wanted["identity", "sign", "origid"] = sign.origid
    if sign is not None and sign.service is not None and sign.service.token is not None:
        wanted["identity", "sign", "service", "token"] = sign.service.token
    return wanted


def read_secrets(document: Document, policy: Policy, folder: Path, problems: list[Problem]) -> Secrets:
    secrets: dict[Keys, str] = {}
    for path, secret in secrets_of(policy).items():
        try:
            secrets[path] = _secret(secret, folder)
        except Unusable as error:
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
            read = key_pair(certs / f"{certificate}.pem", certs / f"{certificate}.key")
        except Unusable as error:
            problems.append(Problem(document.place(path), path, str(error)))
        else:
            if what := date_problem(read):
                warnings.append(Problem(document.place(path), path, what))
    for name, realm in policy.realms.items():
        if realm.client_ca is not None:
            path = ("realms", name, "client_ca")
            try:
                certificates(folder / realm.client_ca)
            except Unusable as error:
                problems.append(Problem(document.place(path), path, str(error)))


def _secret(secret: SecretModel, folder: Path) -> str:
    if secret.env is not None:
        text = os.environ.get(secret.env)
        if text is None:
            raise Unusable(f"environment variable {secret.env!r} is not set")
        where = f"environment variable {secret.env!r}"
    else:
        assert secret.file is not None
        file = folder / secret.file
        where = str(file)
        try:
            text = _private(file, MAX_SECRET_OCTETS).decode()
        except UnicodeDecodeError:
            raise Unusable(f"{where} is not UTF-8") from None
        text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise Unusable(f"{where} is empty")
    if not text.isprintable():
        raise Unusable(f"{where} must be one line of printable text")
    return text


def _private(file: Path, limit: int) -> bytes:
    """Contents of a file that only its owner and group may read."""
    data, mode = contents(file, limit)
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise Unusable(f"{file} is open to every user of this machine: chmod 600 {file}")
    return data


def contents(file: Path, limit: int) -> tuple[bytes, int]:
    try:
        with file.open("rb") as opened:
            info = os.fstat(opened.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise Unusable(f"{file} is not a file")
            data = opened.read(limit + 1)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}") from None
    if len(data) > limit:
        raise Unusable(f"{file} is longer than {limit} octets")
    return data, info.st_mode


def certificates(file: Path) -> list[x509.Certificate]:
    data, _ = contents(file, MAX_PEM_OCTETS)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise Unusable(f"{file} holds no readable PEM certificate") from None


def key_pair(pem: Path, key: Path) -> x509.Certificate:
    certificate = certificates(pem)[0]
    try:
        private = load_pem_private_key(_private(key, MAX_PEM_OCTETS), None)
    except TypeError:
        raise Unusable(f"{key} is protected by a passphrase, which nobody could type at a restart") from None
    except ValueError:
        raise Unusable(f"{key} holds no readable PEM private key") from None
    der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*der) != certificate.public_key().public_bytes(*der):
        raise Unusable(f"{key} is not the key of {pem} (its first certificate must be ours, the chain follows)")
    return certificate


def date_problem(certificate: x509.Certificate) -> str | None:
    now, end = datetime.now(UTC), certificate.not_valid_after_utc
    if certificate.not_valid_before_utc > now:
        return f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if end < now:
        return f"the certificate expired on {end:%Y-%m-%d}: peers will refuse it"
    if end < now + EXPIRY_WARNING:
        return f"the certificate expires on {end:%Y-%m-%d}"
    return None
