"""Trust, numbers, headers that cross, and translated answers: what may be written and what it becomes."""

from __future__ import annotations

import pytest

from sbc.policy.snapshot import HeaderRules, Patterns, Presentation
from tests.unit.policy.conftest import MINIMAL, Folder


def trunk(keys: str) -> str:
    return MINIMAL + f"trunks:\n  t: {{realm: inside, media: plain, {keys}}}\n"


def test_ID_01_nobody_is_trusted_by_default(folder: Folder) -> None:
    snapshot = folder.load(
        trunk("accept_from: [10.0.0.1]") + "users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}}}\n"
    )
    assert snapshot.snapshot.trunks["t"].headers == snapshot.snapshot.users["u"].headers == HeaderRules()
    assert not HeaderRules().trusted


def test_ID_02_header_rules(folder: Folder) -> None:
    keys = 'trusted: true, numbers: ["+4930*", +49301, 4711], pass_headers: [user-to-user, s, X-A], diversions_as: diversion'
    rules = folder.load(trunk(f"{keys}, refuse_anonymous: true, pass_bodies: [Application/ISUP]")).snapshot.trunks["t"].headers
    assert rules == HeaderRules(
        trusted=True,
        numbers=Patterns(frozenset({"+49301", "4711"}), ("+4930",)),
        main_number="+49301",
        pass_headers=frozenset({"user-to-user", "subject", "x-a"}),
        pass_bodies=frozenset({"application/isup"}),
        diversions_as="diversion",
        refuse_anonymous=True,
    )


def test_one_number_needs_no_list(folder: Folder) -> None:
    user = "users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}, numbers: +4930777}}\n"
    assert folder.load(MINIMAL + user).snapshot.users["u"].headers.main_number == "+4930777"


def test_RSN_01_one_status_counts_more_than_its_class(folder: Folder) -> None:
    found = folder.load(trunk("responses_from: {486: 480, 4xx: 404, 302: 480}, responses_to: {5xx: 503, 500: 600}")).snapshot.trunks["t"]
    assert (found.responses_from[486], found.responses_from[404], found.responses_from[499], found.responses_from[302]) == (
        480,
        404,
        404,
        480,
    )
    assert (found.responses_to[500], found.responses_to[599]) == (600, 503)
    assert not {401, 407, 422, 481, 487, 491} & found.responses_from.keys()
    assert 600 not in found.responses_to


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("trusted: yes", "trunks.t.trusted: must be true or false"),
        ('numbers: ["*"]', "trunks.t.numbers.0: '*' would let it call with anybody's number: name its own, or say 'trusted: true'"),
        ("numbers: []", "trunks.t.numbers: must not be empty"),
        ("pass_headers: []", "trunks.t.pass_headers: must not be empty"),
        ("pass_headers: [m]", "trunks.t.pass_headers.0: whether Contact crosses is not decided here: it has rules of its own"),
        ("pass_headers: [p-asserted-identity]", "whether P-Asserted-Identity crosses is not decided here"),
        ("pass_headers: [P-Charging-Vector]", "whether P-Charging-Vector crosses is not decided here"),
        ("pass_headers: [l]", "whether Content-Length crosses is not decided here"),
        ('pass_headers: ["X Y"]', "trunks.t.pass_headers.0: 'X Y' is no header name"),
        ("pass_bodies: []", "trunks.t.pass_bodies: must not be empty"),
        ("pass_bodies: [isup]", "trunks.t.pass_bodies.0: 'isup' is no media type: write it as application/isup"),
        ("pass_bodies: [application/SDP]", "trunks.t.pass_bodies.0: application/SDP is not passed on"),
        ("pass_bodies: [multipart/mixed]", "trunks.t.pass_bodies.0: multipart/mixed is not passed on"),
        ("diversions_as: history-info", "trunks.t.diversions_as: only a trunk with 'trusted: true' is told who sent a call on"),
        ("responses_from: {}", "trunks.t.responses_from: must not be empty"),
        ("responses_from: {407: 403}", "407 is said between us and one peer and has its own meaning there: it cannot be translated"),
        ("responses_from: {200: 403}", "write a final status from 300 to 699"),
        ("responses_from: {486: 302}", "trunks.t.responses_from.486: write a final status from 400 to 699 that says why a call failed"),
        ("responses_to: {486: 487}", "write a final status from 400 to 699 that says why a call failed"),
        ("responses_to: {3xx: 480}", "trunks.t.responses_to: we send no redirections: 3xx stands in 'responses_from' only"),
    ],
)
def test_what_may_not_be_written(folder: Folder, keys: str, problem: str) -> None:
    assert problem in "\n".join(folder.errors(trunk(keys)))


