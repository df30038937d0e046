"""Redirections (RFC 3261 s8.1.3.4, s21.3): told to the caller as numbers at our own address, or followed for it."""

from __future__ import annotations

from sbc.call.charging import number_meant
from sbc.call.context import SentBy
from sbc.call.neutral import user_part
from sbc.call.words import Cause
from sbc.errors import SipError
from sbc.frozen import replace
from sbc.policy.snapshot import Party, Snapshot

MAX_DETOURS = 5  # of one call, all redirections together; RFC 3261 names no number, browsers and proxies stop at 5 to 20


class Detours:
    """Where one call has been sent on to. No number is called twice: "never … any given URI more than once" (RFC 3261 s8.1.3.4)."""

    def __init__(self, called: str) -> None:
        self._seen = {called}
        self._waiting: list[tuple[Party, str]] = []
        self._taken = 0

    def redirect(self, snapshot: Snapshot, party: Party, cause: Cause, sent_by: SentBy) -> Cause:
        """`party` redirects: note its targets when they are to be followed; the cause as the caller may hear it.

        `sent_by`: our address on the caller's side.
        """
        numbers = self._new_numbers(snapshot, party, cause)
        if not numbers or party.services.redirects == "refuse":
            return cause
        note = f"redirected to {', '.join(numbers)}"
        if party.services.redirects == "follow":
            self._seen.update(numbers)
            self._waiting = [(party, number) for number in numbers] + self._waiting
            return replace(cause, note=note)
        contacts = tuple([("Contact", f"{sent_by.contact(user_part(number))};q={q:.3g}") for number, q in numbers.items()])
        return replace(cause, headers=contacts, note=note)

    def next(self) -> tuple[Party, str] | None:
        """Who has sent us on, and the number to call; None: no more."""
        if not self._waiting or self._taken >= MAX_DETOURS:
            return None
        self._taken += 1
        return self._waiting.pop(0)

    def _new_numbers(self, snapshot: Snapshot, party: Party, cause: Cause) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for contact in cause.contacts:
            try:
                number = number_meant(snapshot, party, contact.uri)
            except SipError:  # nobody we could call
                continue
            if number not in self._seen:
                numbers.setdefault(number, contact.q)
        return numbers
