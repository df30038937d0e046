"""One Contact that an account can be reached at."""

from __future__ import annotations

from sbc.call.context import Way
from sbc.flow import Flow
from sbc.frozen import frozen, replace
from sbc.sip.fields.contact import Contact
from sbc.sip.server import DEFAULT_PORT


@frozen
class Upstream:
    """The same binding at the registrar behind us, where the Contact is `token` at our address.

    trunk          whose registrar it is
    call_id, cseq  of our last REGISTER there
    expires_at     when what it granted is over; monotonic seconds, as in `refresh_at`: from then on we refresh it there, too
    absorbed       refreshes since then that it has not heard of
    credentials    what the account proved itself with, without the proof
    service_route  how its calls are to reach that registrar's network (RFC 3608)
    told           other headers of its 200, for ours
    """

    token: str
    trunk: str
    call_id: str
    cseq: int
    expires_at: float
    refresh_at: float
    absorbed: int = 0
    credentials: str = ""
    service_route: tuple[str, ...] = ()
    told: tuple[tuple[str, str], ...] = ()


@frozen
class Binding:
    """One Contact of an account.

    expires_at   monotonic seconds
    path         the Path it registered by, topmost first (RFC 3327 s5.3)
    outbound     it is known by its +sip.instance and reg-id instead of its Contact (RFC 5626 s6)
    lost         the connection it registered over is gone, and there is no other way to it
    upstream     None: we are the registrar
    """

    contact: Contact
    flow: Flow
    expires_at: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    outbound: bool = False
    lost: bool = False
    upstream: Upstream | None = None

    @property
    def way(self) -> Way:
        """The Path it came by is the Route to it (RFC 3327 s5.4)."""
        uri = self.contact.uri
        return (uri.with_(headers="") if uri.headers else uri), self.flow, self.path  # headers in a URI would steer our INVITE


def unconnected(binding: Binding) -> Binding:
    """What becomes of a binding without its connection.

    Who came by TCP without a NAT can be connected to, where its Contact says. Nobody else: a phone has no certificate to prove
    by TLS that it is the one, and browsers take no connections.
    """
    flow, uri = binding.flow, binding.contact.uri
    if not flow.reliable:
        return binding
    if flow.transport == "TCP" and uri.host == flow.remote[0] and uri.scheme == "sip" and not binding.path and not binding.outbound:
        return replace(binding, flow=flow._replace(remote=(uri.host, uri.port or DEFAULT_PORT), connection=0))
    return replace(binding, flow=flow._replace(connection=0), lost=True)
