"""Value classes are written out so that they mean the same, line for line where they were."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from deploy.compiled.build import COMPILED, INTERPRETED, ROOT, compiled_modules
from deploy.compiled.values import NotCompilable, expand

HEAD = "from __future__ import annotations\nfrom dataclasses import dataclass, field\nfrom sbc.frozen import frozen\n"
VALUE = (
    HEAD
    + '''
@frozen
class Thing:
    """What a thing is.

    More of it.
    """

    name: str  # as written
    size: int = 1
    secret: bytes = field(default=b"", repr=False)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def big(self) -> bool:
        raise ValueError("line 18")


def after() -> int:
    return 1
'''
)


def made(source: str) -> dict[str, Any]:
    """The module with its values written out, run by the interpreter."""
    base = ModuleType("media.value")
    exec((ROOT / "deploy/compiled/value.py").read_text(), base.__dict__)
    text = expand(source)
    assert text.count("\n") == source.count("\n")
    names: dict[str, Any] = {"__name__": "made"}
    before = sys.modules.get("media.value")
    sys.modules["media.value"] = base
    try:
        exec(compile(text, "made", "exec"), names)
    finally:
        if before is None:
            del sys.modules["media.value"]
        else:
            sys.modules["media.value"] = before
    return names


def test_it_means_the_same() -> None:
    thing = made(VALUE)["Thing"]
    one, same, other = thing("a", 2), thing(name="a", size=2), thing("a")
    assert one == same
    assert hash(thing("a", 2, notes=())) == hash(thing("a", 2, notes=()))
    assert one != other
    assert one != "a"
    assert (other.name, other.size, other.secret, other.notes) == ("a", 1, b"", {})
    assert other.notes is not same.notes
    match one:
        case thing(name, size):
            assert (name, size) == ("a", 2)
        case _:
            raise AssertionError("no match")
    assert thing.__match_args__ == ("name", "size", "secret", "notes")


def test_hidden_fields_stay_hidden() -> None:
    assert repr(made(VALUE)["Thing"]("a", 2, b"key")) == "Thing(name='a', size=2, notes={})"


def test_what_is_not_compared_makes_no_difference() -> None:
    seen = "    seen: int = field(default=0, repr=False, compare=False)\n"
    source = HEAD + f'\n@frozen\nclass Thing:\n    """With a note\n    beside it.\n    """\n\n    name: str\n{seen}'
    thing = made(source)["Thing"]
    assert thing("a", 1) == thing("a", 2)
    assert hash(thing("a", 1)) == hash(thing("a", 2))
    assert thing("a", 1) != thing("b", 1)
    assert (thing("a", 1).seen, repr(thing("a", 1))) == (1, "Thing(name='a')")


def test_lines_stay_where_they_were() -> None:
    text = expand(VALUE)
    for number, (before, after) in enumerate(zip(VALUE.split("\n"), text.split("\n"), strict=True), 1):
        if number > 16:
            assert before == after
    where = next(node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Raise))
    assert "raise" in VALUE.split("\n")[where - 1]


def test_no_room_is_said() -> None:
    source = HEAD + "\n@frozen\nclass Tight:\n    a: int\n    def m(self) -> None: ...\n"
    with pytest.raises(NotCompilable, match=r"^6: Tight needs 3 lines and has 1: give it a docstring$"):
        expand(source)


def test_defaults_in_the_class_of_an_exception_are_refused() -> None:
    with pytest.raises(NotCompilable, match="set them in __init__"):
        expand(HEAD + "class Wrong(ParseError):\n    status = 484\n")


def test_the_replace_of_the_standard_library_is_refused() -> None:
    with pytest.raises(NotCompilable, match=r"take that of sbc\.frozen"):
        expand("from __future__ import annotations\nfrom dataclasses import dataclass, replace\n")


def test_every_module_of_the_core_can_be_written_out() -> None:
    modules = compiled_modules(ROOT)
    assert "sbc/core.py" in modules
    assert "sbc/sip/parse.py" in modules
    assert "sbc/cli.py" not in modules
    for module in modules:
        source = (ROOT / module).read_text()
        text = expand(source)
        ast.parse(text)
        assert text.count("\n") == source.count("\n"), module


def test_the_lists_name_what_is_there() -> None:
    assert all(any(ROOT.glob(pattern)) for pattern in COMPILED)
    assert all((ROOT / name).is_file() for name in INTERPRETED)


def test_what_cannot_be_compiled_ends_the_build_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "deploy/compiled").mkdir(parents=True)
    for name in ("sbc/sip", "media"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("build.py", "constants.py", "values.py", "value.py", "frozen.py"):
        (tmp_path / "deploy/compiled" / name).write_text((ROOT / "deploy/compiled" / name).read_text())
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "README.md").write_text("")
    (tmp_path / "sbc/sip/wrong.py").write_text(HEAD + "class Wrong(ParseError):\n    status = 484\n")
    command = [sys.executable, "-m", "deploy.compiled.build", "out"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "sbc/sip/wrong.py:4: Wrong has defaults in its class: set them in __init__\n")
