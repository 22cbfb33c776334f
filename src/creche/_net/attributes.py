"""What any object over a socket can say about it with `extra()`: `SocketAttribute`, `SocketProvider`.

Owns the keys and the answers. Knows no event loop, and never reads or writes a socket.

Rules
-----
* `_raw_socket` is the standard library's socket, non-blocking; libraries read that name.
* Addresses are shown as `(host, port)`, also for IPv6, and as a path for UNIX sockets.
* The address of the peer is stored at the start, so it is still known when the peer is gone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from socket import AddressFamily
from typing import Any

from .._abc.typed_attributes import TypedAttributeProvider, TypedAttributeSet, typed_attribute
from .addresses import INTERNET, SockAddrType, public_address


class SocketAttribute(TypedAttributeSet):
    """The keys of `extra()` that a stream or listener over a socket can answer."""

    family: AddressFamily = typed_attribute()
    """the address family of the socket"""
    local_address: SockAddrType = typed_attribute()
    """the address the socket is bound to"""
    local_port: int = typed_attribute()
    """the port the socket is bound to, for IPv4 and IPv6"""
    raw_socket: socket.socket = typed_attribute()
    """the standard library's socket; leave its reading and writing to the stream"""
    remote_address: SockAddrType = typed_attribute()
    """the address of the peer, for connected sockets"""
    remote_port: int = typed_attribute()
    """the port of the peer, for connected IPv4 and IPv6 sockets"""


class SocketProvider(TypedAttributeProvider):
    """Answers `extra(SocketAttribute...)` from a socket."""

    __slots__ = ()

    _raw_socket: socket.socket

    def _close_with_loop(self) -> None:
        """Close the socket if its event loop has ended: nobody can wait for it any more."""

    def _peer(self) -> Any:
        """Return the peer's address as the system gave it, None if there is no peer."""
        return None

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the socket; local ones only for as long as it is open."""
        self._close_with_loop()
        sock = self._raw_socket
        attributes: dict[Any, Callable[[], Any]] = {
            SocketAttribute.family: lambda: sock.family,
            SocketAttribute.raw_socket: lambda: sock,
        }
        if sock.fileno() >= 0:
            attributes[SocketAttribute.local_address] = lambda: public_address(sock.getsockname())
            if sock.family in INTERNET:
                attributes[SocketAttribute.local_port] = lambda: sock.getsockname()[1]
        peer = self._peer()
        if peer is not None:
            attributes[SocketAttribute.remote_address] = lambda: public_address(peer)
            if sock.family in INTERNET:
                attributes[SocketAttribute.remote_port] = lambda: peer[1]
        return attributes
