"""`open_signal_receiver`: the signals of the system as something to iterate over.

Owns Python's handlers of its signals between enter and exit. Knows of the event loop that it can be
called from a handler, and that it wakes up for a signal.

    new --enter--> open --exit--> closed --enter--> open

    a signal: arrived -> received            by the task that iterates
                      -> given back          still there at the exit: the handler before us gets it

Rules
-----
* A signal that arrives again before it was received is received once, as the system itself does it.
* Of several open receivers of a signal the one opened last gets it. They may be closed in any order:
  what each has to restore is handed on (`test_receivers_may_be_closed_in_any_order`).
* No signal is lost: one that came too late to be received is raised again, once the handlers before
  us are back, as if it had come a moment later.
* Python handles signals in the main thread alone, so receivers are opened only there.
"""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from signal import Signals
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from ._exceptions import BusyResourceError, RunFinishedError
from ._kernel import current_kernel, current_task
from ._platform import check_there
from ._wait_description import WaitDescription

if TYPE_CHECKING:
    from ._kernel.contract import Kernel, Waiter

_open: list[SignalReceiver] = []
"""The open receivers, in the order in which they were opened."""


def open_signal_receiver(*signals: Signals) -> AbstractContextManager[AsyncIterator[Signals]]:
    """Receive signals of the operating system, in a `with` block, rather than have them handled.

    The block gives an async iterator of the signals as they arrive. One that arrives again before
    it was received counts once. At the end of the block the handlers before it are back, and get
    what has arrived and was not received.

    ```python
    import signal

    import creche
    from creche import open_signal_receiver


    async def main() -> None:
        with open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
            signal.raise_signal(signal.SIGHUP)
            async for signum in signals:
                print(signum.name)
                break


    creche.run(main)
    ```

    :param signals: which signals; at least one. `SIGKILL` and `SIGSTOP` cannot be received.
    :raises TypeError: no signals were given, or something else than signals
    :raises ValueError: there is no such signal
    :raises OSError: a program cannot receive this signal
    :raises RuntimeError: this is not the main thread; raised on entering the block
    :raises NoEventLoopError: no event loop is running in this thread
    """
    if not signals:
        raise TypeError("No signals were provided: name at least one, such as signal.SIGTERM")
    current_kernel()
    check_there("signals")
    return SignalReceiver([checked(signum) for signum in dict.fromkeys(signals)])


def checked(signum: Any) -> Signals:
    """Return the signal, or say why it cannot be received."""
    if not isinstance(signum, int):
        raise TypeError(
            f"signals must be members of signal.Signals, such as signal.SIGTERM, not {signum!r}"
        )
    if signum not in signal.valid_signals():
        raise ValueError(f"there is no signal {signum} on this system")
    if signum in (getattr(signal, "SIGKILL", None), getattr(signal, "SIGSTOP", None)):
        raise OSError(errno.EINVAL, f"{Signals(signum).name} cannot be received by a program")
    try:
        return Signals(signum)
    except ValueError:
        return cast("Signals", signum)  # one of the real-time signals, which have no names


class SignalReceiver:
    """Receives signals while it is open. Made by `open_signal_receiver`."""

    __slots__ = (
        "_arrived",
        "_before",
        "_handler",
        "_kernel",
        "_stop_hearing",
        "_waiter",
        "_signals",
    )

    def __init__(self, signals: list[Signals]) -> None:
        self._signals = signals
        self._arrived: dict[Signals, None] = {}
        self._before: dict[Signals, Any] = {}
        self._handler = self._arrive
        self._kernel: Kernel | None = None
        self._stop_hearing: Callable[[], None] | None = None
        self._waiter: Waiter | None = None

    def __repr__(self) -> str:
        state = "closed" if self._kernel is None else "open"
        return f"<{type(self).__name__} {state}, for {self._names()}>"

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "open_signal_receiver() works only in the main thread, where Python handles "
                "signals: open it there, and pass on what it receives"
            )
        if self._kernel is not None:
            raise RuntimeError(f"{self!r} has already been entered: open another one")
        kernel = current_kernel()
        if kernel.simulation is not None:
            raise kernel.simulation.refuse("creche.open_signal_receiver()")
        self._kernel = kernel
        self._stop_hearing = kernel.wake_on_signals()
        _open.append(self)
        try:
            for signum in self._signals:
                self._before[signum] = signal.signal(signum, self._handler)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        _open.remove(self)
        for signum, before in self._before.items():
            self._restore(signum, before)
        self._before.clear()
        if self._stop_hearing is not None:
            self._stop_hearing()
        self._kernel = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._not_open())
        late, self._arrived = list(self._arrived), {}
        _raise_again(late)

    def _restore(self, signum: Signals, before: Any) -> None:
        for other in _open:
            if other._before.get(signum) is self._handler:
                other._before[signum] = before
                return
        # None is a handler that was not set from Python, and cannot be set from it.
        signal.signal(signum, signal.SIG_DFL if before is None else before)

    def __aiter__(self) -> SignalReceiver:
        return self

    async def __anext__(self) -> Signals:
        """Wait for the next signal. A checkpoint.

        :raises RuntimeError: the receiver is not open
        :raises BusyResourceError: another task is receiving from it
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._kernel is None:
            raise self._not_open()
        if self._waiter is not None:
            raise BusyResourceError("receiving from")
        while not self._arrived:
            waiter = self._waiter = task.make_waiter()
            try:
                await task.wait(waiter)
            finally:
                self._waiter = None
        signum = next(iter(self._arrived))
        del self._arrived[signum]
        return signum

    def _describe_wait(self, task: object, inner: WaitDescription | None) -> WaitDescription | None:
        return inner or WaitDescription(f"a signal: {self._names()}", "the signal")

    def _names(self) -> str:
        return ", ".join(getattr(signum, "name", str(signum)) for signum in self._signals)

    def _not_open(self) -> RuntimeError:
        return RuntimeError(f"{self!r} is not open: iterate inside the `with` block")

    def _arrive(self, signum: int, frame: FrameType | None) -> None:
        """Note a signal. Python calls it in the main thread, between any two steps of anything."""
        self._arrived[self._named(signum)] = None
        kernel = self._kernel
        if kernel is not None:
            try:
                kernel.call_soon_threadsafe(self._wake)
            except RunFinishedError:
                pass  # left open by a loop that is gone

    def _named(self, signum: int) -> Signals:
        return next(known for known in self._signals if known == signum)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _raise_again(signals: list[Signals]) -> None:
    """Have the handlers that are now in place handle these, every one even if some raise."""
    if signals:
        try:
            signal.raise_signal(signals[0])
        finally:
            _raise_again(signals[1:])
