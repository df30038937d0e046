"""The files behind `identity:`: whose signatures count, and ours as those will look at it who verify."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sbc.errors import ConfigError, SipError
from sbc.identity.authority import authority
from sbc.identity.credential import Trust, credential, read_revoked
from sbc.identity.sign import Key
from sbc.policy.checking.checker import Policy
from sbc.policy.document import Document
from sbc.policy.material import MAX_PEM_OCTETS, Unusable, certificates, contents, date_problem, key_pair
from sbc.policy.model import ServiceModel
from sbc.policy.problems import Problem
from sbc.policy.snapshot import SigningRules

LOCAL = "localhost"  # the one name that is this machine everywhere (RFC 6761 s6.3)


def check_authorities(document: Document, policy: Policy, folder: Path, problems: list[Problem], warnings: list[Problem]) -> None:
    """Whose signatures count: each file can be read, and what was revoked was so by one of them."""
    identity = policy.identity
    if identity is None or identity.roots is None:
        return

    def note(key: str, what: str, into: list[Problem]) -> None:
        path = document.trim(("identity", key))
        into.append(Problem(document.place(path), path, what))

    def read(key: str, file: str) -> list[x509.Certificate]:
        try:
            return certificates(folder / file)
        except Unusable as error:
            note(key, str(error), problems)
            return []

    issuers = read("roots", identity.roots)
    for ended in [each for each in issuers if each.not_valid_after_utc < datetime.now(UTC)]:
        name, when = ended.subject.rfc4514_string(), f"{ended.not_valid_after_utc:%Y-%m-%d}"
        note("roots", f"{name} expired on {when}: whoever it stands for is not believed", warnings)
    if identity.revoked_by is not None:
        issuers = read("revoked_by", identity.revoked_by)
    if identity.revoked is None or not issuers:
        return
    revoked = folder / identity.revoked
    try:
        _, late = read_revoked(contents(revoked, MAX_PEM_OCTETS)[0], issuers, datetime.now(UTC).timestamp())
    except Unusable as error:
        note("revoked", str(error), problems)
    except ValueError as error:
        note("revoked", f"{revoked}: no list of revoked certificates that counts: {error}", problems)
    else:
        if late:
            note("revoked", "is out of date: whose certificate was revoked since then is still believed", warnings)


def check_signer(document: Document, policy: Policy, folder: Path, certs: Path, problems: list[Problem], warnings: list[Problem]) -> None:
    """Our certificate fits its key and can sign; those who verify would believe it today."""
    identity = policy.identity
    if identity is None or identity.sign is None:
        return
    if identity.sign.service is not None:
        _check_service(document, identity.sign.service, folder, problems)
        return
    path = document.trim(("identity", "sign", "certificate"))
    pem = certs / f"{identity.sign.certificate}.pem"

    def note(what: str, into: list[Problem]) -> None:
        into.append(Problem(document.place(path), path, what))

    try:
        ours = key_pair(pem, pem.with_suffix(".key"))
        chain = certificates(pem)
    except Unusable as error:
        note(str(error), problems)
        return
    if not isinstance(key := ours.public_key(), EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        note(f"{pem} is not of a P-256 key, which is what calls are signed with (ES256)", problems)
        return
    if what := date_problem(ours):
        note(what, warnings)
    try:
        if authority(ours) is None:
            note(f"{pem} has no TNAuthList, which says for whose numbers it is: no verifier takes it", problems)
        elif identity.roots is not None and not what:
            credential(chain, Trust(tuple(certificates(folder / identity.roots))), datetime.now(UTC).timestamp())
    except SipError as error:
        note(f"{pem} would not be believed by whoever trusts our own 'roots' alone: {error}", warnings)
    except Unusable:  # has been said of the roots
        pass


def _check_service(document: Document, service: ServiceModel, folder: Path, problems: list[Problem]) -> None:
    if service.ca is not None:
        try:
            certificates(folder / service.ca)
        except Unusable as error:
            path = ("identity", "sign", "service", "ca")
            problems.append(Problem(document.place(path), path, str(error)))


def check_loopback(document: Document, policy: Policy, folder: Path, certs: Path, problems: list[Problem]) -> None:
    """What is fetched from this machine itself, and served on it, can be."""
    identity = policy.identity
    if identity is None or identity.insecure_loopback is None:
        return
    local = identity.insecure_loopback

    def note(key: str, what: str) -> None:
        path = ("identity", "insecure_loopback", key)
        problems.append(Problem(document.place(path), path, what))

    try:
        certificates(folder / local.authority)
    except Unusable as error:
        note("authority", str(error))
    if local.certificate is None:
        return
    url = identity.sign.url if identity.sign is not None else None
    if url is None or urlsplit(url).hostname != LOCAL:
        note("certificate", f"is for what we serve ourselves: needs 'sign: {{certificate: NAME, url: \"https://{LOCAL}:8443/NAME.pem\"}}'")
    try:
        key_pair(pem := certs / f"{local.certificate}.pem", pem.with_suffix(".key"))
    except Unusable as error:
        note("certificate", str(error))


def signing_key(rules: SigningRules) -> Key:
    """What `check_signer` has looked at. ConfigError: it is not there any more."""
    try:
        private = load_pem_private_key(Path(rules.certificate.key).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(Path(rules.certificate.certificate).read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"identity: sign: {rules.certificate.key}: {error}") from error
    if not isinstance(private, EllipticCurvePrivateKey) or private.public_key() != certificate.public_key():
        raise ConfigError(f"identity: sign: {rules.certificate.key} is not the key of {rules.certificate.certificate}")
    return Key(private, rules.url, certificate.not_valid_after_utc.timestamp())
