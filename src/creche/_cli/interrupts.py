r"""What signals do to a program that `creche run` runs.

Owns the handlers of Ctrl-C, SIGTERM and Ctrl-\ while the program runs. Knows the kernel only for its way to
be called from a signal handler, and insight for what it shows.

    running --1st--> stopping --2nd--> cancelled --3rd--> default action: the process ends

Without a grace the first one cancels, and the second has its default action. Ctrl-C says what it does. What it
cancels and has not ended `PATIENCE` later is shown: the tasks that hold the program up. Ctrl-\ (Ctrl-Break on
Windows) shows all tasks at any time, and changes nothing.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import FrameType
from typing import Any

from .._kernel import current_kernel
from .._tasks.scope import CancelScope

SPOKEN = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
BEFORE = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""The handlers that are replaced: a program that ignores a signal continues to ignore it."""

STOPPING = "stopping; press again to cancel\n"
CANCELLING = "cancelling; press again to stop at once\n"

PATIENCE = 2.0
"""Seconds that a program has after Ctrl-C has cancelled it, before the tasks that hold it up are shown."""


class Interrupter:
    """Turns signals into a stop, then a cancel, of the program."""

    def __init__(self, grace: float, *, debug: bool = False) -> None:
        self.first: signal.Signals | None = None
        self.started = False
        self._grace = grace
        self._debug = debug
        self._steps: list[Callable[[signal.Signals], None]] = []
        self._before: dict[signal.Signals, Any] = {}
        self._shows: signal.Signals | None = None
        self._timer: threading.Timer | None = None

    @property
    def status(self) -> int:
        """The exit status of a program that has ended well, as a shell counts it."""
        return 0 if self.first is None else 128 + self.first

    async def run(self, function: Callable[[], Coroutine[Any, Any, object]]) -> None:
        kernel = current_kernel()
        with CancelScope() as scope:

            def stop(signum: signal.Signals) -> None:
                scope.stop(SPOKEN[signum], grace=self._grace)

            def cancel(signum: signal.Signals) -> None:
                scope.cancel(f"second signal, {SPOKEN[signum]}")

            # The handler may run anywhere in the loop's own code: only this call is safe there.
            steps = [stop, cancel] if self._grace > 0 else [stop]
            self._steps = [partial(kernel.call_soon_threadsafe, step) for step in steps]
            self.started = True
            try:
                with self._watch():
                    await function()
            finally:
                self._steps = []

    def _watch(self) -> AbstractContextManager[object]:
        """Watch for what blocks the loop, if that was asked for."""
        if not self._debug:
            return nullcontext()
        from .._insight.watch import watch_loop

        return watch_loop()

    def listen(self) -> None:
        for signum, handler in BEFORE.items():
            before = signal.getsignal(signum)
            if before is handler or before == handler:
                self._before[signum] = before
                signal.signal(signum, self._handle)
        self._shows = show_on_signal()

    def end(self) -> None:
        """Give the signals back: the program has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        for signum, before in self._before.items():
            signal.signal(signum, before)
        if self._shows is not None:
            signal.signal(self._shows, signal.SIG_DFL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        signum = signal.Signals(number)
        self.first = self.first or signum
        if self._steps:
            step = self._steps.pop(0)
            if not self._steps:
                self._leave_to_the_system()
            if signum is signal.SIGINT:
                self._answer_the_keyboard(cancels=not self._steps)
            step(signum)
        elif not self.started:
            self._leave_to_the_system()
            if signum is signal.SIGTERM:
                raise SystemExit(self.status)
            raise KeyboardInterrupt

    def _leave_to_the_system(self) -> None:
        for signum in self._before:
            signal.signal(signum, signal.SIG_DFL)

    def _answer_the_keyboard(self, *, cancels: bool) -> None:
        after_key = "\n" if sys.stderr.isatty() else ""  # The terminal has shown ^C.
        tell(after_key + (CANCELLING if cancels else STOPPING))
        if cancels:
            self._timer = threading.Timer(PATIENCE, show_tasks)
            self._timer.daemon = True
            self._timer.start()


def show_tasks() -> None:
    """Show what a program that was cancelled still does."""
    from .._insight.collect import snapshot
    from .._insight.text import text_of

    left = snapshot()
    if any(True for _ in left.tasks):
        tell(f"not finished {PATIENCE:g} s after it was cancelled:\n\n{text_of(left)}")


def show_on_signal() -> signal.Signals | None:
    r"""Have Ctrl-\ show all tasks; return its signal, None if the program has a use for it."""
    from .._insight.signals import DEFAULT, dump_on_signal

    if DEFAULT is None or signal.getsignal(DEFAULT) is not signal.SIG_DFL:
        return None
    dump_on_signal()
    return signal.Signals(DEFAULT)


def tell(text: str) -> None:
    """Write to standard error, from wherever a signal finds the program."""
    from .._insight.signals import write_to_stderr

    write_to_stderr(text)
