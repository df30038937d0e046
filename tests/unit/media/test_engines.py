"""Which engine runs."""

from __future__ import annotations

import builtins
from typing import Any
from unittest import mock

import pytest

from media.api import MediaError
from media.engines import Wanted, choose
from media.native.engine import NativeEngine
from media.portable import PortableEngine

importing = builtins.__import__


def without_compiled(name: str, *rest: Any) -> Any:
    if name == "media.native":
        raise ImportError("no module named core")
    return importing(name, *rest)


def test_the_compiled_one_where_it_is() -> None:
    for wanted in (Wanted.AUTO, Wanted.NATIVE):
        choice = choose(wanted)
        assert (choice.build, choice.passed_over, choice.capabilities.tiers[-1]) == (NativeEngine, "", "native/sockets")


def test_the_portable_one_when_asked_for() -> None:
    choice = choose(Wanted.PORTABLE)
    assert (choice.build, choice.passed_over) == (PortableEngine, "")


@pytest.mark.interpreted
def test_without_a_compiler_the_portable_one_serves_and_says_why() -> None:
    with mock.patch.object(builtins, "__import__", without_compiled):
        choice = choose(Wanted.AUTO)
        assert choice.build is PortableEngine
        assert "no module named core" in choice.passed_over
        with pytest.raises(MediaError, match="not there"):
            choose(Wanted.NATIVE)
