"""A core registrar behind us that has the passwords, and phones on our side of it."""

from __future__ import annotations

from sbc.sip.fields.contact import Contact
from sbc.sip.message import Request, Response
from tests.world import POLICY, Agent, World, sdp

DOMAIN = "example.com"
CORE = """
  core:
    realm: inside
    accept_from: [10.1.0.9/32]
    peer: sip:10.1.0.9
    media: plain
    messages: pass
  ippbx:
    realm: outside
    accepts_registration: {user: pbx, register_at: core}
    media: plain
  carrier:
"""
USERS = """
  bob: {realm: outside, register_at: core, media: plain, messages: pass}
  carol: {realm: outside, register_at: core, media: plain}
trunks:
"""
ROUTES = """
  - name: to-core
    when: {realm: outside, to: "+1*"}
    send_to: [core]
  - name: in
"""
INSTANCE = '"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
OUTBOUND = (("Supported", "path, outbound"),)
BOB = "<sip:bob@192.168.1.5:5061;transport=tls>"
Rows = tuple[tuple[str, str], ...]


def with_core(text: str = POLICY) -> str:
    """Bob and Carol, who register at a core inside, and a PBX that does."""
    text = text.replace("domains: [sbc.example.com]", "domains: [sbc.example.com, example.com]")
    text = text.replace("[udp://10.1.0.1:5060]", "[udp://10.1.0.1:5060, tcp://10.1.0.1:5060]")
    return text.replace("\n  carrier:\n", CORE, 1).replace("\ntrunks:\n", USERS, 1).replace("\n  - name: in\n", ROUTES, 1)


def core_of(world: World) -> Agent:
    return world.agent("core", ("10.1.0.9", 5060), "inside")


def phone(world: World, connection: int = 7) -> Agent:
    """Behind a NAT, on a TLS connection."""
    return world.agent("bob", ("203.0.113.7", 40000 + connection), "outside", "TLS", connection=connection)


def on_udp(world: World) -> Agent:
    return world.agent("bob", ("203.0.113.8", 5060), "outside")


def register(
    agent: Agent,
    contact: str = "<sip:bob@192.168.1.5:5061;transport=tls>",
    cseq: int = 1,
    expires: int = 60,
    headers: Rows = (),
    user: str = "bob",
) -> Request:
    """`contact`: "" asks."""
    agent.calls += 1
    host = agent.flow.remote[0]
    request = agent.request(
        "REGISTER",
        f"sip:{DOMAIN}",
        call_id=f"reg-{agent.name}",
        cseq=cseq,
        to=f"<sip:{user}@{DOMAIN}>",
        headers=(("Expires", str(expires)), ("User-Agent", f"Phone on {host}" * 20), *headers),
    )
    request.headers.remove("Contact")
    if contact:
        request.headers.add("Contact", contact)
    agent.send(request)
    return request


def contacts_granted(request: Request, expires: int) -> Rows:
    """As a registrar lists them."""
    rows = []
    for value in request.headers.all("Contact"):
        contact = Contact.parse(value)
        if contact.expires:
            rows.append(("Contact", f"<{contact.uri}>;expires={min(expires, contact.expires)}"))
    return tuple(rows)


def grant(core: Agent, expires: int = 3600, headers: Rows = ()) -> Request:
    request = core.expect_request("REGISTER")
    core.answer(request, 200, headers=(*contacts_granted(request, expires), *headers))
    return request


def registered(agent: Agent, core: Agent, grants: int = 3600, **options: object) -> tuple[Request, Response]:
    """What the core was sent, and what the phone was told."""
    register(agent, **options)  # type: ignore[arg-type]
    received = grant(core, grants)
    return received, agent.expect_response(200)


def token_of(received: Request) -> str:
    return Contact.parse(received.headers.first("Contact") or "").uri.user or ""


def invite(core: Agent, token: str, headers: Rows = (), to: str = "<sip:bob@example.com>") -> Request:
    """The core calls."""
    request = core.request("INVITE", f"sip:{token}@10.1.0.1:5060", to=to, headers=headers, body=sdp("10.1.0.9", 40000))
    core.last_invite = request
    core.send(request)
    return request
