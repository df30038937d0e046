"""What is in the files that a policy refers to: told apart, and not told."""

from __future__ import annotations

import os
from pathlib import Path

from sbc.policy.contents import Contents, contents_of, references, seal
from sbc.policy.diff import Change, changes_of_contents
from sbc.policy.load import read_policy
from sbc.policy.text import Text

KEY, OTHER_KEY = b"k" * 16, b"o" * 16
POLICY = """\
version: 1
realms:
  outside: {signalling: [tls://127.0.0.1], relay: {address: 127.0.0.1, ports: 21000-21099}, certificate: [edge, old], client_ca: ca.pem}
trunks:
  office: {realm: outside, media: plain, accepts_registration: {user: office, password: {file: certs/office.secret}}}
  carrier: {realm: outside, peer: "sip:192.0.2.1", media: plain, certificate: own, credentials: {user: us, password: {env: NOT_A_FILE}}}
users:
  alice: {realm: outside, media: plain, password: {file: ../alice.secret}}
blocks:
  never: {file: dno.txt}
identity:
  {roots: roots.pem, revoked: crl.pem, revoked_by: crl-ca.pem, sign: {certificate: stir, url: "https://cr.example/stir.cer"},
  insecure_loopback: {authority: ca.pem, certificate: local}}
media: {plain: {srtp: off, codecs: [PCMA]}}
emergency: {outside: none}
"""


def read(tmp_path: Path, text: str = POLICY) -> Contents:
    return contents_of(read_policy(Text(tmp_path, {"sbc.yaml": text.encode()}))[1], tmp_path / "policies", tmp_path / "certs")


def written(tmp_path: Path) -> None:
    for folder in ("policies", "policies/certs", "certs"):
        (tmp_path / folder).mkdir()
    for file in ("policies/certs/office.secret", "alice.secret", "policies/dno.txt", "certs/edge.pem", "certs/edge.key"):
        (tmp_path / file).write_text(f"of {file}")


def test_each_file_that_is_named_is_looked_at(tmp_path: Path) -> None:
    _, policy = read_policy(Text(tmp_path, {"sbc.yaml": POLICY.encode()}))
    assert {".".join(map(str, path)): file for path, file in references(policy) if not file.endswith(".key")} == {
        "users.alice.password": "../alice.secret",
        "trunks.office.accepts_registration.password": "./certs/office.secret",
        "realms.outside.certificate": "certs/old.pem",
        "trunks.carrier.certificate": "certs/own.pem",
        "identity.sign.certificate": "certs/stir.pem",
        "identity.insecure_loopback.certificate": "certs/local.pem",
        "realms.outside.client_ca": "ca.pem",
        "blocks.never.file": "dno.txt",
        "identity.roots": "roots.pem",
        "identity.revoked": "crl.pem",
        "identity.revoked_by": "crl-ca.pem",
        "identity.insecure_loopback.authority": "ca.pem",
    }
    written(tmp_path)
    found = read(tmp_path)
    assert list(found.digests) == ["../alice.secret", "./certs/office.secret", "certs/edge.pem", "certs/edge.key", "dno.txt"]
    assert {os.path.normpath(each) for each in found.places()} >= {str(tmp_path / "alice.secret"), str(tmp_path / "certs" / "old.key")}


def test_what_has_changed_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    before = read(tmp_path)
    assert before.anew() == before
    (tmp_path / "alice.secret").write_text("another")
    (tmp_path / "certs" / "own.pem").write_text("new")
    after = before.anew()
    assert after != before
    assert before.others_in(after) == ["../alice.secret"]


def test_what_leaves_the_process_says_nothing_without_the_key(tmp_path: Path) -> None:
    written(tmp_path)
    found = read(tmp_path)
    mine, others = found.sealed(KEY), found.sealed(OTHER_KEY)
    assert mine == found.anew().sealed(KEY)
    assert not set(mine.values()) & set(others.values())
    assert not set(mine.values()) & {each.hex() for each in found.digests.values()}
    assert seal(mine) == seal(dict(reversed(mine.items()))) != seal(others)
    assert seal({}) == ""


def test_differences_name_the_place_and_the_file_and_nothing_else(tmp_path: Path) -> None:
    written(tmp_path)
    policy = read_policy(Text(tmp_path, {"sbc.yaml": POLICY.encode()}))
    were = read(tmp_path).sealed(KEY)
    for file in ("policies/certs/office.secret", "certs/edge.pem", "policies/dno.txt"):
        (tmp_path / file).write_text("hunter2")
    found = changes_of_contents(policy, policy, were, read(tmp_path).sealed(KEY))
    assert [(".".join(each.path), each.after, each.effect, each.place.line) for each in found] == [
        ("trunks.office.accepts_registration.password", "./certs/office.secret", "live", 5),
        ("realms.outside.certificate", "certs/edge.pem", "live", 3),
        ("blocks.never.file", "dno.txt", "new calls only", 10),
    ]
    assert all(each.kind == "contents" and not each.before for each in found)
    assert "hunter2" not in repr(found)


def test_another_file_is_a_change_of_the_policy_and_of_no_contents(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "bob.secret").write_text("of bob")
    texts = [POLICY, POLICY.replace("alice.secret", "bob.secret")]
    before, after = [read_policy(Text(tmp_path, {"sbc.yaml": text.encode()})) for text in texts]
    none: tuple[Change, ...] = ()
    assert changes_of_contents(before, after, read(tmp_path, texts[0]).sealed(KEY), read(tmp_path, texts[1]).sealed(KEY)) == none
