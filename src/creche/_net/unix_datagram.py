"""`create_unix_datagram_socket` and its connected counterpart: datagrams within one machine, by path.

Owns how such sockets are made, and how a sender waits for a slow receiver. `datagram.py` has the
waiting for datagrams, `socket_file.py` the files of sockets.

Rules
-----
* A datagram for a receiver whose queue is full waits; it is not lost. The sender's own socket cannot
  tell when there is room: the system calls it writable all the time. One that is connected to the
  receiver can, so a second socket watches for it; nothing here spins.
* A datagram can be larger here than with UDP. It is read into a buffer that is kept, because to ask
  the system for so much memory each time costs more than the datagram.
* A file that was made here goes with its socket, and no other file does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from .._abc.streams import UnreliableObjectStream
from .._exceptions import BusyResourceError
from .._kernel import current_kernel, current_task
from .._kernel.contract import Kernel, Watch
from .._misuse import check_bytes
from .addresses import public_address
from .adopt import check_adoptable
from .arguments import no_packet
from .attributes import SocketProvider
from .datagram import BYTES_PER_CREDIT, ConnectedDatagramSocket, DirectDatagramSocket
from .socket_file import PathLike, SocketFile, bind_to_path, connection_failed, unix_address

UNIXDatagramPacketType: TypeAlias = tuple[bytes, str]
"""A datagram, and the path of the socket that it comes from or goes to."""

MOST_BYTES = 262144
"""More than a datagram can have, unless its sender has raised SO_SNDBUF."""


class UNIXDatagramSocket(UnreliableObjectStream[UNIXDatagramPacketType], SocketProvider):
    """Sends datagrams to UNIX sockets, and receives them: items are `(data, path)`.

    The path of a sender that has none is None. Linux neither loses such datagrams nor changes
    their order.
    """

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> UNIXDatagramSocket:
        """In a running event loop, wrap a UNIX datagram socket, which then
        belongs to the new object. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not a UNIX socket, or not of type SOCK_DGRAM; it then
            still belongs to the caller
        """
        kernel = current_kernel()
        sock = check_adoptable(sock_or_fd, "any", socket.SOCK_DGRAM, {socket.AF_UNIX})
        return DirectUNIXDatagramSocket(sock, kernel)

    async def sendto(self, data: bytes, path: str) -> None:
        """Send a datagram: the same as `send((data, path))`. A checkpoint."""
        await self.send((data, path))


class ConnectedUNIXDatagramSocket(UnreliableObjectStream[bytes], SocketProvider):
    """Sends datagrams to one UNIX socket and receives them from it alone. Items are bytes."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> ConnectedUNIXDatagramSocket:
        """In a running event loop, wrap a connected UNIX datagram socket, which then
        belongs to the new object. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, not a UNIX socket, or not of type
            SOCK_DGRAM; it then still belongs to the caller
        """
        kernel = current_kernel()
        sock = check_adoptable(sock_or_fd, "connected", socket.SOCK_DGRAM, {socket.AF_UNIX})
        return DirectConnectedUNIXDatagramSocket(sock, sock.getpeername(), kernel)


