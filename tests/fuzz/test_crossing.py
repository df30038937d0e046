"""Whatever stands in the headers that say who calls: no exception, no broken line, and no host of that side."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sbc.call.bridge import from_of, invitation_of
from sbc.call.causes import cause_of_response, refusal_to_peer, status_told, taken_for
from sbc.call.crossing import hides_from, read_answer, rows_for
from sbc.errors import SipError
from sbc.sip.fields.diversion import parse_diversions
from sbc.sip.fields.history_info import parse_history
from sbc.sip.fields.identity import parse_identities
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.privacy import Privacy
from sbc.sip.fields.remote_party_id import parse_remote_parties
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import DIVERSION, HISTORY_INFO, P_ASSERTED_IDENTITY, PRIVACY, REASON, REMOTE_PARTY_ID
from tests.world import POLICY, World

SECRET = "secret.example"
OURS = "203.0.113.1"
KEYS = """\
    numbers: "+49*"
    pass_headers: [Call-Info, Subject]
    responses_from: {4xx: 480, 5xx: 603}
    responses_to: {6xx: 403}
"""
TRUSTED = "    trusted: true\n" + KEYS
NAMES = (
    *("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "History-Info", "P-Called-Party-ID"),
    *("P-Charging-Vector", "Session-ID", "Privacy", "Warning", "Max-Breadth"),
)
PIECES = (
    *("<sip:", "<tel:", "<sips:", "<mailto:", ">", "+4930123", "0030123", "alice", "anonymous"),
    *("@", SECRET, f"@{SECRET}>", f"@{SECRET};x={SECRET}>", "[::1]", ":5060", ";user=phone", f"?X={SECRET}"),
    *(";index=1", ";index=1.1", ";index=", ";rc=1", ";mp=1.1", ";counter=9", ";reason=user-busy", ";privacy=full"),
    *(";screen=yes", ";party=calling", ";verstat=TN-Validation-Passed", ";cause=302", ";cause=\u0661"),
    *("?Reason=SIP%3Bcause%3D486", "&Privacy=history", f"icid-value={SECRET[:3]}", f";icid-generated-at={SECRET}"),
    *("id", "user", "none", "critical", ";", ",", '"', "\\", " ", "\t", "%0d%0a", "%", "a" * 32, "0", "-"),
    *("305 ", f'399 {SECRET} "{SECRET}"', "\u00fc", "\udcff"),
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=10).map("".join)
rows = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=8)
keys = st.sampled_from(("", KEYS, TRUSTED))
PARSERS: dict[str, Callable[[list[str]], object]] = {
    P_ASSERTED_IDENTITY: parse_identities,
    REMOTE_PARTY_ID: parse_remote_parties,
    DIVERSION: parse_diversions,
    HISTORY_INFO: parse_history,
}


def world_of(office: str, carrier: str) -> World:
    text = POLICY
    for name, more in (("office", office), ("carrier", carrier)):
        text = text.replace(f"  {name}:\n", f"  {name}:\n{more}", 1)
    return World(text)


def request(world: World, given_rows: list[tuple[str, str]]) -> Request:
    message = world.agent("office", ("10.0.0.20", 5060), "outside").request("INVITE", "sip:+4930123456@10.0.0.1")
    message.headers = Headers([*message.headers, *[(name, clean(value)) for name, value in given_rows]])
    return message


def clean(value: str) -> str:
    """What the parser would not let through falls out."""
    return "".join([character for character in value if character not in "\r\n\0"])


def check(told: list[tuple[str, str]]) -> None:
    for name, value in told:
        assert not set(value) & set("\r\n\0")
        assert name == PRIVACY or SECRET not in value, (name, value)  # a word of Privacy is no host
        if name in PARSERS:
            assert PARSERS[name]([value]), (name, value)
        if name == PRIVACY:
            assert str(Privacy.parse([value])) == value


@given(keys, keys, rows)
def test_ID_01_nothing_breaks_and_nothing_leaks(office: str, carrier: str, given_rows: list[tuple[str, str]]) -> None:
    world = world_of(office, carrier)
    source, target = world.snapshot.trunks["office"], world.snapshot.trunks["carrier"]
    message = request(world, given_rows)
    try:
        invitation = invitation_of(message, source, "+4930123456", "office", 69, emergency=False)
    except SipError:  # Max-Breadth
        return
    told = rows_for(invitation.said, target, OURS, invitation.called)
    check(told)
    from_ = from_of(invitation, target, OURS, "tag")
    assert NameAddr.parse(str(from_)).tag == "tag"
    if hides_from(invitation.said, target):
        assert from_.uri.host == "anonymous.invalid"
        assert target.headers.trusted or not any(name == P_ASSERTED_IDENTITY for name, _ in told)
    if not (source.headers.trusted and target.headers.trusted):
        assert not any(name in (DIVERSION, HISTORY_INFO, REMOTE_PARTY_ID) for name, _ in told)


@given(keys, keys, rows, st.integers(300, 699))
def test_RSN_01_refusals_too(office: str, carrier: str, given_rows: list[tuple[str, str]], status: int) -> None:
    world = world_of(office, carrier)
    source, target = world.snapshot.trunks["office"], world.snapshot.trunks["carrier"]
    response = Response.answer(request(world, []), status)
    response.headers = Headers([*response.headers, *[(name, clean(value)) for name, value in given_rows]])
    check(rows_for(read_answer(response, source), target, OURS))
    cause = refusal_to_peer(taken_for(source, cause_of_response(response, source)))
    check([*cause.headers, *[(REASON, value) for value in cause.reasons]])
    assert 400 <= status_told(target, cause)[0] < 700
