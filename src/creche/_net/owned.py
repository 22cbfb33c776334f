"""`OwnedSocket`: a socket that belongs to one of our objects, and the watch on it.

Owns their common life. Knows neither what the socket is for nor how it is used.

    open --aclose--> closed

Rules
-----
* The watch is closed before the socket: the loop must not watch a number that another socket may get.
* The socket ends with its loop: after that it is found closed, and a wait raises ClosedResourceError
  (`_kernel/descriptors.py`).
* A socket that is dropped without being closed warns of it, as the standard library's do.
"""

from __future__ import annotations

import socket

from .._kernel import current_task, running_kernel
from .._kernel.contract import Kernel


class OwnedSocket:
    """The base of streams, listeners and datagram sockets."""

    __slots__ = ("_closed", "_kernel", "_raw_socket", "_watch")

    def __init__(self, sock: socket.socket, kernel: Kernel) -> None:
        """Take over `sock`, which is non-blocking."""
        self._kernel = kernel
        self._raw_socket = sock
        self._watch = kernel.watch(sock)
        self._closed = False

    def __del__(self) -> None:
        # The socket warns of it and closes itself; but the loop must not go on watching its number,
        # which the next socket gets: test_a_stream_that_was_dropped_does_not_haunt_its_successor.
        if not getattr(self, "_closed", True):
            try:
                self._watch.close()
            except Exception:
                pass  # the loop is gone, and its watches with it

    async def aclose(self) -> None:
        """Close the socket; tasks that wait on it get a ClosedResourceError. A checkpoint.

        The socket is closed also if the caller is cancelled. A second call does nothing.
        """
        if not self._closed:
            self._leave()
            self._closed = True
            self._watch.close()
            self._raw_socket.close()
        await current_task().ready_checkpoint()

    def _close_with_loop(self) -> None:
        # Connection pools look at the socket before they use it. With this they drop one that an
        # earlier loop left behind, and connect anew.
        if self._closed or running_kernel() is self._kernel or not self._kernel.ended():
            return
        self._leave()
        self._closed = True
        try:
            self._watch.close()
        except Exception:
            pass  # as above
        self._raw_socket.close()

    def _leave(self) -> None:
        """Clean up what belongs to the socket, which is about to be closed."""
