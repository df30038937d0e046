"""A carrier that wants a REGISTER from us: its servers in DNS, and what they answer."""

from __future__ import annotations

from sbc.sip.digest import response_digest
from sbc.sip.fields.auth import Credentials
from sbc.sip.fields.contact import Contact
from sbc.sip.fields.expires import expires
from sbc.sip.message import Request
from tests.world import POLICY, Agent, World
from tests.zones import zone

ACCOUNT = "4930123"
PASSWORD = "wonderland"  # what the world's secret is
DOMAIN = "tel.example"
LINE = f'registrar: sip:{DOMAIN}, user: "{ACCOUNT}", password: {{file: alice.secret}}'
TWO = zone(
    f"""
    _sip._udp.{DOMAIN} SRV 1 0 5060 a.{DOMAIN}
    _sip._udp.{DOMAIN} SRV 2 0 5060 b.{DOMAIN}
    a.{DOMAIN} A 10.1.7.1
    b.{DOMAIN} A 10.1.7.2
    """
)
TLS = zone(f"_sips._tcp.{DOMAIN} SRV 1 0 5061 a.{DOMAIN}\na.{DOMAIN} A 10.1.7.1")
Rows = tuple[tuple[str, str], ...]


def with_account(line: str = LINE, more: str = "", text: str = POLICY) -> str:
    """The world's policy with a carrier `tel` that calls of the office try first; `more`: keys of that trunk."""
    trunk = f"  tel:\n    realm: inside\n    media: plain\n    register_to: {{{line}}}\n{more}  carrier:\n"
    text = text.replace("  carrier:\n", trunk, 1).replace("send_to: [carrier, backup]", "send_to: [tel, carrier]")
    return text.replace("  - name: in\n", '  - name: from-tel\n    when: {trunk: tel, to: "*"}\n    send_to: [office]\n  - name: in\n')


def with_tls(text: str) -> str:
    listeners = "signalling: [udp://10.1.0.1:5060, tls://10.1.0.1:5061]\n    certificate: edge"
    return text.replace("signalling: [udp://10.1.0.1:5060]", listeners)


class Carrier:
    """Server A on 10.1.7.1 and server B on 10.1.7.2."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.zone = TWO
        self.a = world.agent("a", ("10.1.7.1", 5060), "inside")
        self.b = world.agent("b", ("10.1.7.2", 5060), "inside")
        self.office = world.agent("office", ("10.0.0.20", 5060), "outside")
        self.carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")

    def registered(self, seconds: int = 600, headers: Rows = ()) -> Request:
        """From the beginning to the 200 of server A."""
        self.world.begin()
        request = self.a.expect_request("REGISTER")
        accept(self.a, request, seconds, headers)
        assert self.state == "registered"
        return request

    @property
    def state(self) -> str:
        (outlook,) = self.world.core.registrations_out()
        return outlook.state

    @property
    def events(self) -> list[str]:
        return [log.event for log in self.world.logs]

    def asked_within(self, agent: Agent, low: float, high: float) -> Request:
        """The next REGISTER comes so much later, and not sooner."""
        self.world.after(low - 0.01)
        agent.expect_nothing()
        waited = 0.0
        while not agent.inbox and waited < high - low + 0.5:  # answered before it is repeated
            self.world.after(0.4)
            waited += 0.4
        return agent.expect_request("REGISTER")


def accept(agent: Agent, request: Request, seconds: int | None = None, headers: Rows = ()) -> None:
    contact = Contact.parse(request.headers.first("Contact") or "")
    granted = contact.expires if seconds is None else seconds
    rows = (("Contact", f"<{contact.uri}>;expires={granted}"),) if granted else ()
    agent.answer(request, 200, headers=(*rows, *headers))


def line_of(request: Request) -> str:
    return Contact.parse(request.headers.first("Contact") or "").uri.param("line") or ""


def asked_for(request: Request) -> int:
    contact = Contact.parse(request.headers.first("Contact") or "")
    assert contact.expires == expires(request.headers)
    return contact.expires or 0


def challenge(agent: Agent, request: Request, status: int = 401, nonce: str = "n1", more: str = "", realm: str = DOMAIN) -> None:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    agent.answer(request, status, headers=((name, f'Digest realm="{realm}", nonce="{nonce}", qop="auth"{more}'),))


def credentials(request: Request, name: str = "Authorization") -> Credentials:
    (row,) = request.headers.all(name)
    return Credentials.parse(row)


def is_proved(request: Request, name: str = "Authorization", password: str = PASSWORD, user: str = ACCOUNT) -> bool:
    """Whether the credentials are those of the account, for this very request."""
    params = credentials(request, name).params
    expected = response_digest(
        params.get("algorithm", "MD5").upper(),
        user=user,
        realm=params["realm"],
        password=password,
        method=request.method,
        uri=str(request.uri),
        nonce=params["nonce"],
        qop=params["qop"],
        nc=params["nc"],
        cnonce=params["cnonce"],
        body=request.body,
    )
    return params["response"] == expected and params["uri"] == str(request.uri) and params["username"] == user
