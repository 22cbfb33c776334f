"""Sockets that come from elsewhere: what they must be before a stream or listener takes them.

Knows nothing of streams. Its one rule: until every check has passed, the socket or descriptor
belongs to the caller and is as it was.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from typing import Any, Literal

from .addresses import INTERNET

State = Literal["connected", "bound", "any"]
"""The state that a socket must be in: connected to a peer, bound to a local address, or neither."""


def check_adoptable(
    sock_or_fd: Any,
    state: State,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    families: Collection[int] = (),
) -> socket.socket:
    """Return a socket that may be adopted, non-blocking from now on.

    :param sock_or_fd: a socket or the number of a descriptor
    :param state: what must have been done with it
    :param kind: the type that it must have
    :param families: the address families that it may have; any if empty
    :raises TypeError: it is neither a socket nor a number
    :raises ValueError: it is not what it must be
    """
    if isinstance(sock_or_fd, socket.socket):
        _check(sock_or_fd, state, kind, families)
        sock = sock_or_fd
    elif isinstance(sock_or_fd, int):
        sock = _socket_of(sock_or_fd)
        try:
            _check(sock, state, kind, families)
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


def _check(
    sock: socket.socket, state: State, kind: socket.SocketKind, families: Collection[int]
) -> None:
    if state == "connected":
        try:
            sock.getpeername()
        except OSError as exc:
            raise ValueError(
                f"the socket must be connected, and {sock!r} is not: connect it first"
            ) from exc
    elif state == "bound" and not _is_bound(sock):
        advice = (
            "bind it and have it listen first" if kind == socket.SOCK_STREAM else "bind it first"
        )
        raise ValueError(
            f"the socket must be bound to a local address, and {sock!r} is not: {advice}"
        )
    if families and sock.family not in families:
        expected = " or ".join(_name(socket.AddressFamily(each)) for each in sorted(families))
        raise ValueError(f"address family mismatch: expected {expected}, got {_name(sock.family)}")
    if sock.type != kind:
        raise ValueError(f"socket type mismatch: expected {_name(kind)}, got {_name(sock.type)}")


def _name(number: Any) -> Any:
    """Return the name of a family or type, the number itself if it has none."""
    return getattr(number, "name", number)


def _is_bound(sock: socket.socket) -> bool:
    try:
        address: Any = sock.getsockname()
    except OSError:
        return False
    return bool(address[1] if sock.family in INTERNET else address)
