"""Sockets that come from elsewhere: what they must be before a stream or listener takes them.

Knows nothing of streams. Its one rule: until every check has passed, the socket or descriptor
belongs to the caller and is as it was.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from .addresses import INTERNET


def check_adoptable(sock_or_fd: Any, *, connected: bool) -> socket.socket:
    """Return a stream socket that may be adopted, non-blocking from now on.

    :param sock_or_fd: a socket or the number of a descriptor
    :param connected: True if it must have a peer, False if it must be bound
    :raises TypeError: it is neither
    :raises ValueError: it is not what it must be
    """
    if isinstance(sock_or_fd, socket.socket):
        _check(sock_or_fd, connected)
        sock = sock_or_fd
    elif isinstance(sock_or_fd, int):
        sock = _socket_of(sock_or_fd)
        try:
            _check(sock, connected)
        except BaseException:
            sock.detach()  # or the collector would close the caller's descriptor
            raise
    else:
        raise TypeError(f"expected an int or socket, got {type(sock_or_fd).__qualname__} instead")
    sock.setblocking(False)
    return sock


def _socket_of(fd: int) -> socket.socket:
    try:
        return socket.socket(fileno=fd)
    except OSError as exc:
        if exc.errno not in (errno.ENOTSOCK, errno.EBADF):
            raise
        raise ValueError(f"the file descriptor does not refer to a socket: {fd}") from exc


def _check(sock: socket.socket, connected: bool) -> None:
    if connected:
        try:
            sock.getpeername()
        except OSError as exc:
            raise ValueError(
                f"the socket must be connected, and {sock!r} is not: connect it first"
            ) from exc
    elif not _is_bound(sock):
        raise ValueError(
            f"the socket must be bound to a local address, and {sock!r} is not: "
            "bind it and have it listen first"
        )
    if sock.type != socket.SOCK_STREAM:
        kind = getattr(sock.type, "name", sock.type)
        raise ValueError(f"socket type mismatch: expected SOCK_STREAM, got {kind}")


def _is_bound(sock: socket.socket) -> bool:
    try:
        address: Any = sock.getsockname()
    except OSError:
        return False
    return bool(address[1] if sock.family in INTERNET else address)
