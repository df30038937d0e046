from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sbc.errors import ConfigError
from sbc.identity.authority import TN_AUTH_LIST
from sbc.policy.credentials import signing_key
from sbc.policy.problems import PolicyErrors
from tests.unit.identity import pki
from tests.unit.identity.pki import URL
from tests.unit.policy.conftest import MINIMAL, Folder
from tests.vectors.test_passport import HERE

PKI = HERE / "pki"
LONG = 100 * 86400
FAR = 3650 * 86400
CARRIER = "trunks:\n  carrier: {realm: inside, accept_from: [10.9.0.1], media: plain, verify: tag}\n"


SIGNS = "trunks:\n  carrier: {realm: inside, peer: sip:10.9.0.1, media: plain, sign: B}\n"


def identity(**keys: object) -> str:
    return "identity: {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


def test_whose_signatures_count(folder: Folder) -> None:
    good = identity(
        roots=PKI / "root.cert.pem", revoked=PKI / "sti-pa.crl.der", revoked_by=PKI / "sti-pa-crl-issuer.cert.pem", patience="1s"
    )
    snapshot = folder.load(MINIMAL + CARRIER + good).snapshot
    assert snapshot.identity is not None
    assert snapshot.identity.patience == 1.0
    assert snapshot.trunks["carrier"].verify == "tag"
    assert folder.load(MINIMAL).snapshot.identity is None


def test_a_certificate_may_be_on_this_machine_only_where_the_policy_says_so(folder: Folder) -> None:
    root = PKI / "root.cert.pem"
    rules = folder.load(MINIMAL + identity(roots=root)).snapshot.identity
    assert rules is not None
    assert (rules.local_authority, rules.local_certificate) == (None, None)
    rules = folder.load(MINIMAL + identity(roots=root, insecure_loopback="{authority: " + str(root) + "}")).snapshot.identity
    assert rules is not None
    assert (rules.local_authority, rules.local_certificate) == (str(root), None)


