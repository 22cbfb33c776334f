"""A thread and an event loop for a blocking portal: for programs that have none of their own.

Owns the thread from its start to its end, and counts the threads that share one portal. Knows the
event loop by `run` only.

    starting --the portal is open--> open --close()--> stopping --> ended
        |                              `--the interpreter ends--> its tasks cancelled --> ended
        `--the loop fails to start--> ended
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from types import TracebackType
from typing import Any

from .._loop.run import run
from .._platform import check_there
from .._registry import BackendName
from . import shutdown
from .portal import BlockingPortal, stop_from_outside

_numbers = count(1)  # so that no two threads have one name


class _PortalThread:
    """A thread with an event loop whose main task is a portal."""

    __slots__ = ("__weakref__", "_failed", "_opened", "_thread")

    def __init__(self, backend: str, options: dict[str, Any] | None, name: str | None) -> None:
        self._opened: Future[BlockingPortal] = Future()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(
            target=self._work,
            args=(backend, options),
            name=name or f"creche portal {next(_numbers)} on {backend}",
            daemon=shutdown.DAEMON,
        )

    def _work(self, backend: str, options: dict[str, Any] | None) -> None:
        try:
            run(self._main, backend=backend, backend_options=options)
        except BaseException as exc:
            if self._opened.done():
                self._failed = exc
            else:
                self._opened.set_exception(exc)

    async def _main(self) -> None:
        async with BlockingPortal() as portal:
            if self._opened.set_running_or_notify_cancel():
                self._opened.set_result(portal)
                await portal.sleep_until_stopped()

    def open(self) -> BlockingPortal:
        check_there("threads")
        self._thread.start()
        shutdown.register_portal(self)
        try:
            return self._opened.result()
        except BaseException:
            # It failed to start; or we were interrupted, perhaps after it has opened.
            if not self._opened.cancel() and self._opened.exception() is None:
                stop_from_outside(self._opened.result(), True)
            self._thread.join()
            raise

    def close(self, portal: BlockingPortal, *, cancel: bool) -> None:
        if (
            self._thread.is_alive()
        ):  # In the child of a fork it is not, and may have left a lock of the loop held.
            stop_from_outside(portal, cancel)
            self._thread.join()

    def end(self) -> None:
        """Cancel what is left, and wait until that has ended. As the interpreter ends."""
        if not self._opened.cancel() and self._opened.exception() is None:
            stop_from_outside(self._opened.result(), True)
        self._thread.join()

    def check(self) -> None:
        """Raise what ended the event loop, if it did not end well."""
        failed, self._failed = self._failed, None
        if failed is not None:
            try:
                raise failed
            finally:
                del failed


@contextmanager
def start_blocking_portal(
    backend: BackendName = "asyncio",
    backend_options: dict[str, Any] | None = None,
    *,
    name: str | None = None,
) -> Generator[BlockingPortal, Any, None]:
    """Start an event loop in a new thread, and give a portal into it to a with-block.

    At the end of the block the portal is stopped, and its tasks are awaited; if the block raises
    they are cancelled. Then loop and thread are gone.

    A portal that is to last as long as the program may be entered by hand, and closed in a function that
    `atexit` calls. One that nobody closes is closed as the interpreter ends, its tasks cancelled.

    ```python
    import creche
    from creche.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        portal.call(creche.sleep, 0.01)
    ```

    :param backend: the event loop to start, as for `creche.run`
    :param backend_options: options for it, as for `creche.run`
    :param name: a name for the thread
    """
    thread = _PortalThread(backend, backend_options, name)
    portal = thread.open()
    try:
        yield portal
    except BaseException:
        thread.close(portal, cancel=True)
        raise
    thread.close(portal, cancel=False)
    thread.check()


class BlockingPortalProvider:
    """Shares one blocking portal among threads. Used with `with`, in each of them.

    The first to enter starts it, the last to leave ends it: the portal's tasks are awaited then, or
    cancelled if that last block raises.

    :param backend: the event loop to start, as for `creche.run`
    :param backend_options: options for it, as for `creche.run`
    """

    backend: str = "asyncio"
    """The event loop that it starts."""
    backend_options: dict[str, Any] | None = None
    """The options that it starts it with."""

    def __init__(
        self,
        backend: BackendName = "asyncio",
        backend_options: dict[str, Any] | None = None,
    ) -> None:
        self.backend = backend
        self.backend_options = backend_options
        self._lock = threading.Lock()
        self._users = 0
        self._portal: BlockingPortal | None = None
        self._manager: AbstractContextManager[BlockingPortal] | None = None

    def __enter__(self) -> BlockingPortal:
        with self._lock:
            if self._portal is None:
                manager = start_blocking_portal(self.backend, self.backend_options)
                self._portal = manager.__enter__()
                self._manager = manager
            self._users += 1
            return self._portal

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            manager, self._manager, self._portal = self._manager, None, None
        assert manager is not None, "entered before it is left"
        manager.__exit__(exc_type, exc_val, exc_tb)
