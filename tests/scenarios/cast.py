"""The world's people with more keys in the policy, and what the carrier is told of a call of the office."""

from __future__ import annotations

from sbc.sip.message import Request
from tests.world import POLICY, Agent, World, sdp

NUMBER = "+4930123456"
ANONYMOUS_FROM = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def policy(office: str = "", carrier: str = "", alice: str = "") -> str:
    """The world's policy with more keys on its parties."""
    text = POLICY
    for name, keys in (("office", office), ("carrier", carrier), ("alice", alice)):
        text = text.replace(f"  {name}:\n", f"  {name}:\n" + "".join(f"    {key}\n" for key in filter(None, keys.split("; "))), 1)
    return text


TRUSTED = "trusted: true"


class Cast:
    def __init__(self, text: str) -> None:
        self.world = World(text)
        self.office = self.world.agent("office", ("10.0.0.20", 5060), "outside")
        self.carrier = self.world.agent("carrier", ("10.1.0.2", 5060), "inside")
        self.alice = self.world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)

    def told(self, *headers: tuple[str, str], from_: str = "", number: str = NUMBER) -> Request:
        """The INVITE the carrier gets for one of the office with these headers."""
        self.send(self.office, number, headers, from_)
        self.office.expect_response(100)
        return self.carrier.expect_request("INVITE")

    def send(self, caller: Agent, number: str, headers: tuple[tuple[str, str], ...], from_: str = "") -> Request:
        local = f"{caller.flow.local[0]}:{caller.flow.local[1]}"
        request = caller.request("INVITE", f"sip:{number}@{local}", body=sdp(caller.host, 40000), headers=headers)
        if from_:
            request.headers.set("From", f"{from_};tag=from-{caller.name}")
        caller.last_invite = request
        caller.send(request)
        return request
