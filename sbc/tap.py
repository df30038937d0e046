"""Where one call meets what is not its own: the seams at which a recording is taken, and at which `sbc replay` speaks for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol, TypeVar

from sbc.clock import Now

P = ParamSpec("P")
R = TypeVar("R")
Action = Callable[[Now], None]

# What a server transaction is matched by: (branch, realm, source host, sent-by host, sent-by port, method), or what RFC 2543 has instead.
ServerKey = tuple[str | int | None, ...]


class Answered(Protocol):
    """Makes of a question to the rest of the process (other calls' limits, registrations, passwords) one whose answers are recorded."""

    def __call__(self, question: Callable[P, R], /) -> Callable[P, R]: ...


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Tap(Protocol):
    def attach(self, effects: Sequence[object]) -> None:
        """The list every effect of the core is appended to."""
        ...

    def answered(self, question: Callable[P, R], /) -> Callable[P, R]:
        """`question`, asked in the course of a call, and its answers taken for facts of that call."""
        ...

    def timed(self, action: Action) -> Action:
        """What a timer runs that is started now."""
        ...

    def begin(self, party: Named) -> None:
        """The request under way is a new call of `party`."""
        ...

    def opened(self, key: ServerKey) -> None:
        """The request under way has a server transaction from here on, of that key."""
        ...

    def met(self, key: ServerKey) -> None:
        """The request under way belongs to the server transaction of that key, whatever call its tags name."""
        ...

    def within(self, identifier: str, action: Action, now: Now) -> None:
        """Run `action` for the call that `identifier` was drawn for: an input that concerns many calls has come to this one."""
        ...

    def cut(self, identifier: str) -> None:
        """The call that `identifier` was drawn for cannot be told alone any more: it becomes part of another, or takes part of one."""
        ...


def unrecorded(question: Callable[P, R], /) -> Callable[P, R]:
    return question


class NoTap:
    """Nobody listens."""

    def attach(self, effects: Sequence[object]) -> None: ...

    def answered(self, question: Callable[P, R], /) -> Callable[P, R]:
        return question

    def timed(self, action: Action) -> Action:
        return action

    def begin(self, party: Named) -> None: ...

    def opened(self, key: ServerKey) -> None: ...

    def met(self, key: ServerKey) -> None: ...

    def within(self, identifier: str, action: Action, now: Now) -> None:
        action(now)

    def cut(self, identifier: str) -> None: ...
