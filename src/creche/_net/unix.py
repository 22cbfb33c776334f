"""`connect_unix` and `create_unix_listener`: connections within one machine, by path.

Owns how UNIX stream sockets are made, and the sending of descriptors over them. Bytes go the way
of every stream (`stream.py`), files of sockets are kept in `socket_file.py`.

Rules
-----
* A received descriptor is in the result of the call or closed, however the call ends; it is not
  inherited.
* A SOCK_SEQPACKET socket carries packets: what was sent at once is received at once. An empty one
  would look like the end of the stream, so it is not sent.
* A file that this made goes when its socket does, and no other.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from collections.abc import Collection
from functools import partial
from io import IOBase
from socket import SocketKind
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeAlias

from .._exceptions import BrokenResourceError, BusyResourceError, EndOfStream
from .._kernel import current_kernel, current_task
from .._kernel.contract import BUDGET, Kernel
from .abc import SocketListener, UNIXSocketStream
from .adopt import check_adoptable
from .listener import DirectSocketListener
from .socket_file import SocketFile, bind_to_path, connection_failed, unix_address
from .stream import DirectSocketStream, Rest

if TYPE_CHECKING:
    from .socket_file import PathLike

StreamKind: TypeAlias = Literal[SocketKind.SOCK_STREAM, SocketKind.SOCK_SEQPACKET]

MAX_BACKLOG = 65536
SHORTEST_DELAY, LONGEST_DELAY = 0.001, 0.05
"""Seconds between attempts to connect to a listener whose queue is full: it doubles in between."""
NOT_INHERITED: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
MOST_DESCRIPTORS = 253
"""How many Linux takes at once."""


class DirectUNIXStream(DirectSocketStream, UNIXSocketStream):
    """The stream over a UNIX socket of type SOCK_STREAM."""

    __slots__ = ()

    bytes_per_credit: ClassVar[int] = 131072 // BUDGET
    """Fewer than for TCP: the system keeps 208 KiB for it at the most, and to run into that costs a
    wait for room (`unix-send-64k` in `benchmarks/`: on uvloop 14 µs for 18)."""

    async def send_fds(self, message: bytes, fds: Collection[int | IOBase]) -> None:
        """Send file descriptors to the peer, along with bytes. A checkpoint."""
        if not message:
            raise ValueError(
                "message must not be empty: the descriptors travel with its first byte"
            )
        if not fds:
            raise ValueError("fds must not be empty: use send() for bytes alone")
        numbers = array.array(
            "i", [each if isinstance(each, int) else each.fileno() for each in fds]
        )
        await current_task().ready_checkpoint()
        if self._sending:
            raise BusyResourceError("writing to")
        first = _First(self._raw_socket, message, numbers)
        self._sending = True
        try:
            try:
                first.push()
            except BlockingIOError:
                await self._watch.when_writable(first.push)
            if first.sent < len(message):
                with memoryview(message) as lent, lent.cast("B") as view:
                    await self._watch.when_writable(Rest(self._raw_socket, view, first.sent).push)
        except OSError as exc:
            _check_descriptors(exc, numbers)
            self._raise_for(exc)
        finally:
            self._sending = False

    async def receive_fds(self, msglen: int, maxfds: int) -> tuple[bytes, list[int]]:
        """Wait for bytes and the file descriptors that were sent with them. A checkpoint."""
        _check_number("msglen", msglen, 0, "a non-negative")
        _check_number("maxfds", maxfds, 1, "a positive")
        await current_task().ready_checkpoint()
        if self._receiving:
            raise BusyResourceError("reading from")
        take = partial(_take_with_descriptors, self._raw_socket, msglen, maxfds)
        self._receiving = True
        try:
            try:
                message, fds = take()
            except BlockingIOError:
                message, fds = await self._watch.when_readable(take)
        except OSError as exc:
            self._raise_for(exc)
        finally:
            self._receiving = False
        if not message and not fds and (msglen or self._at_end()):
            raise EndOfStream
        return message, fds

    def _at_end(self) -> bool:
        """Tell, after a look at no bytes at all, whether that is because there will be none."""
        try:
            return not self._raw_socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as exc:
            self._raise_for(exc)


class DirectSeqpacketStream(DirectUNIXStream):
    """The stream over a UNIX socket of type SOCK_SEQPACKET."""

    __slots__ = ()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for a packet and return it; what is beyond `max_bytes` of it is lost. A checkpoint."""
        try:
            return await super().receive(max_bytes)
        finally:
            self._drained = False  # a short packet does not mean that no other is there

    async def send(self, item: bytes | bytearray | memoryview) -> None:
        """Send a packet, waiting for room if there is none. A checkpoint."""
        if memoryview(item).nbytes:
            await super().send(item)
        elif self._closed or self._eof_sent:
            raise self._closed_error()
        else:
            await current_task().ready_checkpoint()

    def _raise_for(self, exc: OSError) -> NoReturn:
        if exc.errno == errno.EMSGSIZE:
            raise BrokenResourceError(
                f"the packet is too large for this {self!r}: send fewer bytes at once"
            ) from exc
        super()._raise_for(exc)


class DirectUNIXListener(DirectSocketListener):
    """The listener over a UNIX socket; removes the socket's file if it made that."""

    __slots__ = ("_file",)

    stream_type: ClassVar[type[DirectSocketStream]] = DirectUNIXStream

    def __init__(self, sock: socket.socket, kernel: Kernel, file: SocketFile | None = None) -> None:
        """Take over `sock`, listening and non-blocking, and its file."""
        super().__init__(sock, kernel)
        self._file = file

    def _leave(self) -> None:
        if self._file is not None:
            self._file.remove()


