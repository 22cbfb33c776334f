"""`create_udp_socket` and `create_connected_udp_socket`: datagrams over IPv4 and IPv6.

Owns how UDP sockets are made, and how addresses of datagrams are read and written. The waiting is
in `datagram.py`.

Rules
-----
* An address as text goes to the system as it is. A name is looked up first, in a thread, because the
  system's own call would block the event loop.
* A socket that does not become part of the result is closed before the call returns or raises.
* An error says which address it is about, and keeps its number and type.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from socket import AddressFamily
from typing import Any, TypeAlias

from .._abc.streams import UnreliableObjectStream
from .._exceptions import BusyResourceError, ConnectionFailed
from .._kernel import current_kernel, current_task
from .._kernel.contract import Kernel
from .addresses import (
    INTERNET,
    AnyIPAddressFamily,
    IPAddressType,
    IPSockAddrType,
    Resolved,
    describe,
    public_address,
    resolve,
    say_what,
)
from .adopt import check_adoptable
from .arguments import checked_host, checked_port, explain_packet, no_packet
from .attributes import SocketProvider
from .datagram import BYTES_PER_CREDIT, ConnectedDatagramSocket, DirectDatagramSocket

UDPPacketType: TypeAlias = tuple[bytes, IPSockAddrType]
"""A datagram, and the address and port that it comes from or goes to."""

WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
PACKET = "(data, (host, port))"
MOST_BYTES = 65536
"""No datagram of IPv4 or IPv6 is longer, jumbograms aside."""


class UDPSocket(UnreliableObjectStream[UDPPacketType], SocketProvider):
    """Sends datagrams anywhere, and receives them from anywhere: items are `(data, (host, port))`.

    Answers the keys of `SocketAttribute` but for those of a peer.
    """

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> UDPSocket:
        """In a running event loop, wrap a bound UDP socket, which then
        belongs to the new object. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not bound, not of IPv4 or IPv6, or not of type
            SOCK_DGRAM; it then still belongs to the caller
        """
        kernel = current_kernel()
        sock = check_adoptable(sock_or_fd, "bound", socket.SOCK_DGRAM, INTERNET)
        return DirectUDPSocket(sock, kernel)

    async def sendto(self, data: bytes, host: str, port: int) -> None:
        """Send a datagram: the same as `send((data, (host, port)))`. A checkpoint."""
        await self.send((data, (host, port)))


class ConnectedUDPSocket(UnreliableObjectStream[bytes], SocketProvider):
    """Sends datagrams to one peer and receives them from it alone. Items are bytes.

    Answers every key of `SocketAttribute`.
    """

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> ConnectedUDPSocket:
        """In a running event loop, wrap a connected datagram socket, which then
        belongs to the new object. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, or not of type SOCK_DGRAM; it then still
            belongs to the caller
        """
        kernel = current_kernel()
        sock = check_adoptable(sock_or_fd, "connected", socket.SOCK_DGRAM)
        return DirectConnectedUDPSocket(sock, sock.getpeername(), kernel)


class DirectUDPSocket(DirectDatagramSocket[UDPPacketType], UDPSocket):
    """The UDP socket without a peer."""

    __slots__ = ("_family", "_numeric")

    _kind = "UDP"

    def __init__(self, sock: socket.socket, kernel: Kernel) -> None:
        """Take over `sock`, bound and non-blocking."""
        take = sock.recvfrom if sock.family == socket.AF_INET else partial(_take_from, sock)
        super().__init__(sock, None, kernel, partial(take, MOST_BYTES))
        self._family = sock.family
        self._numeric: Any = object()
        """The last address that was not a name: most datagrams go where the last one went."""

    async def send(self, item: UDPPacketType) -> None:
        """Send a datagram, waiting for room if there is none. A checkpoint.

        :param item: the bytes and the address to send them to, `(data, (host, port))`. A name is
            looked up each time, so an address as text is better.
        :raises ClosedResourceError: this socket was closed, before or while this waited
        :raises BusyResourceError: another task is sending with it
        :raises BrokenResourceError: the datagram is too large, or the system reports a failure; its
            error is the cause
        :raises socket.gaierror: there is no such host. An OSError.
        :raises OverflowError: the port is not in 0-65535
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._sending:
            raise BusyResourceError("writing to")
        try:
            data, address = item
        except (TypeError, ValueError):
            raise no_packet(item, PACKET) from None
        if address != self._numeric:
            address = await self._target(address)
        sock = self._raw_socket
        try:
            task.spend(sock.sendto(data, address) // BYTES_PER_CREDIT)
            return
        except BlockingIOError:
            pass
        except OSError as exc:
            self._raise_for(exc, address)
        except TypeError:
            explain_packet(data, address[1])
            raise
        await self._push(lambda: sock.sendto(data, address), address)

    async def _target(self, address: Any) -> Any:
        """Return an address that the system takes without looking up a name."""
        try:
            host, port = address
            host = checked_host(host, "host")
        except (TypeError, ValueError):
            raise TypeError(
                f"expected an item {PACKET}, and the address in it is {address!r}"
            ) from None
        try:
            socket.inet_pton(self._family, host)
        except OSError:
            pass  # a name then
        else:
            self._numeric = host, port
            return self._numeric
        if self._raw_socket.fileno() < 0:
            raise self._closed_error()
        # The platform has no such flag, and does not do what it turns off.
        mapped: int = getattr(socket, "AI_V4MAPPED", 0)
        flags = mapped if self._family == socket.AF_INET6 else 0
        return (await _find(host, port, self._family, flags))[0][4]


class DirectConnectedUDPSocket(ConnectedDatagramSocket, ConnectedUDPSocket):
    """The UDP socket with a peer."""

    __slots__ = ()

    _kind = "UDP"

    def __init__(self, sock: socket.socket, peer: Any, kernel: Kernel) -> None:
        """Take over `sock`, connected to `peer` and non-blocking."""
        super().__init__(sock, peer, kernel, partial(sock.recv, MOST_BYTES))


async def create_udp_socket(
    family: AnyIPAddressFamily = AddressFamily.AF_UNSPEC,
    *,
    local_host: IPAddressType | None = None,
    local_port: int = 0,
    reuse_port: bool = False,
) -> UDPSocket:
    """Create a socket that sends and receives datagrams. A checkpoint.

    :param family: IPv4 or IPv6; that of `local_host` if omitted
    :param local_host: the name or address to receive on; every interface if omitted
    :param local_port: the port to receive on; if 0 the system chooses a free one
    :param reuse_port: let several sockets receive on the same port; not on Windows
    :raises ValueError: neither `family` nor `local_host` is given, or `reuse_port` is true where the
        system does not have it
    :raises OSError: the address cannot be bound, for example EADDRINUSE: the port is taken
    :raises socket.gaierror: there is no such host. An OSError.
    :raises OverflowError: the port is not in 0-65535
    """
    if family == AddressFamily.AF_UNSPEC and local_host is None:
        raise ValueError(
            'Either "family" or "local_host" must be given: for example local_host="127.0.0.1", or '
            "family=AddressFamily.AF_INET for every interface"
        )
    _check_reuse_port(reuse_port)
    host = checked_host(local_host, "local_host") if local_host is not None else None
    port = checked_port(local_port, "local_port")
    found = await _find(host, port, family, socket.AI_PASSIVE)
    return DirectUDPSocket(_bound(found[0][0], found[0][4], reuse_port), current_kernel())


async def create_connected_udp_socket(
    remote_host: IPAddressType,
    remote_port: int,
    *,
    family: AnyIPAddressFamily = AddressFamily.AF_UNSPEC,
    local_host: IPAddressType | None = None,
    local_port: int = 0,
    reuse_port: bool = False,
) -> ConnectedUDPSocket:
    """Create a socket that sends datagrams to one peer and receives them from it. A checkpoint.

    Nothing is sent by this call, so it succeeds also if there is nobody at the other end.

    :param remote_host: the name or address of the peer
    :param remote_port: its port
    :param family: IPv4 or IPv6; that of the hosts if omitted
    :param local_host: the name or address to send from; the system chooses if omitted
    :param local_port: the port to send from; if 0 the system chooses a free one
    :param reuse_port: let several sockets use the same local port; not on Windows
    :raises ValueError: `reuse_port` where the system does not have it
    :raises ConnectionFailed: there is no route to the peer. An OSError; the system's is its cause.
    :raises OSError: the local address cannot be bound, for example EADDRINUSE: the port is taken
    :raises socket.gaierror: there is no such host, or it has no address of the family. An OSError.
    :raises OverflowError: a port is not in 0-65535
    """
    _check_reuse_port(reuse_port)
    there = checked_host(remote_host, "remote_host")
    port_there = checked_port(remote_port, "remote_port", needed=True)
    port = checked_port(local_port, "local_port")
    locals_: dict[int, Any] = {
        each: (text, port) if port else None for each, text in WILDCARDS.items()
    }
    if local_host is not None:
        here = checked_host(local_host, "local_host")
        found = await _find(here, port, family)
        locals_ = {each[0]: each[4] for each in reversed(found)}
    for remote in await _find(there, port_there, family):
        if remote[0] in locals_:
            return _connected(remote[0], locals_[remote[0]], remote[4], reuse_port)
    raise socket.gaierror(
        socket.EAI_FAMILY,
        f"Address family for hostname not supported: {local_host} and {remote_host} have no address "
        "of the same family",
    )


def _check_reuse_port(reuse_port: bool) -> None:
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError(f"reuse_port is not supported on {sys.platform}: leave it False")


async def _find(host: str | None, port: Any, family: int, flags: int = 0) -> list[Resolved]:
    """Ask the resolver for addresses of datagram sockets."""
    return await resolve(host, port, family=family, type=socket.SOCK_DGRAM, flags=flags)


def _bound(family: int, address: Any, reuse_port: bool) -> socket.socket:
    """Return a non-blocking UDP socket, bound to `address` unless that is None."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address is not None:
            try:
                sock.bind(address)
            except OSError as exc:
                say_what(exc, f", binding to {describe(address)}")
                raise
    except BaseException:
        sock.close()
        raise
    return sock


def _connected(family: int, local: Any, remote: Any, reuse_port: bool) -> DirectConnectedUDPSocket:
    sock = _bound(family, local, reuse_port)
    try:
        sock.connect(remote)
        return DirectConnectedUDPSocket(sock, sock.getpeername(), current_kernel())
    except OSError as exc:
        sock.close()
        text = f"{exc.strerror}, connecting to {describe(remote)}"
        raise ConnectionFailed(exc.errno, text) from exc
    except BaseException:
        sock.close()
        raise


def _take_from(sock: socket.socket, size: int) -> UDPPacketType:
    """Receive over IPv6, whose addresses have more parts than users see."""
    data, address = sock.recvfrom(size)
    return data, public_address(address)
