from __future__ import annotations

import time

import pytest

from sbc.link.frames import Challenge, Hello, LinkError, Proof, Welcome
from sbc.link.handshake import EdgeHandshake, SiteHandshake
from sbc.link.proof import Credential, Trust, fingerprint
from tests.unit.link.certificates import Authority, credential

CONNECTION = b"original"
NONCE = b"n" * 32
SITE, EDGE, OTHER = credential("berlin.example"), credential("edge.example"), credential("other.example")


def pinned(*known: Credential) -> Trust:
    return Trust(frozenset(fingerprint(each.chain[0]) for each in known))


def hello(site: Credential = SITE, name: str = "berlin") -> Hello:
    return Hello(name, b"s" * 32, b"b" * 16, bytes(16), 0, True, site.chain)


def edge(trust: Trust, connection: bytes = CONNECTION) -> EdgeHandshake:
    return EdgeHandshake(EDGE, {"berlin": trust}.get, connection, NONCE)


def meet(at_site: SiteHandshake, at_edge: EdgeHandshake, shown: Credential = EDGE) -> Hello:
    """All words in turn; what the edge knows in the end."""
    challenge = at_edge.receive(at_site.begin(shown.chain[0], time.time()), time.time())
    assert isinstance(challenge, Challenge)
    proof = at_site.receive(challenge)
    assert isinstance(proof, Proof)
    known = at_edge.receive(proof, time.time())
    assert isinstance(known, Hello)
    welcome = Welcome(b"e" * 16, False, 0)
    assert at_site.receive(welcome) is welcome
    return known


def test_both_prove_who_they_are() -> None:
    assert meet(SiteHandshake(SITE, pinned(EDGE), hello(), CONNECTION), edge(pinned(SITE))).site == "berlin"


def test_TRAP_14_a_client_that_has_no_key_of_the_pinned_certificate_is_refused() -> None:
    """QUIC let it connect: no server of this library verifies its clients. What it shows is public; only the key proves anything."""
    thief = Credential(SITE.chain, OTHER.key)
    at_site, at_edge = SiteHandshake(thief, pinned(EDGE), hello(), CONNECTION), edge(pinned(SITE))
    challenge = at_edge.receive(at_site.begin(EDGE.chain[0], time.time()), time.time())
    assert isinstance(challenge, Challenge)
    with pytest.raises(LinkError, match="does not have the key"):
        at_edge.receive(at_site.receive(challenge), time.time())


def test_a_wrong_pin_is_refused_before_the_certificate_is_read() -> None:
    with pytest.raises(LinkError, match="not the pinned one"):
        edge(pinned(SITE)).receive(Hello("berlin", NONCE, b"b" * 16, bytes(16), 0, True, (b"no certificate at all",)), time.time())
    with pytest.raises(LinkError, match="not the pinned one"):
        SiteHandshake(SITE, pinned(EDGE), hello(), CONNECTION).begin(OTHER.chain[0], time.time())


def test_the_old_and_the_new_certificate_may_both_be_pinned() -> None:
    both = pinned(SITE, OTHER)
    for each in (SITE, OTHER):
        meet(SiteHandshake(each, pinned(EDGE), hello(each), CONNECTION), edge(both))


def test_a_site_that_nobody_knows_is_refused() -> None:
    with pytest.raises(LinkError, match="no such site"):
        edge(pinned(SITE)).receive(hello(name="paris"), time.time())


@pytest.mark.parametrize(("days", "why"), [(-1, "expired on"), (61, "not valid before")])
def test_a_pinned_certificate_has_a_time_of_its_own(days: float, why: str) -> None:
    late = credential("berlin.example", days=days)
    with pytest.raises(LinkError, match=why):
        edge(pinned(late)).receive(hello(late), time.time())


def test_what_was_signed_for_one_connection_is_of_no_use_on_another() -> None:
    at_site = SiteHandshake(SITE, pinned(EDGE), hello(), CONNECTION)
    first, second = edge(pinned(SITE)), edge(pinned(SITE), b"another")
    said = at_site.begin(EDGE.chain[0], time.time())
    challenge = first.receive(said, time.time())
    second.receive(said, time.time())
    assert isinstance(challenge, Challenge)
    with pytest.raises(LinkError, match="does not have the key"):
        second.receive(at_site.receive(challenge), time.time())


def test_somebody_in_between_cannot_pass_words_on() -> None:
    """It has a certificate of its own in TLS, and the real edge signs with the real one."""
    at_site = SiteHandshake(SITE, pinned(EDGE, OTHER), hello(), CONNECTION)
    challenge = edge(pinned(SITE)).receive(at_site.begin(OTHER.chain[0], time.time()), time.time())
    assert isinstance(challenge, Challenge)
    with pytest.raises(LinkError, match="does not have the key"):
        at_site.receive(challenge)


@pytest.mark.parametrize("frame", [Proof(b""), Welcome(b"e" * 16, False, 0), Challenge(NONCE, b"")], ids=lambda each: type(each).__name__)
def test_words_at_the_wrong_time_end_it(frame: Proof | Welcome | Challenge) -> None:
    with pytest.raises(LinkError, match="wrong time"):
        edge(pinned(SITE)).receive(frame, time.time())
    with pytest.raises(LinkError, match="wrong time"):
        SiteHandshake(SITE, pinned(EDGE), hello(), CONNECTION).receive(frame)


def test_an_authority_may_stand_behind_both() -> None:
    ours, theirs = Authority(), Authority("another")
    site, good_edge = credential("berlin.example", ours), credential("edge.example", ours)
    trusted, of_edge = (
        Trust(name="berlin.example", authorities=(ours.certificate,)),
        Trust(name="edge.example", authorities=(ours.certificate,)),
    )
    at_edge = EdgeHandshake(good_edge, {"berlin": trusted}.get, CONNECTION, NONCE)
    meet(SiteHandshake(site, of_edge, hello(site), CONNECTION), at_edge, good_edge)
    for stranger, why in ((credential("berlin.example", theirs), "not good"), (credential("paris.example", ours), "not for berlin")):
        with pytest.raises(LinkError, match=why):
            EdgeHandshake(good_edge, {"berlin": trusted}.get, CONNECTION, NONCE).receive(hello(stranger), time.time())
    with pytest.raises(LinkError, match="not good"):
        SiteHandshake(site, of_edge, hello(site), CONNECTION).begin(site.chain[0], time.time())