class DirectSeqpacketListener(DirectUNIXListener):
    """The listener over a UNIX socket of type SOCK_SEQPACKET."""

    __slots__ = ()

    stream_type: ClassVar[type[DirectSocketStream]] = DirectSeqpacketStream


async def connect_unix(
    path: PathLike, kind: StreamKind = SocketKind.SOCK_STREAM
) -> UNIXSocketStream:
    """Connect to a UNIX socket. A checkpoint. Not on Windows.

    If the queue of the listener is full, this waits until there is room.

    :param path: the path of the socket; an abstract address of Linux begins with a null
    :param kind: SOCK_STREAM, or SOCK_SEQPACKET for packets that stay whole
    :raises ConnectionFailed: there is no connecting, for example because nobody listens there. An
        OSError, also of the type of the system's, which is its cause.
    :raises ValueError: another kind
    """
    address = unix_address(path)
    _check_kind(kind)
    task = current_task()
    await task.ready_checkpoint()
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.setblocking(False)
        await _connect(sock, address, task.kernel)
        make = DirectUNIXStream if kind == socket.SOCK_STREAM else DirectSeqpacketStream
        return make(sock, sock.getpeername(), task.kernel)
    except OSError as exc:
        sock.close()
        raise connection_failed(exc, address) from exc
    except BaseException:
        sock.close()
        raise


async def create_unix_listener(
    path: PathLike,
    *,
    mode: int | None = None,
    backlog: int = MAX_BACKLOG,
    kind: StreamKind = SocketKind.SOCK_STREAM,
) -> SocketListener:
    """Listen for connections on a UNIX socket. A checkpoint. Not on Windows.

    The file of the socket is removed when the listener is closed. A socket file that an earlier
    process left behind is replaced; one that somebody listens on is in use.

    :param path: the path of the socket; an abstract address of Linux begins with a null
    :param mode: the permissions of the file, such as 0o600; what the umask leaves if omitted
    :param backlog: how many connections may wait to be accepted, at most 65536; the system may have
        a lower limit
    :param kind: SOCK_STREAM, or SOCK_SEQPACKET for packets that stay whole
    :raises OSError: there is no listening there, for example EADDRINUSE: somebody does already, or
        the file there is no socket
    :raises ValueError: another kind, or a mode for an abstract address
    """
    address = unix_address(path)
    _check_kind(kind)
    task = current_task()
    await task.ready_checkpoint()
    sock = socket.socket(socket.AF_UNIX, kind)
    file: SocketFile | None = None
    try:
        sock.setblocking(False)
        file = bind_to_path(sock, address, mode)
        sock.listen(min(backlog, MAX_BACKLOG))
        make = DirectUNIXListener if kind == socket.SOCK_STREAM else DirectSeqpacketListener
        return make(sock, task.kernel, file)
    except BaseException:
        if file is not None:
            file.remove()
        sock.close()
        raise


def _check_kind(kind: SocketKind) -> None:
    if kind not in (SocketKind.SOCK_STREAM, SocketKind.SOCK_SEQPACKET):
        raise ValueError(f"kind must be SOCK_STREAM or SOCK_SEQPACKET, not {kind!r}")


async def _connect(sock: socket.socket, address: str | bytes, kernel: Kernel) -> None:
    """Connect a non-blocking socket.

    Unlike TCP this succeeds at once or not at all, and the system does not tell when there is room
    in a full queue: so come back later, and still later.
    """
    delay = SHORTEST_DELAY
    while True:
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            pass
        await kernel.sleep_until(kernel.now() + delay)
        delay = min(delay * 2, LONGEST_DELAY)


class _First:
    """The part of a message that takes the descriptors along."""

    __slots__ = ("ancillary", "message", "sent", "sock")

    def __init__(self, sock: socket.socket, message: bytes, numbers: array.array[int]) -> None:
        self.sock = sock
        self.message = message
        self.ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        self.sent = 0

    def push(self) -> None:
        self.sent = self.sock.sendmsg([self.message], self.ancillary)


def _check_number(name: str, value: Any, least: int, kind: str) -> None:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be {kind} integer, not {value!r}")


def _check_descriptors(exc: OSError, numbers: array.array[int]) -> None:
    """Raise if it was the descriptors that the system refused."""
    if len(numbers) > MOST_DESCRIPTORS and exc.errno in (errno.EINVAL, errno.ETOOMANYREFS):
        raise ValueError(
            f"fds must not be more than {MOST_DESCRIPTORS} at once, and {len(numbers)} are: "
            "send them in several messages"
        ) from exc
    if exc.errno != errno.EBADF:
        return
    for number in numbers:
        try:
            os.fstat(number)
        except OSError:
            raise ValueError(f"fds must be open file descriptors, and {number} is not") from exc


def _take_with_descriptors(sock: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Receive bytes and descriptors, or raise BlockingIOError."""
    fds = array.array("i")
    # The exact length: with room for padding the system would fit in one more.
    room = socket.CMSG_LEN(most * fds.itemsize)
    message, ancillary, _, _ = sock.recvmsg(size, room, NOT_INHERITED)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return message, list(fds)


def adopt_unix_stream(sock_or_fd: socket.socket | int) -> DirectUNIXStream:
    """Return a stream of a connected UNIX socket that comes from elsewhere, or say what is wrong."""
    kernel = current_kernel()
    families: Any = {socket.AF_UNIX}
    sock = check_adoptable(sock_or_fd, "connected", socket.SOCK_STREAM, families)
    return DirectUNIXStream(sock, sock.getpeername(), kernel)