def test_nobody_waits_for_long(folder: Folder) -> None:
    snapshot = folder.load(MINIMAL + identity(roots=PKI / "root.cert.pem")).snapshot
    assert snapshot.identity is not None
    assert snapshot.identity.patience == 0.5
    with pytest.raises(PolicyErrors, match="from 100ms to 2s"):
        folder.load(MINIMAL + identity(roots=PKI / "root.cert.pem", patience="30s"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CARRIER, "trunks.carrier.verify: by whose certificates? Say so under 'identity: {roots: FILE}'"),
        (CARRIER.replace("verify: tag", "verify_reasons: true"), "trunks.carrier.verify_reasons: nothing is verified of its calls"),
        (identity(roots="/none"), "identity.roots: /none: No such file or directory"),
        (identity(roots=HERE / "shaken_cases.json"), "holds no readable PEM certificate"),
        (identity(roots=PKI / "root.cert.pem", revoked=PKI / "sti-pa.crl.der"), "not signed by its issuer"),
        (identity(roots=PKI / "root.cert.pem", revoked="/none"), "identity.revoked: /none: No such file"),
        (identity(roots=PKI / "root.cert.pem", root="x"), "unknown key, did you mean 'roots'?"),
        (identity(patience="1s"), "needs 'roots' to verify calls, 'sign' to sign them, or both"),
        (SIGNS, "trunks.carrier.sign: with which key? Say so under 'identity: {sign: {certificate: NAME, url: https://…}}'"),
        (identity(sign="{certificate: stir, url: " + URL + "}", revoked="x"), "revoked is for verifying: needs 'roots'"),
        (CARRIER + identity(sign="{certificate: stir, url: " + URL + "}"), "trunks.carrier.verify: by whose certificates?"),
        (
            SIGNS + identity(sign="{certificate: stir, url: https://10.0.0.1/a}"),
            "identity.sign.url: a certificate URL that leads inside: verif",
        ),
        (SIGNS + identity(sign="{certificate: stir, url: " + URL + "}"), "identity.sign.certificate: "),
        (SIGNS + identity(sign="{certificate: stir}"), "identity.sign: needs both 'certificate' and 'url', where that is published"),
        (SIGNS + identity(sign="{}"), "needs 'certificate' and 'url' of ours, or a 'service'"),
        (SIGNS + identity(sign="{certificate: stir, service: {url: https://as}}"), "identity.sign: needs 'certificate' and 'url' of ours"),
        (SIGNS + identity(sign="{service: {url: https://as}}"), "needs 'origid', a secret"),
        (SIGNS + identity(sign="{service: {url: http://as}, origid: {env: HOME}}"), "identity.sign.service.url: write it as https://"),
        (SIGNS + identity(sign="{service: {url: https://as, ca: no}, origid: {env: HOME}}"), "identity.sign.service.ca: "),
        (
            SIGNS + identity(sign="{service: {url: https://as, token: {file: no}}, origid: {env: HOME}}"),
            "identity.sign.service.token.file: ",
        ),
        (SIGNS + identity(sign="{certificate: stir, url: " + URL + ", origid: {file: none}}"), "identity.sign.origid.file: "),
        (identity(roots=PKI / "root.cert.pem", patience="soon"), "identity.patience"),
        (identity(roots=PKI / "root.cert.pem", insecure_loopback="{}"), "identity.insecure_loopback: needs 'authority'"),
        (identity(insecure_loopback="{authority: x}"), "needs 'roots' to verify calls, 'sign' to sign them, or both"),
        (
            identity(roots=PKI / "root.cert.pem", insecure_loopback="{authority: none.pem}"),
            "identity.insecure_loopback.authority: ",
        ),
        (
            identity(roots=PKI / "root.cert.pem", insecure_loopback="{authority: none.pem, certificate: edge}"),
            "identity.insecure_loopback.certificate: is for what we serve ourselves: needs 'sign: {certificate: NAME, url: ",
        ),
        (
            identity(sign="{certificate: stir, url: " + URL + "}", insecure_loopback="{authority: none.pem, certificate: edge}"),
            "identity.insecure_loopback.certificate: is for what we serve ourselves",
        ),
        (
            identity(
                sign="{certificate: stir, url: 'https://localhost/a'}", insecure_loopback="{authority: none.pem, certificate: missing}"
            ),
            "missing.pem",
        ),
    ],
)
def test_what_is_wrong_is_said(folder: Folder, text: str, says: str) -> None:
    with pytest.raises(PolicyErrors) as errors:
        folder.load(MINIMAL + text)
    assert says in str(errors.value)


def test_a_list_that_is_out_of_date_is_a_warning(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pki.pem((root := pki.Authority()).certificate))
    (tmp_path / "old.crl").write_bytes(root.revoked(ends=-10 * 365 * 86400))
    loaded = folder.load(MINIMAL + identity(roots=tmp_path / "root.pem", revoked=tmp_path / "old.crl"))
    assert any("out of date" in str(warning) for warning in loaded.warnings)


def test_an_authority_at_its_end_is_a_warning(folder: Folder, tmp_path: Path) -> None:
    """Its calls are not believed any more; where the policy insists on proofs that is all of them."""
    good = pki.Authority(ends=FAR)
    ended = good.issue(ec.generate_private_key(ec.SECP256R1()), "ended", ca=True, begins=-2 * LONG, ends=-LONG)
    (tmp_path / "roots.pem").write_bytes(pki.pem(good.certificate, ended))
    loaded = folder.load(MINIMAL + identity(roots=tmp_path / "roots.pem"))
    (warning,) = [str(each) for each in loaded.warnings if "identity" in str(each)]
    assert "identity.roots: CN=ended expired on 20" in warning


# Our own certificate


