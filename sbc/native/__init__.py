"""What is read and written all the time, in C where that was built; see README.md.

Each of those that read or write takes the usual form and answers None to anything else. All are None where nothing was built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sbc.native.octets import Rows

Name = TypeVar("Name", bound=str)
Pairs = tuple[tuple[str, str | None], ...]
Fields = tuple[str, tuple[str, ...]]  # the name of a class, and its fields
ValuesWriter = Callable[[object, dict[type, Fields], dict[str, tuple[str, ...]], Callable[[object], object]], bytes | None]


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


def values_writer() -> ValuesWriter | None:
    """Writes JSON of values of ours.

    fields   of the classes whose instances become an array of null, the name of their class and their fields
    met      is given the fields of those that there were, by name
    other    makes something of any other value that can be written instead
    """
    try:
        from sbc.native.octets import write_values
    except ImportError:
        return None
    return write_values


def signs_finder() -> Callable[[bytes, tuple[bytes, ...]], bool] | None:
    """Says whether octets hold one of the signs, which are in lower case, whatever the case."""
    try:
        from sbc.native.octets import holds_any
    except ImportError:
        return None
    return holds_any
