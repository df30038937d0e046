"""Lists of tokens: Supported, Require, Proxy-Require, Unsupported, Allow, Allow-Events, Privacy."""

from __future__ import annotations

from collections.abc import Iterable


def parse_tokens(rows: Iterable[str]) -> tuple[str, ...]:
    """The tokens in order, as written, each once. Nothing is refused: what is no token matches no token either."""
    return tuple(dict.fromkeys([item for row in rows for part in row.split(",") if (item := part.strip(" \t"))]))
