from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sbc.sip.digest as module
from sbc.clock import Now
from sbc.errors import ParseError
from sbc.sip.digest import (
    CNONCE_LENGTH,
    KNOWN_ALGORITHMS,
    NEVER_CHALLENGED,
    NONCE_LIFE,
    NONCES_KEPT,
    REPLAY_WINDOW,
    DigestRealm,
    Failed,
    NonceCounts,
    Verified,
    answer,
    choose,
    response_digest,
    user_hash,
)
from sbc.sip.fields.auth import Challenge, Credentials
from sbc.sip.uri import Uri

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "digest" / "digest_vectors.json").read_text())
START = Now(100.0, 1_700_000_000.0)
SOURCE = "192.0.2.7"
URI = "sip:sbc.example.com"
SECRET = b"0123456789abcdef"
PASSWORDS = {"alice": "s3cr3t", "bob": "other"}


def later(seconds: float) -> Now:
    return Now(START.monotonic + seconds, START.wall + seconds)


class Client:
    """Challenged once, then answers as often as it is asked to."""

    def __init__(self, realm: DigestRealm, user: str = "alice", password: str = "s3cr3t", now: Now = START) -> None:
        self.realm = realm
        self.user = user
        self.password = password
        self.challenges = [Challenge.parse(row) for row in realm.challenge(SOURCE, now)]

    def credentials(self, nc: int = 1, cnonce: str = "c", uri: str = URI, body: bytes = b"", **changed: str) -> Credentials:
        value = Credentials.parse(answer(self.challenges, self.user, self.password, "REGISTER", uri, nc, cnonce, body))
        return Credentials(value.scheme, {**value.params, **changed})

    def try_(self, nc: int = 1, now: Now = START, source: str = SOURCE, cnonce: str = "c", **changed: str) -> Verified | Failed:
        return self.check(self.credentials(nc, cnonce, body=b"", **changed), now, source)

    def check(
        self, credentials: Credentials, now: Now = START, source: str = SOURCE, uri: Uri | None = None, body: bytes = b""
    ) -> Verified | Failed:
        return self.realm.verify(credentials, "REGISTER", body, PASSWORDS.get, source, now, uri)


def realm(**options: Any) -> DigestRealm:
    return DigestRealm("sbc.example.com", SECRET, **options)


# The hash


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['algorithm']}-{v['source'][:40]}")
def test_TRAP_05_vectors(vector: dict[str, Any]) -> None:
    digest = response_digest(
        vector["algorithm"].upper(),
        user=vector["username"],
        realm=vector["realm"],
        password=vector["password"],
        method=vector["method"],
        uri=vector["uri"],
        nonce=vector["nonce"],
        qop=vector["qop"] or "",
        nc=vector["nc"] or "",
        cnonce=vector["cnonce"] or "",
        body=bytes.fromhex(vector["body_hex"] or ""),
    )
    assert (digest == vector["response"]) is vector["valid"]


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if "userhash" in v], ids=lambda v: v["source"])
def test_AUTH_09_userhash_vectors(vector: dict[str, Any]) -> None:
    assert (user_hash(vector["algorithm"], vector["username"], vector["realm"]) == vector["userhash"]) is vector["valid"]


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if v["valid"]], ids=lambda v: f"{v['algorithm']}-{v['source'][:40]}")
def test_the_client_answers_as_the_vectors_do(vector: dict[str, Any]) -> None:
    params = {"realm": vector["realm"], "nonce": vector["nonce"], "algorithm": vector["algorithm"], "opaque": "x"}
    if vector["qop"]:
        params["qop"] = vector["qop"]
    text = answer(
        [Challenge("Digest", params)],
        vector["username"],
        vector["password"],
        vector["method"],
        vector["uri"],
        int(vector["nc"] or "1", 16),
        vector["cnonce"] or "unused",
        bytes.fromhex(vector["body_hex"] or ""),
    )
    params = Credentials.parse(text).params
    assert params["response"] == vector["response"]
    assert (params["username"], params["realm"]) == (vector["username"], vector["realm"]), "quotes and backslashes survive"
    assert (params.get("qop"), params.get("nc")) == (vector["qop"], vector["nc"])
    assert params["opaque"] == "x"


