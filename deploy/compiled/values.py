"""Value classes, written out for the compiler.

mypyc makes a C struct of a class, but takes the `__init__` of a dataclass from the standard library, which is Python: 0.4 us for
a value that costs 0.05 us when its constructor is compiled, and a call makes some two hundred. So before compiling, each
`@frozen` class of the core gets the methods spelled out that the decorator would have made. Line numbers stay what they are:
the text takes the place of the docstring and the fields.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

_BASE = "Value"
_VALUES = ("frozen", "dataclass(slots=True)", "dataclass(frozen=True, slots=True)")


class NotCompilable(Exception):
    """The text says which class at which line, and what to do about it."""


@dataclass(frozen=True)
class _Field:
    name: str
    type: str
    default: str | None  # of the parameter
    value: str  # what the attribute is set to
    shown: bool = True  # in what is printed of it
    compared: bool = True


def expand(source: str) -> str:
    """`source` with every `@frozen` class written out. Raises NotCompilable."""
    lines = source.split("\n")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses" and any(each.name == "replace" for each in node.names):
            raise NotCompilable(f"{node.lineno}: replace() of the standard library knows no compiled value: take that of sbc.frozen")
        if isinstance(node, ast.ClassDef):
            if _is_value(node):
                _expand(node, lines)
            else:
                _check(node)
    lines[_first_import(source)] += "; from typing import Final; from media.value import Value"
    text = "\n".join(lines)
    return text.replace("from sbc.frozen import frozen, replace", "from sbc.frozen import replace").replace(
        "from sbc.frozen import frozen", ""
    )


def _first_import(source: str) -> int:
    """The line of `from __future__ import annotations`."""
    return source.split("\n").index("from __future__ import annotations")


def _is_value(node: ast.ClassDef) -> bool:
    return any(ast.unparse(each) in _VALUES for each in node.decorator_list)


def _check(node: ast.ClassDef) -> None:
    """Of an exception, what its class is given is not what its instances have: mypyc makes no struct of those."""
    bases = [ast.unparse(base) for base in node.bases]
    if any(base.endswith(("Error", "Exception")) for base in bases) and any(isinstance(each, ast.Assign) for each in node.body):
        raise NotCompilable(f"{node.lineno}: {node.name} has defaults in its class: set them in __init__")


def _expand(node: ast.ClassDef, lines: list[str]) -> None:
    fields = [_field(each) for each in node.body if isinstance(each, ast.AnnAssign)]
    for decorator in node.decorator_list:
        lines[decorator.lineno - 1] = ""
    lines[node.lineno - 1] = f"class {node.name}({_BASE}):"
    if not fields:
        return
    free = [number for each in node.body if _is_replaced(each) for number in range(each.lineno - 1, _end(each))]
    free += [number for number in _blank_between(node, lines) if number not in free]
    free = _contiguous(sorted(set(free)))
    checked = any(isinstance(each, ast.FunctionDef) and each.name == "__post_init__" for each in node.body)
    methods = _methods(node.name, fields, "; self.__post_init__()" if checked else "")
    if len(methods) > len(free):
        raise NotCompilable(f"{node.lineno}: {node.name} needs {len(methods)} lines and has {len(free)}: give it a docstring")
    for number in free:
        lines[number] = ""
    for number, text in zip(free, methods, strict=False):
        lines[number] = "    " + text


def _is_replaced(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _end(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno


def _blank_between(node: ast.ClassDef, lines: list[str]) -> list[int]:
    """Empty and comment lines from the first line of the body to the first method, or to whatever follows the class."""
    start = node.body[0].lineno - 1
    found = []
    others = [each for each in node.body if not _is_replaced(each)]
    first = others[0] if others else None
    stop = _start(first) if first is not None else len(lines)
    for number in range(start, stop):
        if not lines[number].strip() or lines[number].lstrip().startswith("#"):
            found.append(number)
        elif number >= _end(node):
            break
    return found


def _start(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)]) - 1


def _contiguous(numbers: list[int]) -> list[int]:
    """Up to the first gap: what comes after it belongs to a method."""
    kept = numbers[:1]
    for number in numbers[1:]:
        if number != kept[-1] + 1:
            break
        kept.append(number)
    return kept


def _field(node: ast.AnnAssign) -> _Field:
    assert isinstance(node.target, ast.Name)
    name, kind = node.target.id, ast.unparse(node.annotation)
    if node.value is None:
        return _Field(name, kind, None, name)
    if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "field":
        options = {each.arg: ast.unparse(each.value) for each in node.value.keywords}
        marks = options.get("repr") != "False", options.get("compare") != "False"
        if "default_factory" in options:
            return _Field(name, f"{kind} | None", "None", f"{options['default_factory']}() if {name} is None else {name}", *marks)
        return _Field(name, kind, options.get("default"), name, *marks)
    return _Field(name, kind, ast.unparse(node.value), name)


def _methods(owner: str, fields: list[_Field], ending: str) -> list[str]:
    parameters = ", ".join(f"{each.name}: {each.type}" + (f" = {each.default}" if each.default is not None else "") for each in fields)
    names = [each.name for each in fields]
    shown = ", ".join(f"{each.name}={{self.{each.name}!r}}" for each in fields if each.shown)
    compared = ", ".join(f"self.{each.name}" for each in fields if each.compared)
    methods = [
        f"def __init__(self, {parameters}) -> None: " + "; ".join(f"self.{each.name} = {each.value}" for each in fields) + ending,
        f"__match_args__: Final = ({', '.join(map(repr, names))},)",
        f"def _key(self) -> tuple[object, ...]: return ({compared},)",
    ]
    if not all(each.shown and each.compared for each in fields):
        methods.append(f'def __repr__(self) -> str: return f"{owner}({shown})"')
    return methods
