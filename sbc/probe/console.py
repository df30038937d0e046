"""What the test peers share with the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from sbc.errors import ConfigError
from sbc.flow import Address

Say = Callable[[str], None]


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parse_address(text: str, default_port: int) -> Address:
    """`host`, `host:port` or `[v6]:port`. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if text.endswith("]") or not colon:
        host, port = text, str(default_port)
    if not (port.isascii() and port.isdigit()) or int(port) > 65535 or not host or (":" in host and host[0] != "["):
        raise ConfigError(f"{text}: not an address with a port, such as 127.0.0.1:5060 or [::1]:5060")
    return host.strip("[]"), int(port)
