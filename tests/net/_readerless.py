"""A loop without `add_reader`, as Windows' proactor loop is, on every system; and its thread."""

from __future__ import annotations

import asyncio
import functools
import gc
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import creche
from creche._kernel.asyncio.selector_thread import _Interest

Pair = tuple[socket.socket, socket.socket]


class ReaderlessLoop(asyncio.SelectorEventLoop):
    """A loop that has no readers and writers for others; it notes what other threads queue.

    What takes them away stays: asyncio's own `sock_*` methods call it.
    """

    add_reader = asyncio.AbstractEventLoop.add_reader
    add_writer = asyncio.AbstractEventLoop.add_writer

    def __init__(self) -> None:
        super().__init__()
        self.queued = threading.Event()
        self.reported: list[int] = []

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]  # passes all of it on
        self.reported += [arg.fd for arg in args if isinstance(arg, _Interest)]
        handle = super().call_soon_threadsafe(*args, **kwargs)
        self.queued.set()
        return handle

    def passes(self) -> None:
        """Run what is in the queue now, and what follows from it."""
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


def selector_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "creche readiness"]


def ends_with_the_garbage(thread: threading.Thread) -> bool:
    """Collect until the thread has ended: while it reports it holds its loop for a moment."""
    give_up = time.monotonic() + 5
    while thread.is_alive() and time.monotonic() < give_up:
        gc.collect()
        thread.join(0.01)
    return not thread.is_alive()


def on_readerless(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a `ReaderlessLoop`; its thread has ended when the run has."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        options = {"loop_factory": ReaderlessLoop}
        creche.run(functools.partial(test, *args, **kwargs), backend_options=options)
        assert not selector_threads()

    return run


def fill(sock: socket.socket) -> None:
    """Send until the socket takes no more."""
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass


def drain(sock: socket.socket) -> None:
    """Receive until there is nothing left."""
    try:
        while True:
            sock.recv(65536)
    except BlockingIOError:
        pass
