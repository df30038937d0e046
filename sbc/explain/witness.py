"""What the core asks the rest of the process, and what it is answered: kept, and answered as the dry world is assumed to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from sbc.clock import Now
from sbc.tap import Action, Named, ServerKey

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Heard:
    kind: str
    arguments: tuple[Any, ...]
    answer: Any


class Witness:
    """The Tap of a dry core. `instead`: who answers a kind of question in place of the core's own tables."""

    def __init__(self, instead: Mapping[str, Callable[..., object]]) -> None:
        self.heard: list[Heard] = []
        self._instead = instead

    def answers(self, kind: str) -> list[Heard]:
        return [each for each in self.heard if each.kind == kind]

    def attach(self, effects: Sequence[object]) -> None: ...

    def answered(self, question: Callable[P, R], /) -> Callable[P, R]:
        kind = str(getattr(question, "__name__", "")).strip("_")

        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            instead = self._instead.get(kind)
            answer = question(*args, **kwargs) if instead is None else cast(R, instead(*args, **kwargs))
            self.heard.append(Heard(kind, args, answer))
            return answer

        return ask

    def timed(self, action: Action) -> Action:
        return action

    def begin(self, party: Named) -> None: ...

    def within(self, identifier: str, action: Action, now: Now) -> None:
        action(now)

    def opened(self, key: ServerKey) -> None: ...

    def met(self, key: ServerKey) -> None: ...

    def cut(self, identifier: str) -> None: ...
