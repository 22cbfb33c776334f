"""What every stream, listener and datagram socket promises, whatever moves its bytes.

Owns the keys of `SocketAttribute`, the answers to them (`SocketProvider`), and the abstract
classes of sockets. Knows no event loop, and never reads or writes a socket.

Rules
-----
* `_raw_socket` is the standard library's socket, non-blocking; libraries read that name.
* Addresses are shown as `(host, port)`, also for IPv6, and as a path for UNIX sockets.
* The address of the peer is kept from the start: it can be asked for when the peer is long gone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from io import IOBase
from ipaddress import IPv4Address, IPv6Address
from socket import AddressFamily, socket
from typing import Any, Literal, TypeAlias

from .._abc.streams import ByteStream, Listener, UnreliableObjectStream
from .._abc.typed_attributes import TypedAttributeProvider, TypedAttributeSet, typed_attribute
from .addresses import INTERNET, public_address

IPAddressType: TypeAlias = str | IPv4Address | IPv6Address
"""A host name, or an address as text or as an object of the `ipaddress` module."""
IPSockAddrType: TypeAlias = tuple[str, int]
"""An address and a port."""
SockAddrType: TypeAlias = IPSockAddrType | str
"""An address and a port, or the path of a UNIX socket."""
UDPPacketType: TypeAlias = tuple[bytes, IPSockAddrType]
"""A datagram, and the address and port that it comes from or goes to."""
UNIXDatagramPacketType: TypeAlias = tuple[bytes, str]
"""A datagram, and the path of the socket that it comes from or goes to."""
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


class UNIXSocketStream(SocketStream):
    """A connected stream over a UNIX socket, which carries file descriptors too."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> UNIXSocketStream:
        """Make a stream of a connected UNIX socket, which from then on belongs to the stream.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, not a UNIX socket, or not of type
            SOCK_STREAM; it then still belongs to the caller
        """
        from .unix import adopt_unix_stream  # that module builds on this one

        return adopt_unix_stream(sock_or_fd)

    @abstractmethod
    async def send_fds(self, message: bytes, fds: Collection[int | IOBase]) -> None:
        """Send file descriptors to the peer, along with bytes. A checkpoint.

        The peer gets duplicates; those here stay open, and can be closed as soon as this returns.

        :param message: at least one byte
        :param fds: numbers of descriptors, or files and sockets
        :raises ValueError: there is no byte or no descriptor to send, or one of them is not open
        :raises ClosedResourceError: this stream was closed on this side, or `send_eof` was called
        :raises BusyResourceError: another task is sending to it
        :raises BrokenResourceError: the connection is gone; the system's error is the cause
        """

    @abstractmethod
    async def receive_fds(self, msglen: int, maxfds: int) -> tuple[bytes, list[int]]:
        """Wait for bytes and the file descriptors that were sent with them. A checkpoint.

        The descriptors belong to the caller, who closes them. They are not inherited by programs
        that are started here. Those beyond `maxfds` are closed by the system.

        :param msglen: the most bytes to return
        :param maxfds: the most descriptors to return
        :return: the bytes, and a list of the numbers of the descriptors, empty if none came
        :raises ValueError: `msglen` or `maxfds` is not a number that makes sense
        :raises ClosedResourceError: this stream was closed on this side
        :raises BusyResourceError: another task is receiving from it
        :raises EndOfStream: the peer has closed its end, and nothing is left
        :raises BrokenResourceError: the connection is gone; the system's error is the cause
        """


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


class UDPSocket(UnreliableObjectStream[UDPPacketType], SocketProvider):
    """Sends datagrams anywhere, and receives them from anywhere: items are `(data, (host, port))`.

    Answers the keys of `SocketAttribute` but for those of a peer.
    """

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> UDPSocket:
        """Make this of a bound UDP socket, which from then on belongs to the new object.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not bound, not of IPv4 or IPv6, or not of type
            SOCK_DGRAM; it then still belongs to the caller
        """
        from .udp import adopt_udp  # that module builds on this one

        return adopt_udp(sock_or_fd)

    async def sendto(self, data: bytes, host: str, port: int) -> None:
        """Send a datagram: the same as `send((data, (host, port)))`. A checkpoint."""
        await self.send((data, (host, port)))


class ConnectedUDPSocket(UnreliableObjectStream[bytes], SocketProvider):
    """Sends datagrams to one peer and receives them from it alone. Items are bytes.

    Answers every key of `SocketAttribute`.
    """

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> ConnectedUDPSocket:
        """Make this of a connected datagram socket, which from then on belongs to the new object.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, or not of type SOCK_DGRAM; it then still
            belongs to the caller
        """
        from .udp import adopt_connected_udp  # that module builds on this one

        return adopt_connected_udp(sock_or_fd)


class UNIXDatagramSocket(UnreliableObjectStream[UNIXDatagramPacketType], SocketProvider):
    """Sends datagrams to UNIX sockets, and receives them: items are `(data, path)`.

    The path of a sender that has none is None. Linux neither loses such datagrams nor changes
    their order.
    """

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> UNIXDatagramSocket:
        """Make this of a UNIX datagram socket, which from then on belongs to the new object.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not a UNIX socket, or not of type SOCK_DGRAM; it then
            still belongs to the caller
        """
        from .unix_datagram import adopt_unix_datagram  # that module builds on this one

        return adopt_unix_datagram(sock_or_fd)

    async def sendto(self, data: bytes, path: str) -> None:
        """Send a datagram: the same as `send((data, path))`. A checkpoint."""
        await self.send((data, path))


class ConnectedUNIXDatagramSocket(UnreliableObjectStream[bytes], SocketProvider):
    """Sends datagrams to one UNIX socket and receives them from it alone. Items are bytes."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket | int) -> ConnectedUNIXDatagramSocket:
        """Make this of a connected UNIX datagram socket, which from then on belongs to it.

        Does not wait; it needs a running event loop.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, not a UNIX socket, or not of type
            SOCK_DGRAM; it then still belongs to the caller
        """
        from .unix_datagram import adopt_connected_unix_datagram  # that module builds on this one

        return adopt_connected_unix_datagram(sock_or_fd)
