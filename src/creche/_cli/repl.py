"""`creche repl`: type Python that may await.

Owns the console, in the main thread, and the task that runs its lines, in an event loop in another
thread: so Ctrl-C finds the console whether it reads or waits, on every loop. All lines run in one task, and
so in one context.

    reading --a line--> running --> reading
                           `-- Ctrl-C: the line is cancelled, and waited for --> reading

The name `group` is a task group that lasts as long as the console. When one of its tasks fails, the error is
shown, the others are cancelled, and there is a new group.
"""

from __future__ import annotations

import importlib
import inspect
import platform
import signal
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from code import InteractiveConsole
from collections.abc import Generator
from contextlib import contextmanager, suppress
from threading import Event
from types import CodeType, FrameType, FunctionType
from typing import Any

from .._registry import chosen
from .._tasks.group import create_task_group
from .._tasks.scope import CancelScope
from ..from_thread import BlockingPortal, start_blocking_portal
from ..streams._memory_pair import create_memory_object_stream
from .screen import Mistake
from .traces import show
from .version import version

PACKAGE = "creche"
FILE = "<console>"

PATIENCE = 0.05
"""Seconds between two looks at whether Ctrl-C was pressed, while a line runs."""

BANNER = """\
Creche {version} on {backend}, Python {python}
`await` works here, and `group` is a task group. Ctrl-C cancels what runs, Ctrl-D leaves."""


def run_repl(backend: str) -> int:
    """Read and run lines until the end of the input; return the exit status."""
    kernel, options = chosen(backend, {})
    try:
        # Asked for at once: what is wrong with the backend is said before anything is shown.
        with start_blocking_portal(kernel, options, name="creche repl") as portal:
            with_history()
            session = Session()
            done = portal.start_task_soon(session.serve, name="repl")
            console = Console(session, portal)
            banner = BANNER.format(
                version=version(), backend=backend, python=platform.python_version()
            )
            try:
                console.interact(banner, exitmsg="")
            finally:
                portal.call(session.close)
                done.result()
    except LookupError as exc:
        raise Mistake(str(exc)) from None
    return 0


def with_history() -> None:
    """Let the keyboard edit lines, where Python can."""
    with suppress(ImportError):
        importlib.import_module("readline")  # input() uses it from now on


class Line:
    """One line on its way from the console to the task that runs it, and back."""

    def __init__(self, body: CodeType) -> None:
        self.done = Event()
        self.error: BaseException | None = None
        self._body = body
        self._scope = CancelScope()

    async def run(self, names: dict[str, Any]) -> None:
        try:
            with self._scope:
                result = FunctionType(self._body, names)()
                if inspect.iscoroutine(result):
                    await result
        except Exception as exc:
            self.error = exc
        except (SystemExit, KeyboardInterrupt) as exc:
            self.error = exc
        finally:
            self.done.set()

    def cancel(self) -> None:
        self._scope.cancel("Ctrl-C")


class Session:
    """The task that runs the lines, one after the other. Used in the loop's thread alone."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            "__name__": "__main__",
            "__doc__": None,
            PACKAGE: importlib.import_module(PACKAGE),
        }
        self._lines, self._inbox = create_memory_object_stream[Line](1)

    async def send(self, line: Line) -> None:
        await self._lines.send(line)

    async def close(self) -> None:
        self._lines.close()

    async def serve(self) -> None:
        with self._inbox:
            while True:
                try:
                    async with create_task_group() as group:
                        self.names["group"] = group
                        async for line in self._inbox:
                            await line.run(self.names)
                        group.cancel_scope.cancel("the console was left")
                        return
                except Exception as exc:
                    show(exc.with_traceback(None), is_typed)  # our frames alone are left out


class Console(InteractiveConsole):
    """Reads lines, and waits for each."""

    def __init__(self, session: Session, portal: BlockingPortal) -> None:
        super().__init__(session.names, FILE)
        self.compile.compiler.flags |= PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._session = session
        self._portal = portal
        self._interrupts = 0

    def runcode(self, code: CodeType) -> None:
        line = Line(code)
        with self._interrupts_counted():
            self._portal.start_task_soon(self._session.send, line)
            told = 0
            while not line.done.wait(PATIENCE):
                if self._interrupts > told:
                    told = self._interrupts
                    self._portal.start_task_soon(line.cancel)
        if told:
            self.write("\nKeyboardInterrupt\n")
        elif isinstance(line.error, SystemExit):
            raise line.error
        elif line.error is not None:
            show(line.error, is_typed)

    @contextmanager
    def _interrupts_counted(self) -> Generator[None]:
        """Have Ctrl-C counted: an exception could come between a line and the task that runs it."""

        def count(number: int, frame: FrameType | None) -> None:
            self._interrupts += 1

        self._interrupts = 0
        before = signal.signal(signal.SIGINT, count)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def is_typed(body: CodeType) -> bool:
    """Tell whether the code came from the console."""
    return body.co_filename == FILE
