"""`shield:` of the policy, as the shield has it. What is above that was chosen once, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from sbc.frozen import frozen
from sbc.shield.offences import Offence, usual

BanMode = Literal["on", "shadow", "off"]


@frozen
class ShieldRules:
    """bans           shadow: only said
    ban_for        seconds of the first ban of a source; the next is twice as long
    longest_ban    and so on up to that
    offences       how many within a minute make a ban; None: any number is no matter
    never_ban      addresses and networks: trunks, ourselves, name servers, and whom the policy adds
    requests       datagrams a second of one source that we do not know, before they are read
    kernel         whether banned sources that proved their address are dropped there, where that can be
    """

    bans: BanMode = "on"
    ban_for: float = 300.0
    longest_ban: float = 86_400.0
    offences: Mapping[Offence, int | None] = field(default_factory=usual)
    never_ban: tuple[str, ...] = ()
    requests: float = 100.0
    kernel: bool = True


USUAL_SHIELD = ShieldRules()
