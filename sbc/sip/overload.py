"""Overload control (RFC 7339): whoever has too much to do says what share of its requests the other is to spare it.

As a client we heed what servers say; as a server we say what our own load asks for.
"""

from __future__ import annotations

import re
from typing import Protocol

from sbc.clock import Ids, Now
from sbc.flow import Flow, Transport
from sbc.frozen import frozen, replace
from sbc.sip.fields.via import Via
from sbc.sip.grammar import Params, unquote
from sbc.sip.message import Request
from sbc.tap import Answered, unrecorded

OFFER: Params = (("oc", None), ("oc-algo", '"loss"'))  # in the Via of our requests to a server that we heed
LOSS = "loss"  # the algorithm that everybody has to know (s5.10)
SAID = frozenset({"oc", "oc-algo", "oc-validity", "oc-seq"})
VALIDITY_MS = 1000  # two looks at our load and a way there; each answer says it anew
DEFAULT_VALIDITY_S = 0.5  # "default value is 500 (ms)" (s4.3)
LONGEST_VALIDITY_S = 600.0  # whoever asks for more has lost count: it will say so again
REMEMBERED = 4096  # servers; far more than all trunks together have
_share = re.compile(r"[0-9]{1,3}", re.ASCII).fullmatch
_validity = re.compile(r"[0-9]{1,9}", re.ASCII).fullmatch
_sequence = re.compile(r"[0-9]{1,12}\.[0-9]{1,5}", re.ASCII).fullmatch

Server = tuple[str, Transport, str, int]


@frozen
class Feedback:
    """What the parameters in the Via of a response say.

    share     percent of our requests that are not to be sent
    validity  seconds it holds; 0: nothing is to be spared any more
    sequence  larger ones are newer; None: not said
    """

    share: int
    validity: float
    sequence: float | None

    @classmethod
    def of(cls, via: Via) -> Feedback | None:
        """None: the server does not do it, or by another algorithm than the one we offered. What is malformed was not said."""
        share = via.param("oc") or ""
        if not _share(share) or int(share) > 100 or unquote(via.param("oc-algo") or "loss").strip().lower() != "loss":
            return None
        validity, sequence = via.param("oc-validity") or "", via.param("oc-seq") or ""
        seconds = int(validity) / 1000 if _validity(validity) else DEFAULT_VALIDITY_S
        return cls(int(share), min(seconds, LONGEST_VALIDITY_S), float(sequence) if _sequence(sequence) else None)


@frozen
class Restriction:
    share: int
    until: float  # monotonic
    sequence: float


class Overload:
    """By server. Draws lots: each request that could be spared is, with the probability the server asked for (s5.10)."""

    def __init__(self, ids: Ids, answered: Answered = unrecorded) -> None:
        self._ids = ids
        self._restrictions: dict[Server, Restriction] = {}
        self.spares = answered(self._spares)

    def __len__(self) -> int:
        return len(self._restrictions)

    def heed(self, via: Via, flow: Flow, now: Now) -> None:
        """A response to a request of ours, sent on `flow`, had this top Via."""
        feedback = Feedback.of(via)
        if feedback is None:
            return
        server = _server(flow)
        known = self._restrictions.pop(server, None)
        sequence = known.sequence if known is not None else -1.0
        if feedback.sequence is not None and feedback.sequence <= sequence:  # overtaken on its way (s5.4)
            assert known is not None
            self._restrictions[server] = known
            return
        if feedback.sequence is not None:
            sequence = feedback.sequence
        if len(self._restrictions) >= REMEMBERED:
            del self._restrictions[next(iter(self._restrictions))]  # what was said longest ago
        self._restrictions[server] = Restriction(feedback.share, now.monotonic + feedback.validity, sequence)

    def _spares(self, flow: Flow, now: Now) -> bool:
        """Whether the next request is one that this server is to be spared."""
        known = self._restrictions.get(_server(flow))
        if known is None or known.until <= now.monotonic:
            return False
        return int.from_bytes(self._ids.random(8), "big") % 100 < known.share


class Heeding(Protocol):
    @property
    def overload_control(self) -> bool: ...


class Relief:
    """`share`: percent of their new requests that our peers are to spare us."""

    def __init__(self, answered: Answered = unrecorded) -> None:
        self.share = 0
        self._wanted = answered(self._share_wanted)

    def tell(self, trunk: Heeding | None, request: Request, now: Now) -> None:
        """In the top Via, which all its answers carry, if it offers to listen and the policy says that we are to talk (s5.2)."""
        if trunk is None or not trunk.overload_control or not request.via.params:
            return
        via = request.via
        if via.param("oc") != "" or LOSS not in unquote(via.param("oc-algo") or LOSS).lower().replace(" ", "").split(","):
            return
        share = self._wanted()
        validity = VALIDITY_MS if share else 0  # "a value of 0 ... stops overload control" (s4.3)
        told: Params = (("oc", str(share)), ("oc-algo", f'"{LOSS}"'), ("oc-validity", str(validity)), ("oc-seq", f"{now.wall:.5f}"))
        others = [(name, value) for name, value in via.params if name not in SAID]
        request.put_via(replace(via, params=(*others, *told)))

    def _share_wanted(self) -> int:
        return self.share


def _server(flow: Flow) -> Server:
    return flow.realm, flow.transport, *flow.remote
