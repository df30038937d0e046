"""Trunks that prove with a password who they are, and addresses that several of them share."""

from __future__ import annotations

import pytest

from sbc.flow import Flow
from sbc.policy.decide import account, is_at, password, trunk_at, trunks_from
from sbc.policy.snapshot import Credentials
from tests.unit.policy.conftest import MINIMAL, Folder

SECRET = "password: {env: SBC_TEST_SECRET}"


def trunks(**keys: str) -> str:
    return MINIMAL + "trunks:\n" + "".join(f"  {name}: {{realm: inside, media: plain, {text}}}\n" for name, text in keys.items())


def with_account(user: str, networks: str = "[10.0.0.0/24]") -> str:
    return f"accept_from: {networks}, authenticates: {{user: {user}, {SECRET}}}"


def test_AUTH_08_a_shared_address_is_several_trunks(folder: Folder) -> None:
    text = trunks(a=with_account("a"), b=with_account("b"), c="accept_from: [10.0.0.7]", d=with_account("1234", "[10.0.1.0/24]"))
    snapshot = folder.load(text).snapshot
    assert [trunks_from(snapshot, "inside", source) for source in ("10.0.0.1", "10.0.0.7", "10.0.1.1", "10.0.2.1")] == [
        ("a", "b"), ("c",), ("d",), (),
    ]  # fmt: skip
    flow = Flow("inside", "UDP", ("127.0.0.2", 5060), ("10.0.0.1", 5060))
    assert [is_at(snapshot, name, flow) for name in "abcd"] == [True, True, False, False]
    found = trunk_at(snapshot, flow)
    assert found is not None
    assert found.name == "a"
    assert account(snapshot, "inside", "1234") is snapshot.trunks["d"]
    assert (password(snapshot, "inside", "a"), password(snapshot, "outside", "a")) == ("geheim", None)
    assert snapshot.trunks["a"].authenticates == Credentials("a", "geheim")
    assert "geheim" not in repr(snapshot)
    assert (snapshot.realms["inside"].has_digest_users, snapshot.realms["outside"].has_digest_users) == (True, False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (trunks(a="accept_from: [10.0.0.1]", b="accept_from: [10.0.0.1/32]"), "give both of them 'authenticates'; of nested networks"),
        (
            trunks(a="accept_from: [10.0.0.0/24]", b=with_account("b")),
            "trunks.b.accept_from.0: 10.0.0.0/24 is already trunk 'a' at a.yaml:8",
        ),
        (trunks(a=with_account("a"), b="accept_from: ['::ffff:10.0.0.0/120']"), "10.0.0.0/24 is already trunk 'a' at a.yaml:8"),
        (trunks(a="accept_from: [10.0.0.1, 10.0.0.1]"), "trunks.a.accept_from.1: 10.0.0.1/32 is already in this list"),
        (trunks(a=with_account("x"), b=with_account("x")), "trunks.b.authenticates.user: 'x' is already an account of realm 'inside' at"),
        (
            trunks(a=with_account("x"), b=f"accepts_registration: {{user: x, {SECRET}}}"),
            "trunks.b.accepts_registration.user: 'x' is already an account of realm 'inside' at a.yaml:8",
        ),
        (
            trunks(a=f"{with_account('a')}, accepts_registration: {{user: b, {SECRET}}}"),
            "trunks.a.authenticates: 'accepts_registration' has an account that proves it",
        ),
        (trunks(a="authenticates: {user: a}"), "trunks.a.authenticates: needs 'password'"),
        (trunks(a="authenticates: {user: a, password: geheim}"), "a secret is never written in a policy"),
        (trunks(a="authenticates: {user: a, password: {env: NOT_THERE}}"), "trunks.a.authenticates.password.env"),
        (trunks(a="authenticates: {user: a, register_at: b}"), "trunks.a.authenticates.register_at: unknown key"),
    ],
)
def test_AUTH_08_what_may_not_be_written(folder: Folder, text: str, problem: str) -> None:
    assert problem in "\n".join(folder.errors(text))


def test_a_trunk_that_authenticates_may_call(folder: Folder) -> None:
    route = 'routes: [{name: r, when: {trunk: a, to: "*"}, send_to: [b]}]\n'
    assert folder.warnings(trunks(a=f"authenticates: {{user: a, {SECRET}}}", b="peer: sip:10.0.0.1") + route) == []
