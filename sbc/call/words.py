"""The words legs speak: Offered, Progressed, Answered, Changed, Settled, Named, Released; Asked, Referred.

Nothing of SIP's dialogs crosses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.call.crossing import NOTHING, Said
from sbc.clock import Now
from sbc.frozen import frozen
from sbc.sdp.offer import Description
from sbc.sip.fields.contact import Contact
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.refer_to import ReferTo

By = Literal["peer", "sbc"]
Patience = Literal["a person", "a transaction", "none"]


@frozen
class Cause:
    """Why something ended or was refused.

    `status` is the SIP status that says it best (200: normal clearing), `reason` its phrase (empty: the standard one),
    `q850` the ITU-T Q.850 cause when a peer told one, `reasons` the Reason header values to carry on (RFC 3326),
    `headers` further ones to send along with a refusal, `contacts` where a redirection points to, best first, `note` a
    short word for the call record. `out_of_service`: we ourselves have no room, so that a 503 is true of us and not only
    of what lies behind us. `said`: what else came with it.
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
    said: Said = NOTHING


@frozen
class Offered:
    """A call wants to begin; None: without an offer (RFC 3261 s13.2.1). Within a call always None: the far side is to offer."""

    description: Description | None


@frozen
class Progressed:
    """Not 100: that one is hop by hop. `reliable`: whoever said it wants to be sure that it arrives (RFC 3262)."""

    status: int
    reason: str
    description: Description | None
    reliable: bool = False
    said: Said = NOTHING


@frozen
class Answered:
    """The callee took the call. `description`: its answer; its offer when the call began without one."""

    description: Description | None
    said: Said = NOTHING


@frozen
class Changed:
    """A new offer within the call. None: what the peer said of itself changed, the far side need not know.

    `patience`: how long whoever says it can wait for `Settled`: as long as a person needs to agree (re-INVITE), as long as a
    transaction lasts (UPDATE), or not at all, because it has its answer already and the far side has to be brought in line.
    """

    description: Description | None
    patience: Patience = "a person"


@frozen
class Settled:
    """What became of `Changed` or of an `Offered` within the call. `refused`: everything stays as it was, or is taken back.

    After `Offered` it comes twice: with the far side's offer, then, the other way, with the answer to that. A call that began
    without an offer has the second one, too.

    `standing`: nobody was asked, for it is what has been agreed to already; a change that is under way still waits for its own.
    """

    description: Description | None
    refused: Cause | None = None
    standing: bool = False


@frozen
class Named:
    """The peer is somebody else than before, or says so. `goes_along`: with the word that follows, which needs a message anyway."""

    said: Said
    goes_along: bool = False


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
    `referred_by` is who says so, without a host, when the peer is trusted with that (RFC 3892); `reply` takes whether it will
    be tried: once.
    """

    refer_to: ReferTo
    cseq: int
    silent: bool
    max_forwards: int
    referred_by: NameAddr | None
    reply: Callable[[Cause, Now], None]


Word = Offered | Progressed | Answered | Changed | Settled | Named | Released | Asked | Referred