# The server


def test_AUTH_01_one_row_per_algorithm_strongest_first_each_answered_by_its_own() -> None:
    server = realm(algorithms=("SHA-512-256", "SHA-256", "MD5"))
    rows = [Challenge.parse(row) for row in server.challenge(SOURCE, START)]
    assert [row.params["algorithm"] for row in rows] == ["SHA-512-256", "SHA-256", "MD5"]
    assert {row.params["realm"] for row in rows} == {"sbc.example.com"}
    for number, row in enumerate(rows):
        credentials = Credentials.parse(answer([row], "alice", "s3cr3t", "REGISTER", URI, number + 1, "c"))
        assert server.verify(credentials, "REGISTER", b"", PASSWORDS.get, SOURCE, START) == Verified("alice")


def test_AUTH_01_a_realm_may_offer_md5_only() -> None:
    server = realm(algorithms=("MD5",))
    assert len(server.challenge(SOURCE, START)) == 1
    strong = Client(realm()).credentials()
    assert server.verify(strong, "REGISTER", b"", PASSWORDS.get, SOURCE, START) == Failed("malformed")


def test_AUTH_03_the_server_always_offers_qop_auth() -> None:
    assert all('qop="auth"' in row and row.startswith("Digest ") for row in realm().challenge(SOURCE, START))


def test_AUTH_03_an_answer_without_qop_passes_only_where_that_is_allowed() -> None:
    for server, expected in ((realm(), Failed("malformed")), (realm(insecure_without_qop=True), Verified("alice"))):
        client = Client(server)
        nonce = client.challenges[0].params["nonce"]
        digest = response_digest("MD5", user="alice", realm=server.realm, password="s3cr3t", method="REGISTER", uri=URI, nonce=nonce)
        legacy = {"username": "alice", "realm": server.realm, "nonce": nonce, "uri": URI, "response": digest}
        assert client.check(Credentials("Digest", legacy)) == expected
        assert client.check(Credentials("Digest", {**legacy, "algorithm": "SHA-256"})) == Failed("malformed")


@pytest.mark.parametrize("text", ["Basic YWxpY2U6czNjcjN0", 'Basic realm="sbc.example.com"', "Bearer x"])
def test_AUTH_03_never_basic(text: str) -> None:
    assert Client(realm()).check(Credentials.parse(text)) == Failed("malformed")


@pytest.mark.parametrize("body", [b"", b"v=0\r\n"])
def test_AUTH_03_auth_int_covers_the_body_even_an_empty_one(body: bytes) -> None:
    client = Client(realm())
    client.challenges = [Challenge("Digest", {**client.challenges[0].params, "qop": "auth-int"})]
    credentials = client.credentials(body=body)
    assert client.check(credentials, body=body + b"x") == Failed("wrong")
    assert client.check(credentials, body=body) == Verified("alice")


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("sip:alice@sbc.example.com", True),
        ("sip:alice@SBC.example.com:5061;transport=tls", True),
        ("sip:%61lice@sbc.example.com", True),
        ("sip:bob@sbc.example.com", False),
        ("sip:alice@other.example.com", False),
        ("nonsense", False),
    ],
)
def test_AUTH_03_the_uri_of_the_credentials_must_mean_the_request_uri(uri: str, good: bool) -> None:
    client = Client(realm())
    result = client.check(client.credentials(uri=uri), uri=Uri.parse("sip:alice@sbc.example.com"))
    assert result == (Verified("alice") if good else Failed("malformed"))


