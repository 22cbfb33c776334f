"""`SignalWakeup`: wakes an asyncio loop for a signal that another thread gets.

Owns a pair of sockets while there are callers, and Python's wake-up descriptor if it was free.

Python runs its signal handlers in the main thread, whichever thread gets the signal. If another one gets
it while the loop sleeps in `select`, nothing wakes the loop, unless Python was given a descriptor to
write to. uvloop always sets one; asyncio only in `add_signal_handler`. One that is set already is kept:
it wakes the loop that has set it.
"""

from __future__ import annotations

import signal
import socket

from .readiness import Readiness


class SignalWakeup:
    """Counts its callers: `closed --open--> open --the last close--> closed`."""

    __slots__ = ("_listeners", "_pair", "_readiness")

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._listeners = 0
        self._pair: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        self._listeners += 1
        if self._listeners > 1 or _is_set():
            return
        reading, writing = self._pair = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        self._readiness.add_reader(reading.fileno(), self._drain)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        self._listeners -= 1
        if self._listeners > 0 or self._pair is None:
            return
        reading, writing = self._pair
        self._pair = None
        found = signal.set_wakeup_fd(-1)
        if found not in (-1, writing.fileno()):  # Other code has set another one meanwhile.
            signal.set_wakeup_fd(found, warn_on_full_buffer=False)
        self._readiness.remove_reader(reading.fileno())
        reading.close()
        writing.close()

    def _drain(self) -> None:
        """Do nothing: to be awake is enough, as the handlers run before the loop's next line of Python."""
        if self._pair is not None:
            try:
                self._pair[0].recv(4096)
            except BlockingIOError:
                pass


def _is_set() -> bool:
    found = signal.set_wakeup_fd(-1)
    if found == -1:
        return False
    signal.set_wakeup_fd(found, warn_on_full_buffer=False)
    return True
