"""The shield: rules that would spare too many, or contradict each other. Pure."""

from __future__ import annotations

from sbc.policy.checking.checker import Checker

FEW_BITS = {4: 8, 6: 16}  # of a prefix: whoever spares more than one such network spares a country


def check(checker: Checker) -> None:
    shield = checker.policy.shield
    if shield.bans == "off":
        checker.warn(("shield", "bans"), "nobody is ever banned, whatever they try")
    if shield.ban_for is not None and shield.longest_ban is not None and shield.longest_ban < shield.ban_for:
        checker.error(("shield", "longest_ban"), "is shorter than ban_for")
    for index, network in enumerate(shield.never_ban or ()):
        if network.prefixlen < FEW_BITS[network.version]:
            checker.warn(("shield", "never_ban", index), f"{network} is very many addresses: any of them may try anything for ever")