def test_AUTH_04_an_old_nonce_is_stale_when_the_password_is_right() -> None:
    client = Client(realm())
    assert client.try_(1, later(NONCE_LIFE)) == Verified("alice")
    assert client.try_(2, later(NONCE_LIFE + 1)) == Failed("stale")
    client.password = "wrong"
    assert client.try_(3, later(NONCE_LIFE + 1)) == Failed("wrong")
    rows = client.realm.challenge(SOURCE, later(NONCE_LIFE + 1), stale=True)
    assert all(Challenge.parse(row).params["stale"] == "true" for row in rows)
    assert Challenge.parse(rows[0]).params["nonce"] != client.challenges[0].params["nonce"]


def test_AUTH_04_a_nonce_is_for_one_source_realm_and_secret() -> None:
    client = Client(realm())
    assert client.try_(source="192.0.2.8") == Failed("stale")
    client.realm = DigestRealm("sbc.example.com", b"another secret of 16 octets")
    assert client.try_() == Failed("stale")
    for nonce in ("", "x", "zz.00", "65a." + "0" * 32, "\udcff." + "0" * 32, "\u0661." + "0" * 32):
        client = Client(realm())
        client.challenges = [Challenge("Digest", {**c.params, "nonce": nonce}) for c in client.challenges]
        assert client.try_() == Failed("stale")


def test_AUTH_04_a_nonce_of_the_future_is_stale() -> None:
    assert Client(realm(), now=later(60.0)).try_() == Failed("stale")
    assert Client(realm(), now=later(2.0)).try_() == Verified("alice")


def test_AUTH_04_each_count_is_good_once() -> None:
    client = Client(realm())
    assert client.try_(1) == Verified("alice")
    assert client.try_(1) == Failed("replay")
    assert client.try_(2) == Verified("alice")
    assert client.try_(1, cnonce="another client behind the same address") == Verified("alice")


def test_AUTH_04_counts_may_overtake_each_other_within_the_window() -> None:
    client = Client(realm())
    order = [40, 39, 40 - REPLAY_WINDOW, 39, 40 - REPLAY_WINDOW - 1, 41, 40, 1000, 41]
    results = [client.try_(nc) == Verified("alice") for nc in order]
    assert results == [True, True, True, False, False, True, False, True, False]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 120), max_size=80))
def test_AUTH_04_the_window_does_what_a_set_would(counts: list[int]) -> None:
    used, table = set[int](), NonceCounts()
    for count in counts:
        good = count not in used and count >= max(used, default=0) - REPLAY_WINDOW
        assert table.use(("n", "c"), count, 0.0, 0.0) is good
        if good:
            used.add(count)


def test_AUTH_04_a_wrong_digest_writes_nothing_down() -> None:
    client = Client(realm(), password="wrong")
    for nc in range(1, 50):
        assert client.try_(nc) == Failed("wrong")
    client.user = "mallory"
    assert client.try_(1) == Failed("unknown_user")
    assert len(client.realm._counts) == 0


def test_AUTH_04_a_full_table_forgets_no_replay() -> None:
    table = NonceCounts()
    for number in range(NONCES_KEPT + 10):
        assert table.use((f"n{number}", "c"), 1, float(number), 0.0)
    assert len(table) <= NONCES_KEPT
    assert table.forgotten >= 9.0, "nonces issued until then count as stale"
    for number in range(10, NONCES_KEPT + 10):
        if number > table.forgotten:
            assert not table.use((f"n{number}", "c"), 1, float(number), 0.0)


def test_AUTH_04_the_server_calls_forgotten_nonces_stale() -> None:
    client = Client(realm())
    assert client.try_(1) == Verified("alice")
    client.realm._counts.forgotten = START.wall
    assert client.try_(2) == Failed("stale")


def test_AUTH_04_counts_of_nonces_past_their_life_are_dropped() -> None:
    table = NonceCounts()
    for number in range(1000):
        table.use((f"n{number}", "c"), 1, float(number), float(number))
    assert len(table) <= NONCE_LIFE + 2


