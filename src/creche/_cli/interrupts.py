"""What Ctrl-C and SIGTERM do to a program that `creche run` runs.

Owns the handlers of the two signals while the program runs. Knows the kernel only for its way to be called
from a signal handler.

    running --1st--> stopping --2nd--> cancelled --3rd--> default action: the process ends

Without a grace the first one cancels, and the second has its default action.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from functools import partial
from types import FrameType
from typing import Any

from .._kernel import current_kernel
from .._tasks.scope import CancelScope

SPOKEN = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
BEFORE = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""The handlers that are replaced: a program that ignores a signal continues to ignore it."""


class Interrupter:
    """Turns signals into a stop, then a cancel, of the program."""

    def __init__(self, grace: float) -> None:
        self.first: signal.Signals | None = None
        self.started = False
        self._grace = grace
        self._steps: list[Callable[[signal.Signals], None]] = []
        self._before: dict[signal.Signals, Any] = {}

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
                await function()
            finally:
                self._steps = []

    def listen(self) -> None:
        for signum, handler in BEFORE.items():
            before = signal.getsignal(signum)
            if before is handler or before == handler:
                self._before[signum] = before
                signal.signal(signum, self._handle)

    def end(self) -> None:
        for signum, before in self._before.items():
            signal.signal(signum, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        signum = signal.Signals(number)
        self.first = self.first or signum
        if self._steps:
            step = self._steps.pop(0)
            if not self._steps:
                self._leave_to_the_system()
            step(signum)
        elif not self.started:
            self._leave_to_the_system()
            if signum is signal.SIGTERM:
                raise SystemExit(self.status)
            raise KeyboardInterrupt

    def _leave_to_the_system(self) -> None:
        for signum in self._before:
            signal.signal(signum, signal.SIG_DFL)
