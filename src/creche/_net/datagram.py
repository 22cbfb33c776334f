"""`DirectDatagramSocket`: what all datagram sockets have in common, whatever addresses they use.

Owns the waiting and the failures, and with `owned.py` the socket. Knows no address: a socket of
its own kind says with `_take` how a datagram is received.

    open --aclose--> closed

Rules
-----
* Try first, and wait only when the system says that it would block. But a queue that was empty is
  likely to be empty the next time: then wait at once, and try first only now and then
  (`udp-ping-pong` in `benchmarks/`: a call that can only fail is a fifth of the work).
* One reader and one writer at a time. A flag is up only while a task waits.
* A datagram is sent whole or not at all. One that the system refuses leaves the socket usable.
* Sends are charged by the byte, as those of streams are: a sender that never gives way fills the
  receiver's buffer, and what does not fit is lost.
* The system's error stays the `__cause__`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from .._abc.streams import UnreliableObjectStream
from .._exceptions import BrokenResourceError, BusyResourceError, ClosedResourceError
from .._kernel import current_task
from .._kernel.contract import Kernel
from .._misuse import check_bytes
from .addresses import describe
from .attributes import SocketProvider
from .owned import OwnedSocket

T = TypeVar("T")

BYTES_PER_CREDIT = 4096
"""How many bytes of a datagram cost as much as the call that sends it."""
LOOK_AGAIN = 8
"""How many receives in a row wait at once, before one tries first again."""


class DirectDatagramSocket(OwnedSocket, UnreliableObjectStream[T], SocketProvider, Generic[T]):
    """A datagram socket, connected or not."""

    __slots__ = (
        "_patience",
        "_peer_address",
        "_receiving",
        "_sending",
        "_take",
    )

    _kind: ClassVar[str]
    """The name of such a socket in messages."""

    def __init__(
        self, sock: socket.socket, peer: Any, kernel: Kernel, take: Callable[[], T]
    ) -> None:
        """Take over `sock`, non-blocking, connected to `peer` if that is not None.

        :param take: receives one datagram, or raises BlockingIOError
        """
        super().__init__(sock, kernel)
        self._peer_address = peer
        self._take = take
        self._receiving = self._sending = False
        self._patience = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._where()}>"

    def _peer(self) -> Any:
        return self._peer_address

    async def receive(self) -> T:
        """Wait for a datagram and return it. A checkpoint.

        :raises ClosedResourceError: this socket was closed, before or while this waited
        :raises BusyResourceError: another task is receiving from it
        :raises BrokenResourceError: the system reports a failure, for example that nobody listens at
            the peer's address; its error is the cause
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._receiving:
            raise BusyResourceError("reading from")
        if self._patience > 0:
            self._patience -= 1
        else:
            try:
                return self._take()
            except BlockingIOError:
                self._patience = LOOK_AGAIN
            except OSError as exc:
                self._raise_for(exc)
        if self._raw_socket.fileno() < 0:
            raise self._closed_error()
        self._receiving = True
        try:
            return await self._watch.when_readable(self._take, task)
        except OSError as exc:
            self._raise_for(exc)
        finally:
            self._receiving = False

    async def _push(self, put: Callable[[], object], to: Any = None) -> None:
        """Wait until the socket has room, and send a datagram with `put`. `to` is its destination."""
        if self._sending:  # since the caller looked, while a name was looked up
            raise BusyResourceError("writing to")
        self._sending = True
        try:
            await self._watch.when_writable(put)
        except OSError as exc:
            self._raise_for(exc, to)
        finally:
            self._sending = False

    def _raise_for(self, exc: OSError, to: Any = None) -> NoReturn:
        """Raise what a failed system call means for the user. `to` is the datagram's destination."""
        if self._raw_socket.fileno() < 0:
            raise self._closed_error() from None
        what = f"this {self._where()}"
        if to is not None:
            what = f"sending to {describe(to)} from {what}"
        if exc.errno == errno.EMSGSIZE:
            raise BrokenResourceError(
                f"the datagram is too large for {what}: send fewer bytes at once"
            ) from exc
        raise BrokenResourceError(f"{what} failed: {exc.strerror or exc}") from exc

    def _closed_error(self) -> ClosedResourceError:
        return ClosedResourceError(
            f"this {self._kind} socket was closed on this side: create a new one"
        )

    def _where(self) -> str:
        if self._closed:
            return f"closed {self._kind} socket"
        if self._peer_address is not None:
            return f"{self._kind} socket, connected to {describe(self._peer_address)}"
        address = self._raw_socket.getsockname()
        return f"{self._kind} socket at {describe(address)}" if address else f"{self._kind} socket"


class ConnectedDatagramSocket(DirectDatagramSocket[bytes]):
    """A datagram socket with one peer."""

    __slots__ = ()

    async def send(self, item: bytes) -> None:
        """Send a datagram to the peer, waiting for room if there is none. A checkpoint.

        :param item: bytes, or any object that lends its memory
        :raises ClosedResourceError: this socket was closed, before or while this waited
        :raises BusyResourceError: another task is sending with it
        :raises BrokenResourceError: the datagram is too large, or the system reports a failure,
            perhaps one of an earlier datagram; its error is the cause
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._sending:
            raise BusyResourceError("writing to")
        try:
            task.spend(self._raw_socket.send(item) // BYTES_PER_CREDIT)
            return
        except BlockingIOError:
            pass
        except OSError as exc:
            self._raise_for(exc)
        except TypeError:
            check_bytes("send", item)
            raise
        sock = self._raw_socket
        await self._push(lambda: sock.send(item))
