"""Constants of a module, told to the compiler.

What a module names once and never again is a constant, which mypyc must be told: it then keeps it in a variable of C. Otherwise each use
is a look into the dictionary of the module, and a call makes eight hundred of those.
"""

from __future__ import annotations

import ast
import re
from collections import Counter

_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]+|_?[a-z]\w*").fullmatch  # not a type: those are CamelCase or one letter


def settle(source: str) -> str:
    """`source` with every constant of its top level marked `Final`, each on its line."""
    tree = ast.parse(source)
    lines = source.split("\n")
    bound = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    bound.update(name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)
    for node in tree.body:
        target, kind = _bound(node)
        if target is None or not _CONSTANT(target.id) or bound[target.id] > 1 or _begins_with_float(node):
            continue
        line = lines[target.lineno - 1]
        start = line.index("=", target.end_col_offset)
        lines[target.lineno - 1] = f"{target.id}: {f'Final[{kind}]' if kind else 'Final'} {line[start:]}"
    return "\n".join(lines)


def _bound(node: ast.stmt) -> tuple[ast.Name | None, str]:
    """The one name that a statement gives a value, and its type where that is written."""
    match node:
        case ast.Assign(targets=[ast.Name() as name]):
            return name, ""
        case ast.AnnAssign(target=ast.Name() as name, value=ast.expr()):
            return name, ast.unparse(node.annotation)
        case _:
            return None, ""


def _begins_with_float(node: ast.stmt) -> bool:
    """Whether it is bound to such a tuple. mypyc 2.4 has the test for one that is not there yet the wrong way round."""
    match node:
        case ast.Assign(value=ast.Tuple(elts=[ast.Constant(value=float()), *_])):
            return True
        case ast.AnnAssign(value=ast.Tuple(elts=[ast.Constant(value=float()), *_])):
            return True
        case _:
            return False
