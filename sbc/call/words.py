"""The six words legs speak: Offered, Progressed, Answered, Changed, Settled, Released. Nothing of SIP's dialogs crosses with them."""

from __future__ import annotations

from typing import Literal

from sbc.call.crossing import NOTHING, Said
from sbc.frozen import frozen
from sbc.sdp.offer import Description

By = Literal["peer", "sbc"]
Patience = Literal["a person", "a transaction", "none"]


@frozen
class Cause:
    """Why something ended or was refused.

    `status` is the SIP status that says it best (200: normal clearing), `reason` its phrase (empty: the standard one),
    `q850` the ITU-T Q.850 cause when a peer told one, `reasons` the Reason header values to carry on (RFC 3326),
    `headers` further ones to send along with a refusal, `note` a short word for the call record. `out_of_service`: we
    ourselves have no room, so that a 503 is true of us and not only of what lies behind us. `said`: what else came with it.
    """

    status: int = 200
    reason: str = ""
    q850: int | None = None
    reasons: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
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
    """

    description: Description | None
    refused: Cause | None = None


@frozen
class Released:
    cause: Cause


Word = Offered | Progressed | Answered | Changed | Settled | Released
