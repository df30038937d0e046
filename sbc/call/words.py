"""The words legs speak: Offered, Progressed, Answered, Changed, Released; Asked, Referred. Nothing of SIP's dialogs crosses with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.clock import Now
from sbc.frozen import frozen
from sbc.sdp.offer import Description
from sbc.sip.fields.contact import Contact
from sbc.sip.fields.refer_to import ReferTo

By = Literal["peer", "sbc"]


@frozen
class Cause:
    """Why something ended or was refused.

    `status` is the SIP status that says it best (200: normal clearing), `reason` its phrase (empty: the standard one),
    `q850` the ITU-T Q.850 cause when a peer told one, `reasons` the Reason header values to carry on (RFC 3326),
    `headers` further ones to send along with a refusal, `contacts` where a redirection points to, best first, `note` a
    short word for the call record. `out_of_service`: we ourselves have no room, so that a 503 is true of us and not only
    of what lies behind us.
    """

    status: int = 200
    reason: str = ""
    q850: int | None = None
    reasons: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    contacts: tuple[Contact, ...] = ()
    by: By = "peer"
    note: str = ""
    out_of_service: bool = False


@frozen
class Offered:
    """A call wants to begin; None: without an offer (RFC 3261 s13.2.1)."""

    description: Description | None


@frozen
class Progressed:
    """Not 100: that one is hop by hop."""

    status: int
    reason: str
    description: Description | None


@frozen
class Answered:
    """The answer to `Offered` or `Changed`. `refused` is only ever set after `Changed`: everything stays as it was."""

    description: Description | None
    refused: Cause | None = None


@frozen
class Changed:
    """A new offer within the call. None: what the peer said of itself changed, the far side need not know."""

    description: Description | None


@frozen
class Released:
    cause: Cause


@frozen
class Asked:
    """Something the peer says that changes nothing of the call, such as INFO.

    `headers` are those that cross, Content-Type among them; `reply` takes what the far peer, or we, answered: once.
    """

    method: str
    max_forwards: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    reply: Callable[[Cause, Now], None]


@frozen
class Referred:
    """The peer wants the other party to be connected with somebody else (REFER).

    `cseq` names this wish among those of the dialog; `silent`: no reports of what becomes of it are wanted (RFC 4488);
    `reply` takes whether it will be tried: once.
    """

    refer_to: ReferTo
    cseq: int
    silent: bool
    max_forwards: int
    reply: Callable[[Cause, Now], None]


Word = Offered | Progressed | Answered | Changed | Released | Asked | Referred