def test_a_user_is_never_trusted(folder: Folder) -> None:
    user = "users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}, trusted: true}}\n"
    (problem,) = folder.errors(MINIMAL + user)
    assert "users.u.trusted: unknown key" in problem


def test_a_header_that_one_side_alone_lists_is_a_warning(folder: Folder) -> None:
    other = "  o: {realm: outside, media: plain, pass_headers: [X-A]}\n"
    (warning,) = folder.warnings(trunk("pass_headers: [x-a, X-B]") + other)
    (body,) = folder.warnings(trunk("pass_bodies: [application/isup]") + other.replace("pass_headers: [X-A]", "pass_bodies: [text/x]"))[:1]
    assert "trunks.t.pass_bodies.0: crosses only to somebody who lists it too, and nobody does" in body
    assert "trunks.t.pass_headers.1: crosses only to somebody who lists it too, and nobody does" in warning


def test_how_numbers_and_people_look(folder: Folder) -> None:
    keys = "called_as: digits, callers_as: {+: '00', +49: 0}, user_phone: true, callers_at: A.example, anonymous_at: callers_at"
    found = folder.load(trunk(f"{keys}, display_names: drop, identity_as: none")).snapshot.trunks["t"].headers.presents
    assert found == Presentation(
        called=(("+", ""),),
        callers=(("+49", "0"), ("+", "00")),
        user_phone=True,
        identity="none",
        domain="a.example",
        names=False,
        anonymous="domain",
    )
    plain = folder.load(trunk("called_as: e164, display_names: pass, anonymous_at: nowhere, identity_as: p-asserted-identity"))
    assert plain.snapshot.trunks["t"].headers.presents is None, "what is as ever costs nothing"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("called_as: national", "trunks.t.called_as: must be e164 (+4930123), digits (4930123), or a table such as"),
        ("called_as: {}", "trunks.t.called_as: must be e164"),
        ("callers_as: {'49': '0'}", "trunks.t.callers_as: the beginning of a number in full"),
        ("callers_as: {+49: a}", "trunks.t.callers_as: what stands in its place: digits"),
        ("callers_at: a b", "trunks.t.callers_at: 'a b' is neither a host name nor an IP address"),
        ("identity_as: pai", "trunks.t.identity_as: must be 'p-asserted-identity', 'p-preferred-identity', 'remote-party-id' or 'none'"),
        ("anonymous_at: here", "trunks.t.anonymous_at: must be 'nowhere' or 'callers_at'"),
    ],
)
def test_mistakes_about_how_people_look(folder: Folder, keys: str, problem: str) -> None:
    assert problem in "\n".join(folder.errors(trunk(keys)))


@pytest.mark.parametrize(("shows", "shown"), [("caller", None), ("nobody", "nobody"), ('"+4930123"', "+4930123")])
def test_whom_a_route_shows(folder: Folder, shows: str, shown: str | None) -> None:
    route = f'routes: [{{name: r, when: {{trunk: t, to: "*"}}, send_to: [t], shows: {shows}}}]\n'
    assert folder.load(trunk("peer: sip:x, accept_from: [10.0.0.1]") + route).snapshot.routes[0].shows == shown
    errors = folder.errors(trunk("peer: sip:x, accept_from: [10.0.0.1]") + route.replace(f"shows: {shows}", "shows: 030123"))
    assert "routes.0.shows: must be caller, nobody, or a telephone number in full: +4930123456" in errors[0]