def ours(folder: Folder, *, numbers: bytes = pki.SPC, ends: int = 40 * 86400, key: ec.EllipticCurvePrivateKey | None = None) -> None:
    """stir.pem and stir.key beside the policy, of an authority that has its certificate in roots.pem there; valid today."""
    now = int(time.time()) - pki.NOW
    root, private = pki.Authority(ends=now + LONG), key or ec.generate_private_key(ec.SECP256R1())
    extensions = ((TN_AUTH_LIST, numbers, False),) if numbers else ()
    leaf = root.issue(private, "SHAKEN 1234", extensions=extensions, begins=now - LONG, ends=now + ends)
    certs = folder.path.parent / "certs"
    certs.mkdir(exist_ok=True)
    (certs / "roots.pem").write_bytes(pki.pem(root.certificate))
    (certs / "stir.pem").write_bytes(pki.pem(leaf))
    (certs / "stir.key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (certs / "stir.key").chmod(0o600)


OURS = SIGNS + "identity: {roots: ../certs/roots.pem, sign: {certificate: stir, url: " + URL + "}}\n"


def test_STI_12_how_we_sign(folder: Folder) -> None:
    ours(folder)
    loaded = folder.load(MINIMAL + OURS)
    rules = loaded.snapshot.identity
    assert rules is not None
    assert rules.sign is not None
    assert (rules.sign.url, rules.sign.secret) == (URL, "")
    assert rules.sign.certificate.key.endswith("/certs/stir.key")
    assert loaded.snapshot.trunks["carrier"].sign == "B"
    assert not [each for each in loaded.warnings if "identity" in str(each)]
    key = signing_key(rules.sign)
    assert key.url == URL
    assert "PrivateKey" not in repr(key)
    Path(rules.sign.certificate.key).unlink()
    with pytest.raises(ConfigError, match=r"stir\.key"):
        signing_key(rules.sign)


def test_STI_12_a_certificate_that_cannot_sign_is_an_error(folder: Folder) -> None:
    ours(folder, numbers=b"")
    with pytest.raises(PolicyErrors, match="has no TNAuthList"):
        folder.load(MINIMAL + OURS)
    ours(folder, key=ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(PolicyErrors, match="not of a P-256 key"):
        folder.load(MINIMAL + OURS)
    ours(folder)
    (folder.path.parent / "certs" / "stir.pem").write_bytes(pki.pem(pki.Authority().certificate))
    with pytest.raises(PolicyErrors, match="is not the key of"):
        folder.load(MINIMAL + OURS)


@pytest.mark.parametrize(("days", "says"), [(29, "expires on"), (-1, "expired on")])
def test_STI_12_a_certificate_at_its_end_is_a_warning(folder: Folder, days: int, says: str) -> None:
    ours(folder, ends=days * 86400 + 60)
    (warning,) = [str(each) for each in folder.load(MINIMAL + OURS).warnings if "identity" in str(each)]
    assert says in warning


def test_STI_12_a_certificate_that_nobody_would_believe_is_a_warning(folder: Folder) -> None:
    ours(folder)
    (folder.path.parent / "certs" / "roots.pem").write_bytes(pki.pem(pki.Authority(ends=FAR).certificate))
    (warning,) = [str(each) for each in folder.load(MINIMAL + OURS).warnings if "identity" in str(each)]
    assert "would not be believed" in warning


def test_STI_06_somebody_else_signs(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORIGID", "what it is worked out from")
    service = "{url: 'https://as.example/stir/v1/signing', timeout: 300ms, token: {env: ORIGID}}"
    rules = folder.load(MINIMAL + SIGNS + identity(sign="{service: " + service + ", origid: {env: ORIGID}}")).snapshot.identity
    assert rules is not None
    assert rules.sign is None
    assert rules.service is not None
    assert (rules.service.url, rules.service.timeout, rules.service.ca) == ("https://as.example/stir/v1/signing", 0.3, None)
    assert "worked out" not in repr(rules)
