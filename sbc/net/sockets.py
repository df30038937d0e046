"""Sockets bound the way listeners need them."""

from __future__ import annotations

import socket

from sbc.errors import ConfigError


def open_udp(address: str, port: int) -> socket.socket:
    """A bound, non-blocking socket. Raises OSError. No SO_REUSEADDR: on UDP it would let a second process steal our port."""
    return _bound(socket.SOCK_DGRAM, address, port)


def open_stream(address: str, port: int, backlog: int) -> socket.socket:
    """A listening, non-blocking socket. Raises OSError. SO_REUSEADDR, so that a restart need not wait for TIME_WAIT."""
    sock = _bound(socket.SOCK_STREAM, address, port)
    try:
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 peers come by a listener of their own
        sock.setblocking(False)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def set_dscp(sock: socket.socket, dscp: int) -> None:
    """Have what is sent from now on marked with it (RFC 2474). ECN is the kernel's. Raises OSError."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def check_local(address: str, what: str) -> None:
    """Raises ConfigError when this machine does not have that address."""
    try:
        _bound(socket.SOCK_DGRAM, address, 0).close()
    except OSError as error:
        raise ConfigError(f"{what} {address}: this machine does not have that address; `ip address` shows those it has") from error
