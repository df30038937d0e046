"""Small readings of text from the network."""

from __future__ import annotations


def is_number(text: str, digits: int) -> bool:
    """Whether this is an unsigned decimal number of at most that many digits (`str.isdigit` alone takes any script's)."""
    return 0 < len(text) <= digits and text.isascii() and text.isdigit()
