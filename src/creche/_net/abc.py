"""What every stream and listener over a socket promises, whatever moves its bytes.

Owns the keys of `SocketAttribute`, the answers to them (`SocketProvider`), and the abstract
`SocketStream` and `SocketListener`. Knows no event loop, and never reads or writes a socket.

Rules
-----
* `_raw_socket` is the standard library's socket, non-blocking; libraries read that name.
* Addresses are shown as `(host, port)`, also for IPv6, and as a path for UNIX sockets.
* The address of the peer is kept from the start: it can be asked for when the peer is long gone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from socket import AddressFamily, socket
from typing import Any, Literal, TypeAlias

from .._abc.streams import ByteStream, Listener
from .._typedattr import TypedAttributeProvider, TypedAttributeSet, typed_attribute
from .addresses import INTERNET, public_address

IPAddressType: TypeAlias = str | IPv4Address | IPv6Address
"""A host name, or an address as text or as an object of the `ipaddress` module."""
IPSockAddrType: TypeAlias = tuple[str, int]
"""An address and a port."""
SockAddrType: TypeAlias = IPSockAddrType | str
"""An address and a port, or the path of a UNIX socket."""
AnyIPAddressFamily: TypeAlias = Literal[
    AddressFamily.AF_UNSPEC, AddressFamily.AF_INET, AddressFamily.AF_INET6
]
"""IPv4, IPv6, or either of them."""


class SocketAttribute(TypedAttributeSet):
    """Keys of what a stream or listener over a socket can tell with `extra()`."""

    family: AddressFamily = typed_attribute()
    """the address family of the socket"""
    local_address: SockAddrType = typed_attribute()
    """the address the socket is bound to"""
    local_port: int = typed_attribute()
    """the port the socket is bound to, for IPv4 and IPv6"""
    raw_socket: socket = typed_attribute()
    """the standard library's socket; leave its reading and writing to the stream"""
    remote_address: SockAddrType = typed_attribute()
    """the address of the peer, for connected sockets"""
    remote_port: int = typed_attribute()
    """the port of the peer, for connected IPv4 and IPv6 sockets"""


class SocketProvider(TypedAttributeProvider):
    """Answers `extra(SocketAttribute...)` from a socket."""

    __slots__ = ()

    _raw_socket: socket

    def _peer(self) -> Any:
        """Return the peer's address as the system gave it, None if there is no peer."""
        return None

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the socket; local ones only for as long as it is open."""
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


class SocketStream(ByteStream, SocketProvider):
    """A connected stream of bytes over a socket. Answers every key of `SocketAttribute`."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> SocketStream:
        """Make a stream of a connected stream socket, which from then on belongs to the stream.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, or not of type SOCK_STREAM; it then
            still belongs to the caller
        """
        from .stream import adopt_stream  # that module builds on this one

        return adopt_stream(sock_or_fd)


class SocketListener(Listener[SocketStream], SocketProvider):
    """Accepts connections on a socket."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> SocketListener:
        """Make a listener of a bound, listening socket, which from then on belongs to it.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not bound, or not of type SOCK_STREAM; it then still
            belongs to the caller
        """
        from .listener import adopt_listener  # that module builds on this one

        return adopt_listener(sock_or_fd)

    @abstractmethod
    async def accept(self) -> SocketStream:
        """Wait for the next connection and return its stream. A checkpoint.

        :raises ClosedResourceError: the listener was closed, before or while this waited
        :raises BusyResourceError: another task is in `accept()` of this listener
        :raises OSError: the system can give no descriptor for it (EMFILE, ENFILE, ENOBUFS, ENOMEM)
        """