@pytest.mark.parametrize("nc", ["1", "00000000", "0000000g", "+0000001", "0000_001", "\u0660" * 7 + "\u0661", "000000001", ""])
def test_AUTH_04_a_count_is_eight_hexadecimal_digits(nc: str) -> None:
    client = Client(realm())
    credentials = client.credentials()
    assert client.check(Credentials("Digest", {**credentials.params, "nc": nc})) == Failed("malformed")


def test_AUTH_05_ack_and_cancel_are_never_challenged() -> None:
    assert frozenset({"ACK", "CANCEL"}) == NEVER_CHALLENGED


def test_AUTH_06_after_a_stale_nonce_the_same_password_works_with_the_new_one() -> None:
    client = Client(realm())
    now = later(NONCE_LIFE + 10)
    assert client.try_(1, now) == Failed("stale")
    client.challenges = [Challenge.parse(row) for row in client.realm.challenge(SOURCE, now, stale=True)]
    assert client.try_(1, now) == Verified("alice")


@pytest.mark.interpreted
def test_AUTH_07_an_unknown_user_is_hashed_and_compared_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    hashed, compared = module._hash, module._same

    def noted_hash(name: str, text: str) -> str:
        calls.append("hash")
        return hashed(name, text)

    def noted_compare(given: str, expected: str) -> bool:
        calls.append("compare")
        return compared(given, expected)

    monkeypatch.setattr(module, "_hash", noted_hash)
    monkeypatch.setattr(module, "_same", noted_compare)
    traces = []
    for user in ("alice", "mallory"):
        client = Client(realm(), user, "guess")
        credentials = client.credentials()
        calls.clear()
        client.check(credentials)
        traces.append(calls.copy())
    assert traces[0] == traces[1] == ["hash", "hash", "hash", "compare"]


def test_AUTH_07_an_empty_password_opens_nothing_unknown() -> None:
    assert Client(realm(), "mallory", "").try_() == Failed("unknown_user")


def test_AUTH_09_quotes_backslashes_and_utf_8_in_user_and_realm() -> None:
    server = DigestRealm('r"q\\', SECRET)
    client = Client(server, 'a"b\\cä', "p")
    credentials = Credentials.parse(str(client.credentials()))
    result = server.verify(credentials, "REGISTER", b"", {'a"b\\cä': "p"}.get, SOURCE, START)
    assert result == Verified('a"b\\cä')


@pytest.mark.parametrize("missing", ["username", "realm", "nonce", "uri", "response", "nc", "cnonce"])
def test_credentials_that_miss_something_are_malformed(missing: str) -> None:
    client = Client(realm())
    params = {k: v for k, v in client.credentials().params.items() if k != missing}
    assert client.check(Credentials("Digest", params)) == Failed("malformed")


@pytest.mark.parametrize(
    "changed",
    [{"realm": "other"}, {"algorithm": "AKAv1-MD5"}, {"algorithm": "SHA-256-sess"}, {"qop": "auth-conf"}, {"userhash": "true"}],
)
def test_credentials_for_what_was_not_offered_are_malformed(changed: dict[str, str]) -> None:
    client = Client(realm())
    assert client.check(client.credentials(**changed)) == Failed("malformed")  # type: ignore[arg-type]


def test_a_cnonce_has_a_bound() -> None:
    client = Client(realm())
    assert client.try_(1, cnonce="c" * CNONCE_LENGTH) == Verified("alice")
    assert client.try_(1, cnonce="c" * (CNONCE_LENGTH + 1)) == Failed("malformed")


def test_a_response_in_upper_case_is_the_same_number() -> None:
    client = Client(realm())
    good = client.credentials().params["response"]
    assert client.try_(response=good.upper()) == Verified("alice")


