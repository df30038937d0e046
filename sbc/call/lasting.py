"""How long a call may last: by the shortest `longest_call` of all who have to do with it, as the policy in force has it."""

from __future__ import annotations

from collections.abc import Sequence

from sbc.call.context import Context
from sbc.clock import Now
from sbc.policy.limits import NOBODY, Between
from sbc.policy.snapshot import Party, Route
from sbc.sip.timers import Action, Timer


class Lasting:
    """Emergency calls have no end."""

    __slots__ = ("_between", "_context", "_over", "_parties", "_route", "_since", "_timer")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._over: Action | None = None
        self._parties: Sequence[Party] = ()
        self._route: Route | None = None
        self._since = 0.0
        self._between = NOBODY
        self._timer: Timer | None = None

    def begin(self, parties: Sequence[Party], route: Route, between: Between, over: Action, now: Now) -> None:
        """It is answered. `over` is run when the time is up."""
        self._parties, self._route, self._since, self._over = parties, route, now.monotonic, over
        self._between = between
        self.follow(now)

    def follow(self, now: Now) -> None:
        """There is another policy: its time counts from the answer, too."""
        route, over = self._route, self._over
        if route is None or over is None or route.emergency:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        longest = self._context.limits.longest(self._parties, route, self._between)
        if longest is not None:
            self._timer = self._context.timers.start(max(now.monotonic, self._since + longest), over)

    def stop(self) -> None:
        self._route = self._over = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
