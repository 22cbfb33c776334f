"""`UNIXSocketStream`: streams and packets within one machine, and descriptors.

Owns the sending of descriptors. `stream.py` has the bytes, `unix.py` the opening of such a connection.

Rules
-----
* A received descriptor is either in the result of the call or closed, however the call ends. It is
  not inherited.
* A SOCK_SEQPACKET socket carries packets: what one call sends, one call receives. An empty one
  would look like the end of the stream, so it is not sent.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from abc import abstractmethod
from collections.abc import Collection
from functools import partial
from io import IOBase
from typing import Any, ClassVar, NoReturn

from .._exceptions import BrokenResourceError, BusyResourceError, EndOfStream
from .._kernel import current_kernel, current_task
from .adopt import check_adoptable
from .stream import DirectSocketStream, Rest, SocketStream

NOT_INHERITED: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
MOST_DESCRIPTORS = 253
"""The most that Linux takes in one message."""


class UNIXSocketStream(SocketStream):
    """A connected stream over a UNIX socket, which carries file descriptors too."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> UNIXSocketStream:
        """In a running event loop, make a stream of a connected UNIX socket, which then
        belongs to the stream. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, not a UNIX socket, or not of type
            SOCK_STREAM; it then still belongs to the caller
        """
        kernel = current_kernel()
        families: Any = {socket.AF_UNIX}
        sock = check_adoptable(sock_or_fd, "connected", socket.SOCK_STREAM, families)
        return DirectUNIXStream(sock, sock.getpeername(), kernel)

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
        :raises ValueError: `msglen` is not an integer of at least 0, or `maxfds` not one of at least 1
        :raises ClosedResourceError: this stream was closed on this side
        :raises BusyResourceError: another task is receiving from it
        :raises EndOfStream: the peer has closed its end, and nothing is left
        :raises BrokenResourceError: the connection is gone; the system's error is the cause
        """


class DirectUNIXStream(DirectSocketStream, UNIXSocketStream):
    """The stream over a UNIX socket of type SOCK_STREAM."""

    __slots__ = ()

    _bytes_per_credit: ClassVar[int] = 1024
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
        """Tell, after a receive of no bytes, whether the stream has ended."""
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
            f"fds must be at most {MOST_DESCRIPTORS} at once, not {len(numbers)}: send them in several "
            "messages"
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
