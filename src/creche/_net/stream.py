"""`SocketStream`: a connected socket, read and written through its descriptor.

Owns the socket (with `owned.py`). Knows neither how the connection was made nor what the bytes mean, and
of the event loop only `Watch`.

    open --send_eof--> half-closed --aclose--> closed
    open --aclose--> closed

    state         receive               send                  send_eof
    open          works                 works                 works, once
    half-closed   works                 ClosedResourceError   does nothing
    closed        ClosedResourceError   ClosedResourceError   ClosedResourceError

Rules
-----
* Try first, and wait only when the system says that it would block. The hot path is a checkpoint,
  a flag and a system call; `tcp-ping-pong` and `tcp-send-256` in `benchmarks/` measure it.
* One reader and one writer at a time. A flag is up only while a task waits.
* A read that took less than it could has left nothing: the next one waits at once, without a call
  that can only fail. An event reports whatever has come meanwhile, for readiness is level-triggered
  (on uvloop `tcp-ping-pong` went from 1.22 to 1.05 of the streams').
* Sends are charged by the byte. Giving way after every few dozen small ones would have the reader empty the
  socket each time, so that each travels as a packet of its own, at three times the price of sends
  that the system may join (`tcp-send-256`: 2.1 of asyncio's streams, this way 0.7); giving way
  after as many large ones has more under way than a processor's cache holds (`tcp-send-64k`: 25 µs,
  this way 17). In a loop of sends others wait for 512 KiB or 2,000 sends, about 2 ms at the most.
* Whether the stream is closed is asked when a call has failed, or before a wait, not on every call:
  a closed socket has no descriptor, and the system refuses it.
* The system's error stays the `__cause__`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NoReturn

from .._abc.streams import ByteStream
from .._exceptions import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
)
from .._kernel import current_kernel, current_task
from .._kernel.contract import Kernel
from .._misuse import check_bytes
from .addresses import INTERNET, describe
from .adopt import check_adoptable
from .attributes import SocketProvider
from .options import set_where_there
from .owned import OwnedSocket

SEND_PRICE = 256
"""What a send costs beside its bytes, in bytes."""
MOST_DROPS = 64
"""After 4 MiB the peer is one that never stops."""


class SocketStream(ByteStream, SocketProvider):
    """A connected stream of bytes over a socket. Answers every key of `SocketAttribute`."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> SocketStream:
        """In a running event loop, make a stream of a connected stream socket, which then
        belongs to the stream. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not connected, or not of type SOCK_STREAM; it then
            still belongs to the caller
        """
        kernel = current_kernel()
        sock = check_adoptable(sock_or_fd, "connected")
        return DirectSocketStream(sock, sock.getpeername(), kernel)