class DirectUNIXDatagramSocket(DirectDatagramSocket[UNIXDatagramPacketType], UNIXDatagramSocket):
    """The UNIX datagram socket without a peer."""

    __slots__ = ("_file", "_kernel", "_scout")

    _kind = "UNIX datagram"

    def __init__(self, sock: socket.socket, kernel: Kernel, file: SocketFile | None = None) -> None:
        """Take over `sock`, non-blocking, and its file."""
        super().__init__(sock, None, kernel, partial(_take_from, sock, _buffer()))
        self._kernel = kernel
        self._file = file
        self._scout: Watch | None = None

    async def send(self, item: UNIXDatagramPacketType) -> None:
        """Send a datagram, waiting for room in the receiver's queue. A checkpoint.

        :param item: the bytes and the path to send them to, `(data, path)`
        :raises ClosedResourceError: this socket was closed, before or while this waited
        :raises BusyResourceError: another task is sending with it
        :raises BrokenResourceError: the datagram is too large, or nobody receives at the path; the
            system's error is the cause
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._sending:
            raise BusyResourceError("writing to")
        try:
            data, path = item
        except (TypeError, ValueError):
            raise no_packet(item, "(data, path)") from None
        sock = self._raw_socket
        try:
            task.spend(sock.sendto(data, path) // BYTES_PER_CREDIT)
            return
        except BlockingIOError:
            pass
        except OSError as exc:
            self._raise_for(exc, path)
        except TypeError:
            check_bytes("send", data, "")
            raise TypeError(
                f"the path that a datagram goes to must be a str, not {path!r}"
            ) from None
        await self._send_when_there_is_room(partial(sock.sendto, data, path), path)

    async def _send_when_there_is_room(self, put: Callable[[], int], path: str) -> None:
        """Wait for room in the socket's own buffer and in the receiver's queue, until both have some."""
        self._sending = True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as scout:
                scout.setblocking(False)
                scout.connect(path)
                await self._scout_out(scout, put)
        except OSError as exc:
            self._raise_for(exc, path)
        finally:
            self._sending = False

    async def _scout_out(self, scout: socket.socket, put: Callable[[], int]) -> None:
        """Send when the socket is writable and so is `scout`, which is connected to the receiver."""
        watch = self._scout = self._kernel.watch(scout)
        try:
            while True:
                await self._watch.when_writable(_nothing)
                await watch.when_writable(_nothing)
                try:
                    put()
                    return
                except BlockingIOError:
                    pass
        finally:
            self._scout = None
            watch.close()

    def _leave(self) -> None:
        if self._scout is not None:
            self._scout.close()
        if self._file is not None:
            self._file.remove()


class DirectConnectedUNIXDatagramSocket(ConnectedDatagramSocket, ConnectedUNIXDatagramSocket):
    """The UNIX datagram socket with a peer."""

    __slots__ = ("_file",)

    _kind = "UNIX datagram"

    def __init__(
        self, sock: socket.socket, peer: Any, kernel: Kernel, file: SocketFile | None = None
    ) -> None:
        """Take over `sock`, connected to `peer` and non-blocking, and its file."""
        super().__init__(sock, peer, kernel, partial(_take, sock, _buffer()))
        self._file = file

    def _leave(self) -> None:
        if self._file is not None:
            self._file.remove()


async def create_unix_datagram_socket(
    *, local_path: PathLike | None = None, local_mode: int | None = None
) -> UNIXDatagramSocket:
    """Create a UNIX socket that sends and receives datagrams. A checkpoint. Not on Windows.

    The file of the socket is removed when it is closed. A socket file that an earlier process left
    behind is replaced; one that somebody receives at is in use.

    :param local_path: the path to receive at; without one nobody can send to this socket
    :param local_mode: the permissions of the file, such as 0o600; what the umask leaves if omitted
    :raises OSError: the path cannot be bound, for example EADDRINUSE: somebody receives there, or the
        file there is no socket
    :raises ValueError: there is a mode, and no file
    """
    sock, file = await _create(local_path, local_mode)
    return DirectUNIXDatagramSocket(sock, current_kernel(), file)


async def create_connected_unix_datagram_socket(
    remote_path: PathLike,
    *,
    local_path: PathLike | None = None,
    local_mode: int | None = None,
) -> ConnectedUNIXDatagramSocket:
    """Create a UNIX socket that sends datagrams to one other and receives from it. A checkpoint.

    Not on Windows. The file of the socket is removed when it is closed.

    :param remote_path: the path of the peer
    :param local_path: the path to receive at; without one the peer cannot answer
    :param local_mode: the permissions of the file, such as 0o600; what the umask leaves if omitted
    :raises ConnectionFailed: the peer cannot be reached, for example because nobody receives there.
        An OSError, also of the type of the system's error, which is its cause.
    :raises OSError: `local_path` cannot be bound
    :raises ValueError: there is a mode, and no file
    """
    address = unix_address(remote_path)
    sock, file = await _create(local_path, local_mode)
    try:
        try:
            sock.connect(address)
            peer = sock.getpeername()
        except OSError as exc:
            raise connection_failed(exc, address) from exc
        return DirectConnectedUNIXDatagramSocket(sock, peer, current_kernel(), file)
    except BaseException:
        if file is not None:
            file.remove()
        sock.close()
        raise


async def _create(
    path: PathLike | None, mode: int | None
) -> tuple[socket.socket, SocketFile | None]:
    """Return a non-blocking socket, bound if there is a path to bind it to. A checkpoint."""
    address = unix_address(path if path is not None else "")
    if path is None and mode is not None:
        raise ValueError("local_mode is the mode of the file at local_path: give that too")
    await current_task().ready_checkpoint()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        return sock, None if path is None else bind_to_path(sock, address, mode)
    except BaseException:
        sock.close()
        raise


def _take_from(sock: socket.socket, buffer: memoryview) -> UNIXDatagramPacketType:
    size, path = sock.recvfrom_into(buffer)
    return bytes(buffer[:size]), public_address(path)


def _take(sock: socket.socket, buffer: memoryview) -> bytes:
    return bytes(buffer[: sock.recv_into(buffer)])


def _buffer() -> memoryview:
    """Return room for any datagram. The system gives it memory where it is first written to."""
    return memoryview(bytearray(MOST_BYTES))


def _nothing() -> None:
    """Do nothing, once the socket is ready."""
