"""Accounts of ours at carriers, as the policy has them."""

from __future__ import annotations

import pytest

from sbc.policy.snapshot import Credentials
from tests.unit.policy.conftest import MINIMAL, Folder

PASSWORD = "password: {env: SBC_TEST_SECRET}"
TLS = MINIMAL.replace("udp://127.0.0.2:5060]", "tls://127.0.0.2:5061], certificate: edge")


def trunk(keys: str, text: str = MINIMAL, name: str = "t") -> str:
    return f"{text}trunks:\n  {name}: {{realm: inside, media: plain, {keys}}}\n"


def account(keys: str = "registrar: sip:reg.example, user: 4930123", more: str = "") -> str:
    return f"register_to: {{{keys}, {PASSWORD}}}{more}"


def test_an_account_and_what_follows_from_it(folder: Folder) -> None:
    loaded = folder.load(trunk(account()))
    found = loaded.snapshot.trunks["t"]
    to = found.register_to
    assert to is not None
    assert (to.user, to.domain, to.port, to.expires, to.needed, to.is_way) == ("4930123", "reg.example", None, 600, True, True)
    assert to.credentials == found.credentials == Credentials("4930123", "geheim")
    assert found.peer == to.registrar
    assert found.servers == (to.registrar,)
    assert "geheim" not in repr(found)
    assert loaded.warnings == ()


def test_every_key_of_an_account(folder: Folder) -> None:
    keys = "registrar: 'sip:192.0.2.1:5070', user: a.b, auth_user: a@b, domain: Ims.Example, expires: 1h, from_header: account"
    keys += ", needed_for_calls: false"
    found = folder.load(trunk(account(keys, ", peer: 'sip:192.0.2.9', credentials: {user: u, password: {env: SBC_TEST_SECRET}}")))
    t = found.snapshot.trunks["t"]
    to = t.register_to
    assert to is not None
    assert (to.domain, to.port, to.expires, to.needed, to.in_from, to.is_way) == ("ims.example", None, 3600, False, True, False)
    assert (to.credentials.user, t.credentials) == ("a@b", Credentials("u", "geheim"))
    assert [server.host for server in t.servers] == ["192.0.2.9", "192.0.2.1"]


def test_an_address_with_a_port_is_the_domain_with_it(folder: Folder) -> None:
    to = folder.load(trunk(account("registrar: 'sip:192.0.2.1:5070', user: a"))).snapshot.trunks["t"].register_to
    assert to is not None
    assert (to.domain, to.port) == ("192.0.2.1", 5070)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("register_to: {user: a, %p}", "trunks.t.register_to: needs 'registrar'"),
        ("register_to: {registrar: sip:r, %p}", "trunks.t.register_to: needs 'user'"),
        ("register_to: {registrar: sip:r, user: a}", "trunks.t.register_to: needs 'password'"),
        ("register_to: {registrar: sip:r, user: a, password: geheim}", "register_to.password: a secret is never written in a policy"),
        (
            "register_to: {registrar: sip:r, user: a, password: {env: NOPE}}",
            "register_to.password.env: environment variable 'NOPE' is not set",
        ),
        ("register_to: {registrar: r.example, user: a, %p}", "trunks.t.register_to.registrar: "),
        ("register_to: {registrar: sip:u@r, user: a, %p}", "trunks.t.register_to.registrar: a peer is a host without user"),
        ("register_to: {registrar: sip:r, user: a@r, %p}", "trunks.t.register_to.user: an account has at most 64 letters, digits"),
        ("register_to: {registrar: sip:r, user: 'a;b', %p}", "the domain goes into 'domain'"),
        ("register_to: {registrar: sip:r, user: a, auth_user: 'a b', %p}", "auth_user: a user name has at most 128 printable"),
        ("register_to: {registrar: sip:r, user: a, expires: 30s, %p}", "trunks.t.register_to.expires: must be at least 60"),
        ("register_to: {registrar: sip:r, user: a, expires: 2d, %p}", "trunks.t.register_to.expires: "),
        ("register_to: {registrar: sip:r, user: a, domain: 'a b', %p}", "trunks.t.register_to.domain: 'a b' is neither a host name"),
        ("register_to: {registrar: sip:r, user: a, domian: x, %p}", "trunks.t.register_to.domian: unknown key, did you mean 'domain'?"),
        ("register_to: {registrar: sip:r, user: a, from_header: user, %p}", "from_header: must be 'caller' or 'account'"),
        ("register_to: {registrar: sip:r, user: a, needed_for_calls: no, %p}", "needed_for_calls: must be true or false"),
        ("register_to: {registrar: 'sip:r;transport=tls', user: a, %p}", "register_to.registrar: realm 'inside' has no tls:// listener"),
        ("register_to: {registrar: sip:127.0.0.2, user: a, %p}", "register_to.registrar: is our own listener"),
        (
            "register_to: {registrar: sip:r, user: a, %p}, accepts_registration: {user: x, %p}",
            "trunks.t.register_to: it registers at us (accepts_registration) or we register there: remove one",
        ),
        ("credentials: {user: x, %p}", "trunks.t.credentials: is for calls to a 'peer', and this trunk has none"),
        ("peer: sip:x, credentials: {user: x}", "trunks.t.credentials: needs 'password'"),
        ("certificate: edge, register_to: {registrar: 'sip:r:5060', user: a, %p}", "trunks.t.certificate: is for connections to a 'peer'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(folder: Folder, keys: str, expected: str) -> None:
    errors = folder.errors(trunk(keys.replace("%p", PASSWORD)))
    assert len(errors) == 1, errors
    assert errors[0].startswith("a.yaml:8:")
    assert expected in errors[0]


def test_an_account_is_registered_by_one_trunk(folder: Folder) -> None:
    text = (
        trunk(account())
        + f"  u: {{realm: inside, media: plain, {account('registrar: sip:192.0.2.1, domain: reg.example, user: 4930123')}}}\n"
    )
    assert folder.errors(text) == ["a.yaml:9:103: trunks.u.register_to.user: '4930123' is registered by trunk 't' already at a.yaml:8"]


def test_certificates_for_connections_that_are_shared(folder: Folder) -> None:
    registrar = "registrar: 'sip:reg.example;transport=tls', user: "
    text = (
        trunk(account(f"{registrar}a", ", certificate: edge"), TLS) + f"  u: {{realm: inside, media: plain, {account(f'{registrar}b')}}}\n"
    )
    (error,) = folder.errors(text)
    assert "trunks.u.register_to: connections to reg.example are shared with trunk 't', which has other certificate rules" in error


def test_a_trunk_with_an_account_can_be_called_and_calls(folder: Folder) -> None:
    route = 'routes: [{name: r, when: {trunk: t, to: "*"}, send_to: [t]}]\n'
    assert folder.warnings(trunk(account()) + route) == []