class DirectSocketStream(OwnedSocket, SocketStream):
    """The stream over a connected socket of any family."""

    __slots__ = (
        "_drained",
        "_eof_sent",
        "_peer_address",
        "_receiving",
        "_sending",
        "_size",
        "_take",
        "_unpaid",
    )

    _bytes_per_credit: ClassVar[int] = 4096
    """Chosen so that sends give way after 512 KiB, with the usual budget."""

    def __init__(self, sock: socket.socket, peer: Any, kernel: Kernel) -> None:
        """Take over `sock`, connected to `peer` and non-blocking."""
        if sock.family in INTERNET:
            _send_small_segments_at_once(sock)
        super().__init__(sock, kernel)
        self._peer_address = peer
        self._receiving = self._sending = self._drained = self._eof_sent = False
        self._unpaid = self._size = 0
        self._take: Callable[[], bytes] = bytes  # receives up to `_size` bytes, of the last wait

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {state}, to {describe(self._peer_address)}>"

    def _peer(self) -> Any:
        return self._peer_address

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for bytes and return at least one of them. A checkpoint.

        :param max_bytes: the most to return, in bytes; at least 1
        :raises ValueError: `max_bytes` is less than 1
        :raises ClosedResourceError: this stream was closed on this side, before or while this
            waited
        :raises BusyResourceError: another task is receiving from it
        :raises EndOfStream: the peer has closed its end, and nothing is left
        :raises BrokenResourceError: the connection is gone; the system's error is the cause
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        task = current_task()
        await task.ready_checkpoint()
        if self._receiving:
            raise BusyResourceError("reading from")
        data: bytes | None = None
        if not self._drained:
            try:
                data = self._raw_socket.recv(max_bytes)
            except BlockingIOError:
                pass
            except OSError as exc:
                self._raise_for(exc)
        if data is None:
            if self._raw_socket.fileno() < 0:
                raise self._closed_error()
            if max_bytes != self._size:
                self._take, self._size = partial(self._raw_socket.recv, max_bytes), max_bytes
            self._receiving = True
            try:
                data = await self._watch.when_readable(self._take, task)
            except OSError as exc:
                self._raise_for(exc)
            finally:
                self._receiving = False
        if data:
            self._drained = len(data) < max_bytes
            return data
        raise EndOfStream

    async def send(self, item: bytes | bytearray | memoryview) -> None:
        """Send all of the bytes, waiting for room as often as that takes. A checkpoint.

        If it is cancelled, any part of `item` may have been sent, and no more of it will be.

        :param item: bytes, or any object that lends its memory; it must not change until this
            returns, and is not copied
        :raises ClosedResourceError: this stream was closed on this side, before or while this
            waited, or `send_eof` was called
        :raises BusyResourceError: another task is sending to it
        :raises BrokenResourceError: the connection is gone; the system's error is the cause
        """
        task = current_task()
        if task.credit < 1:  # Inlined: `tcp-send-256` in benchmarks.
            await task.ready_checkpoint(0)
        if self._sending:
            raise BusyResourceError("writing to")
        try:
            sent = self._raw_socket.send(item)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._raise_for(exc)
        except TypeError:
            check_bytes("send", item)
            raise
        if sent == (len(item) if item.__class__ is bytes else memoryview(item).nbytes):
            self._unpaid += sent + SEND_PRICE
            if self._unpaid >= self._bytes_per_credit:
                task.spend(self._unpaid // self._bytes_per_credit)
                self._unpaid %= self._bytes_per_credit
            return
        self._sending = True
        try:
            with memoryview(item) as lent, lent.cast("B") as view:
                await self._watch.when_writable(Rest(self._raw_socket, view, sent).push)
        except OSError as exc:
            self._raise_for(exc)
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """Tell the peer that no more will be sent; receiving goes on. A checkpoint.

        A second call does nothing.

        :raises ClosedResourceError: this stream was closed on this side
        :raises BusyResourceError: another task is sending to it
        :raises BrokenResourceError: the connection is gone; the system's error is the cause
        """
        await current_task().ready_checkpoint()
        if self._sending:
            raise BusyResourceError("writing to")
        if self._eof_sent and not self._closed:
            return
        try:
            self._raw_socket.shutdown(socket.SHUT_WR)
        except OSError as exc:
            self._raise_for(exc)
        self._eof_sent = True

    def _drop_unread(self) -> bool:
        """Receive what is there, so that the system does not reset the connection as it is closed.

        For a protocol on top, whose own bytes may be among them. Never waits, and does not go on for long.
        Returns whether there was anything.
        """
        drops = 0
        try:
            while drops < MOST_DROPS and self._raw_socket.recv(65536):
                drops += 1
        except OSError:
            pass  # nothing is left, or the connection is gone
        return drops > 0

    def _raise_for(self, exc: OSError) -> NoReturn:
        """Raise what a failed system call means for the user."""
        if self._raw_socket.fileno() < 0:
            raise self._closed_error() from None
        to = describe(self._peer_address)
        if self._eof_sent and exc.errno == errno.EPIPE:
            raise ClosedResourceError(
                f"this stream to {to} was closed for sending by send_eof()"
            ) from None
        raise BrokenResourceError(f"the connection to {to} is gone: {exc.strerror}") from exc

    def _closed_error(self) -> ClosedResourceError:
        return ClosedResourceError(
            f"this stream to {describe(self._peer_address)} was closed on this side: "
            "connect a new one"
        )


class Rest:
    """What is left of a large `send`."""

    __slots__ = ("at", "sock", "view")

    def __init__(self, sock: socket.socket, view: memoryview, at: int) -> None:
        self.sock = sock
        self.view = view
        self.at = at

    def push(self) -> None:
        """Send what the socket takes; raise BlockingIOError until that was the last of it."""
        # Once, not in a loop: a fast peer must not keep the event loop here.
        self.at += self.sock.send(self.view[self.at :])
        if self.at < len(self.view):
            raise BlockingIOError


def _send_small_segments_at_once(sock: socket.socket) -> None:
    try:
        set_where_there(sock, "IPPROTO_TCP", "TCP_NODELAY")
    except OSError:
        pass  # no TCP, or reset already; the first call on the stream will tell
