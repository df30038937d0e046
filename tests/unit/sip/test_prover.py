"""What a client says to challenges: once to each, with a count that rises, and never twice to one that did not believe it."""

from __future__ import annotations

from sbc.sip.fields.auth import Credentials
from sbc.sip.message import Response
from sbc.sip.prover import MAX_REALMS, MAX_ROUNDS, Prover
from tests.unit.sip.peer import request, response


def prover() -> Prover:
    return Prover("bob", "secret", lambda size: bytes(size))


def challenged(*rows: str, name: str = "WWW-Authenticate") -> Response:
    return response(request("REGISTER"), 401, "t", *((name, row) for row in rows))


def digest(realm: str = "r", nonce: str = "n", more: str = "") -> str:
    return f'Digest realm="{realm}", nonce="{nonce}", qop="auth"{more}'


def shown(it: Prover) -> list[tuple[str, str, str, str]]:
    """Header, realm, nonce and count of each."""
    found = []
    for name, value in it.rows("REGISTER", "sip:r"):
        params = Credentials.parse(value).params
        found.append((str(name).lower(), params["realm"], params["nonce"], params["nc"]))
    return found


def test_nothing_is_said_before_anybody_asks() -> None:
    assert shown(prover()) == []


def test_AUTH_04_the_count_rises_with_each_request_and_begins_anew_with_a_nonce() -> None:
    it = prover()
    assert it.learn(challenged(digest()))
    assert shown(it) == [("authorization", "r", "n", "00000001")]
    assert shown(it) == [("authorization", "r", "n", "00000002")]
    it.begin()
    assert it.learn(challenged(digest(nonce="m")))
    assert shown(it) == [("authorization", "r", "m", "00000001")]


def test_AUTH_06_a_nonce_is_answered_once_unless_it_was_stale() -> None:
    it = prover()
    assert it.learn(challenged(digest()))
    assert it.learn(challenged(digest(nonce="m", more=", stale=TRUE")))
    assert not it.learn(challenged(digest(nonce="o")))
    it.begin()
    assert it.learn(challenged(digest(nonce="p"))), "of another request it may just be too old"
    assert not it.learn(challenged(digest(nonce="p")))


def test_a_proxy_and_a_server_one_after_the_other() -> None:
    it = prover()
    assert it.learn(challenged(digest("edge"), name="Proxy-Authenticate"))
    assert it.learn(challenged(digest("home")))
    assert [row[:2] for row in shown(it)] == [("proxy-authorization", "edge"), ("authorization", "home")]
    assert not it.learn(challenged(digest("edge", "n2"), name="Proxy-Authenticate"))


def test_AUTH_02_of_several_algorithms_the_topmost_known() -> None:
    it = prover()
    assert it.learn(challenged(digest(nonce="x", more=", algorithm=NEW"), digest(nonce="a", more=", algorithm=SHA-256"), digest(nonce="b")))
    assert [row[2] for row in shown(it)] == ["a"]


def test_what_cannot_be_answered() -> None:
    for row in (
        'Basic realm="x"',
        "Digest",
        "Digest realm",
        'Digest realm="r"',
        digest(more=", algorithm=NEW"),
        'Digest realm="r", nonce="n", qop="x"',
    ):
        assert not prover().learn(challenged(row)), row
    assert not prover().learn(challenged())


def test_how_much_is_remembered_is_bounded() -> None:
    it = prover()
    assert it.learn(challenged(*(digest(f"r{count}") for count in range(50))))
    assert len(shown(it)) == MAX_REALMS
    for count in range(100):
        it.begin()
        it.learn(challenged(digest(f"other{count}")))
        assert len(shown(it)) <= 2 * MAX_REALMS + 1


def test_rounds_are_bounded_however_stale_they_are() -> None:
    it = prover()
    rounds = [it.learn(challenged(digest(nonce=f"n{count}", more=", stale=true"))) for count in range(10)]
    assert rounds == [True] * MAX_ROUNDS + [False] * (10 - MAX_ROUNDS)


def test_the_same_request_again() -> None:
    it = prover()
    it.learn(challenged(digest()))
    first = request("INVITE", "z9hG4bK-1", "Authorization: old", "X: y", "Subject: s")
    again = it.again(first, 7, "z9hG4bK-2")
    assert (again.cseq.number, again.cseq.method, again.via.branch) == (7, "INVITE", "z9hG4bK-2")
    assert again.headers.first("CSeq") == "7 INVITE"
    assert "z9hG4bK-2" in (again.headers.first("Via") or "")
    assert len(again.headers.all("Authorization")) == 1
    assert (again.headers.first("Subject"), again.call_id, again.from_, again.uri) == ("s", first.call_id, first.from_, first.uri)
    assert first.cseq.number == 1, "the first one stays what it was: its refusal is acknowledged with it"
    assert first.headers.first("CSeq") == "1 INVITE"
