"""What is read and written all the time, in C where that was built; see README.md.

Each of these takes the usual form and answers None to anything else, and is None itself where nothing was built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sbc.native.octets import Rows

Name = TypeVar("Name", bound=str)
Pairs = tuple[tuple[str, str | None], ...]


def rows(known: dict[str, Name], fold: Callable[[str], Name], unwritten: Name) -> Rows[Name] | None:
    """Reads and writes the rows of messages.

    known       names by the usual texts
    fold        makes a name of any other text
    unwritten   the name that is never written
    """
    try:
        from sbc.native.octets import Rows
    except ImportError:
        return None
    return Rows(known, fold, unwritten)


def params_reader() -> Callable[[str], Pairs | None] | None:
    """Reads parameters."""
    try:
        from sbc.native.octets import read_params
    except ImportError:
        return None
    return read_params


def json_writer() -> Callable[[object], bytes | None] | None:
    """Writes a line of JSON."""
    try:
        from sbc.native.octets import write_json
    except ImportError:
        return None
    return write_json
