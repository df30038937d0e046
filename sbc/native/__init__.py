"""What is read and written all the time, in C where that was built; see README.md.

Each of those that read or write takes the usual form and answers None to anything else. All are None where nothing was built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sbc.native.octets import Rows

Name = TypeVar("Name", bound=str)
Pairs = tuple[tuple[str, str | None], ...]
Fields = tuple[str, tuple[str, ...]]  # the name of a class, and its fields
StepsWriter = Callable[
    [
        list[object],
        list[object],
        list[object],
        tuple[object, ...],
        list[Any],
        list[bytes],
        dict[type, Fields],
        dict[str, tuple[str, ...]],
        Callable[[object], object],
    ],
    bytes | None,
]


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


def steps_writer() -> StepsWriter | None:
    """Writes JSON of the steps of a recording, `"times":"…","steps":[…]`, with `[[given …],input,[effects …],fault]` of each;
    a message is its flow, by number, and its length.

    steps     eight of each: input, octets and flow of a message (else b"" and None), monotonic and wall clock in a tuple,
              the last look at the timers, the end of its part of `given`, that of `effects`, fault
    given     of all steps
    effects   of all steps
    sent      the class of those that are messages, and the names of its fields: octets, flow, key, server name
    flows     empty; is given those that there are
    messages  empty; is given the octets of each
    fields    of the classes whose instances become an array of null, the name of their class and their fields
    met       is given the fields of those that there were, by name
    other     makes something of any other value that can be written instead, or its JSON as octets
    """
    try:
        from sbc.native.octets import write_steps
    except ImportError:
        return None
    return write_steps


def signs_finder() -> Callable[[bytes, tuple[bytes, ...], int], bool] | None:
    """Says whether octets, from a start on, hold one of the signs, which are in lower case, whatever the case."""
    try:
        from sbc.native.octets import holds_any
    except ImportError:
        return None
    return holds_any