@pytest.mark.parametrize("response", ["", "x", "ä" * 64, "\udcff", "0" * 64, "a" * 10_000])
def test_any_other_response_is_wrong(response: str) -> None:
    assert Client(realm()).try_(response=response) == Failed("wrong")


def test_a_digest_is_for_one_method_and_one_uri() -> None:
    client = Client(realm())
    credentials = client.credentials()
    assert client.realm.verify(credentials, "INVITE", b"", PASSWORDS.get, SOURCE, START) == Failed("wrong")
    assert client.try_(uri="sip:sbc.example.com") == Verified("alice")
    changed = Credentials("Digest", {**credentials.params, "uri": "sip:elsewhere"})
    assert client.check(changed) == Failed("wrong")


@pytest.mark.parametrize(("secret", "algorithms"), [(b"short", ("MD5",)), (SECRET, ("MD4",)), (SECRET, ("MD5-sess",))])
def test_a_realm_refuses_a_weak_secret_and_an_algorithm_it_does_not_know(secret: bytes, algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"16 octets|algorithm"):
        DigestRealm("r", secret, algorithms)


# The client


def challenge(**params: str) -> Challenge:
    return Challenge("Digest", {"realm": "r", "nonce": "n", "qop": "auth"} | params)


def test_AUTH_02_the_topmost_known_algorithm_is_answered() -> None:
    offered = [challenge(algorithm="AKAv1-MD5"), challenge(algorithm="sha-512-256"), challenge(algorithm="MD5"), challenge()]
    assert "algorithm=sha-512-256" in answer(offered, "u", "p", "INVITE", "sip:x", 1, "c")
    assert "algorithm" not in Credentials.parse(answer(offered[3:], "u", "p", "INVITE", "sip:x", 1, "c")).params


def test_AUTH_02_each_realm_gets_an_answer_of_its_own() -> None:
    offered = [challenge(realm="a", algorithm="X"), challenge(realm="b"), challenge(realm="a"), challenge(realm="b", algorithm="SHA-256")]
    assert [(c.params["realm"], c.params.get("algorithm")) for c in choose(offered)] == [("b", None), ("a", None)]


@pytest.mark.parametrize(
    "unknown",
    [
        Challenge("Basic", {"realm": "r"}),
        Challenge("Digest", {"realm": "r"}),
        Challenge("Digest", {"nonce": "n"}),
        challenge(algorithm="X"),
        challenge(qop="auth-conf"),
    ],
)
def test_AUTH_02_what_cannot_be_answered_is_not(unknown: Challenge) -> None:
    assert choose([unknown]) == []
    with pytest.raises(ParseError):
        answer([unknown], "u", "p", "INVITE", "sip:x", 1, "c")


def test_AUTH_03_the_client_takes_auth_before_auth_int() -> None:
    for offered, taken in (("auth,auth-int", "auth"), ("auth-int, AUTH", "auth"), ("auth-int", "auth-int"), ("x,auth", "auth")):
        params = Credentials.parse(answer([challenge(qop=offered)], "u", "p", "INVITE", "sip:x", 26, "c")).params
        assert (params["qop"], params["nc"], params["cnonce"]) == (taken, "0000001a", "c")


def test_AUTH_09_the_client_hides_the_user_name_where_asked_to() -> None:
    params = Credentials.parse(answer([challenge(userhash="true", algorithm="SHA-256")], "u", "p", "INVITE", "sip:x", 1, "c")).params
    assert (params["username"], params["userhash"]) == (user_hash("SHA-256", "u", "r"), "true")


@pytest.mark.parametrize("algorithm", sorted(KNOWN_ALGORITHMS))
def test_the_client_knows_every_algorithm(algorithm: str) -> None:
    params = Credentials.parse(answer([challenge(algorithm=algorithm)], "u", "p", "INVITE", "sip:x", 1, "c")).params
    assert len(params["response"]) == (32 if algorithm.startswith("MD5") else 64)
