"""What a module names once is told to the compiler, and nothing else is."""

from __future__ import annotations

import ast

import pytest

from deploy.compiled.build import ROOT, compiled_modules
from deploy.compiled.constants import settle


@pytest.mark.parametrize(
    ("line", "settled"),
    [
        ("MOST = 64 * 1024  # octets", "MOST: Final = 64 * 1024  # octets"),
        ("_find = re.compile('=').findall", "_find: Final = re.compile('=').findall"),
        ("TABLE: dict[str, int] = {}", "TABLE: Final[dict[str, int]] = {}"),
        ("MANY = (", "MANY: Final = ("),
        ("RATE = (2, 5.0)", "RATE: Final = (2, 5.0)"),
    ],
)
def test_a_constant(line: str, settled: str) -> None:
    rest = "    1,\n)\n" if line.endswith("(") else ""
    assert settle(f"\n{line}\n{rest}").split("\n")[1] == settled


@pytest.mark.parametrize(
    "source",
    [
        "Rows = list[str]\n",
        "T = TypeVar('T')\n",
        "__all__ = ['a']\n",
        "COUNT = 0\nCOUNT = 1\n",
        "COUNT = 0\ndef more():\n    global COUNT\n",
        "if x:\n    COUNT = 0\n",
        "a, b = 1, 2\n",
        "COUNT: int\n",
        "RATE = (0.5, 2)  # which mypyc gets wrong\n",
        "RATE: tuple[float, float] = (0.5, 2)\n",
    ],
)
def test_what_is_none(source: str) -> None:
    assert settle(source) == source


def test_every_module_of_the_core_can_be_settled() -> None:
    sources = [(ROOT / module).read_text() for module in compiled_modules(ROOT)]
    texts = [settle(source) for source in sources]
    assert sum(text.count(": Final") for text in texts) > 400
    for source, text in zip(sources, texts, strict=True):
        ast.parse(text)
        assert text.count("\n") == source.count("\n")
