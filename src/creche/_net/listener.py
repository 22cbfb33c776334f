"""`SocketListener`: a listening socket whose connections become streams.

Owns the socket (with `owned.py`), the accepting and what to do when that fails. Knows nothing of
addresses to listen on, and nothing of what is done with a connection.

    open --aclose--> closed

Rules
-----
* A connection that is gone before it is accepted is no error: the next one is taken.
* `accept` reports that descriptors have run out. `serve` logs it, waits a little and goes on, since a
  server should survive a burst of connections.
* A stream that no task could be started for is closed.
"""

from __future__ import annotations

import errno
import socket
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from .._abc.streams import Listener
from .._exceptions import BusyResourceError, ClosedResourceError
from .._kernel import current_kernel, current_task
from .._kernel.contract import Kernel
from .._misuse import check_handler
from .._tasks.group import TaskGroup, create_task_group
from .._tasks.until_stop import until_stop
from .addresses import INTERNET, describe
from .adopt import check_adoptable
from .attributes import SocketProvider
from .owned import OwnedSocket
from .socket_file import SocketFile
from .stream import DirectSocketStream, SocketStream
from .unix_stream import DirectSeqpacketStream, DirectUNIXStream

RETRY_DELAY = 0.1
"""Seconds until `serve` tries again after descriptors or memory have run out."""

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
# Errors of the connection, not of the listener: see accept(2), "Error handling".
_STILLBORN = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EPERM",
        "EPROTO",
    )
    if hasattr(errno, name)
)


class SocketListener(Listener[SocketStream], SocketProvider):
    """Accepts connections on a socket."""

    __slots__ = ()

    @classmethod
    async def from_socket(cls, sock_or_fd: socket.socket | int) -> SocketListener:
        """In a running event loop, make a listener of a bound, listening socket, which then
        belongs to it. Does not wait.

        :param sock_or_fd: a socket or the number of its descriptor
        :raises TypeError: it is neither
        :raises ValueError: it is no socket, not bound, or not of type SOCK_STREAM; it then still
            belongs to the caller
        """
        kernel = current_kernel()
        sock = check_adoptable(sock_or_fd, "bound")
        make = DirectSocketListener if sock.family in INTERNET else DirectUNIXListener
        return make(sock, kernel)

    @abstractmethod
    async def accept(self) -> SocketStream:
        """Wait for the next connection and return its stream. A checkpoint.

        :raises ClosedResourceError: the listener was closed, before or while this waited
        :raises BusyResourceError: another task is in `accept()` of this listener
        :raises OSError: the system can give no descriptor for it (EMFILE, ENFILE, ENOBUFS, ENOMEM)
        """


class DirectSocketListener(OwnedSocket, SocketListener):
    """The listener over a listening socket of IPv4 or IPv6."""

    __slots__ = ("_accepting", "_kernel")

    _stream_type: ClassVar[type[DirectSocketStream]] = DirectSocketStream

    def __init__(self, sock: socket.socket, kernel: Kernel) -> None:
        """Take over `sock`, listening and non-blocking."""
        super().__init__(sock, kernel)
        self._kernel = kernel
        self._accepting = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._where()}>"

    async def accept(self) -> SocketStream:
        """Wait for the next connection and return its stream. A checkpoint.

        :raises ClosedResourceError: the listener was closed, before or while this waited
        :raises BusyResourceError: another task is in `accept()` of this listener
        :raises OSError: the system can give no descriptor for it (EMFILE, ENFILE, ENOBUFS, ENOMEM)
        """
        await current_task().ready_checkpoint()
        if self._accepting:
            raise BusyResourceError("accepting connections from")
        if self._closed:
            raise ClosedResourceError("this listener was closed: create a new one")
        connection: tuple[socket.socket, Any] | None = None
        try:
            connection = self._take()
        except BlockingIOError:
            pass
        if connection is None:
            self._accepting = True
            try:
                connection = await self._watch.when_readable(self._take)
            finally:
                self._accepting = False
        sock, peer = connection
        sock.setblocking(False)
        return self._stream_type(sock, peer, self._kernel)

    async def serve(
        self, handler: Callable[[SocketStream], Any], task_group: TaskGroup | None = None
    ) -> None:
        """Accept connections until it is cancelled, each handled in a new task. A checkpoint.

        When a stop is asked for (`CancelScope.stop()`) it accepts no more. Handlers of connections that it
        has accepted run on.

        When the process has run out of descriptors this logs a warning and tries again.

        :param handler: a coroutine function that is called with each stream, and closes it
        :param task_group: where the tasks are started, and where their errors go; a group of the
            listener's own if omitted, which also waits for them
        :raises ClosedResourceError: the listener was closed, before or meanwhile
        """
        check_handler("serve", handler)
        if task_group is not None:
            await self._serve(handler, task_group)
            return
        async with create_task_group() as group:
            await self._serve(handler, group)

    def _take(self) -> tuple[socket.socket, Any]:
        """Take a connection off the queue; raise BlockingIOError if there is none."""
        while True:
            try:
                return self._raw_socket.accept()
            except OSError as exc:
                if exc.errno not in _STILLBORN:
                    raise

    async def _serve(self, handler: Callable[[SocketStream], Any], group: TaskGroup) -> None:
        with until_stop():  # what was accepted in the same moment is handled
            await self._accept_all(handler, group)

    async def _accept_all(self, handler: Callable[[SocketStream], Any], group: TaskGroup) -> None:
        while True:
            try:
                stream = await self.accept()
            except OSError as exc:
                if exc.errno not in _EXHAUSTED:
                    raise
                self._warn(exc)
                await self._kernel.sleep_until(self._kernel.now() + RETRY_DELAY)
                continue
            try:
                group.start_soon(handler, stream)
            except BaseException:
                await stream.aclose()
                raise

    def _warn(self, exc: OSError) -> None:
        from logging import getLogger  # heavy, and hardly ever needed

        getLogger("creche").warning(
            "%s cannot accept a connection: %s; trying again in %s s",
            self._where(),
            exc.strerror,
            RETRY_DELAY,
        )

    def _where(self) -> str:
        if self._closed:
            return "closed listener"
        return f"listener on {describe(self._raw_socket.getsockname())}"


class DirectUNIXListener(DirectSocketListener):
    """The listener over a UNIX socket; removes the socket's file if it made that."""

    __slots__ = ("_file",)

    _stream_type: ClassVar[type[DirectSocketStream]] = DirectUNIXStream

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

    _stream_type: ClassVar[type[DirectSocketStream]] = DirectSeqpacketStream
