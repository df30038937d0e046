"""Resource-Priority (RFC 4412 s3.1) and the namespaces that are registered for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import is_token, split_rows

# RFC 4412 s12.6, RFC 7135 s2: values in rising order of priority
NAMESPACES: Mapping[str, tuple[str, ...]] = {
    "dsn": ("routine", "priority", "immediate", "flash", "flash-override"),
    "drsn": ("routine", "priority", "immediate", "flash", "flash-override", "flash-override-override"),
    "q735": ("4", "3", "2", "1", "0"),
    "ets": ("4", "3", "2", "1", "0"),
    "wps": ("4", "3", "2", "1", "0"),
    "esnet": ("0", "1", "2", "3", "4"),
}


@frozen
class ResourcePriority:
    """`namespace` and `value` in lower case: both are compared so."""

    namespace: str
    value: str

    @classmethod
    def parse(cls, text: str) -> ResourcePriority:
        """ParseError."""
        namespace, dot, value = text.partition(".")
        if not dot or "." in value or not is_token(namespace) or not is_token(value):
            raise ParseError("malformed Resource-Priority")
        return cls(namespace.lower(), value.lower())

    @property
    def known(self) -> bool:
        return self.value in NAMESPACES.get(self.namespace, ())

    def __str__(self) -> str:
        return f"{self.namespace}.{self.value}"


def parse_priorities(rows: Iterable[str]) -> list[ResourcePriority]:
    """All values of a message. ParseError."""
    return [ResourcePriority.parse(item) for item in split_rows(rows)]
