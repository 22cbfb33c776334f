"""Starting a Trio run, for one function or for many turns. Trio leaves nothing behind by itself.

A `Runner` has Trio as a guest. Its host is a queue of the callbacks that Trio asks for, made
by the driver; while nothing drives the run, they wait there.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any

import outcome
import trio

from ..main import start
from ..names import name_of
from ..running import tell_interrupted
from . import here as here  # Already now, for in the first task it would keep the run waiting.
from . import private

TRIES = 20
"""Passes of the loop in which the main task may come to a wait that can be interrupted. One that only
gives way to others, or waits for what cannot be cancelled, has the whole run cancelled."""


def run(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    async def main() -> Any:
        trio.lowlevel.current_task().name = name_of(func)
        return await start(func, args)

    return trio.run(main, **options)


def open_runner(main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]) -> Runner:
    return Runner(main, options)


class Runner:
    """The contract's `Runner`. Trio itself brings a Ctrl-C to its main task."""

    def __init__(
        self, main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]
    ) -> None:
        self.reports: list[BaseException] = []  # Trio lets none of them pass.
        self._callbacks: deque[Callable[[], object]] = deque()
        self._wakes: SimpleQueue[None] = SimpleQueue()
        """One for each callback that came. Apart, so that none is lost if a wait for it is ended."""
        self._place = _Place()
        self._paused = False
        self._over = False
        """Whether `drive` has told how the run ended."""
        self._outcome: outcome.Outcome[None] | None = None
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._main: trio.lowlevel.Task | None = None
        self._turn = 0
        """The number of this turn."""
        self._opened: Any = None
        """The main task's innermost scope as this turn began."""
        self._interrupted: trio.CancelScope | None = None
        """What was put around all that the main task has opened in this turn, to interrupt it."""
        self._name = name_of(main)
        with self._place:
            trio.lowlevel.start_guest_run(
                self._run,
                main,
                run_sync_soon_threadsafe=self._soon,
                done_callback=self._end,
                **options,
            )

    async def _run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._main = trio.lowlevel.current_task()
        self._main.name = self._name
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            self._opened = private.innermost(self._main)
            await main()

    def _end(self, result: outcome.Outcome[None]) -> None:
        self._outcome = result

    # Protected: a Ctrl-C that comes as we wait for Trio is Trio's to bring to the main task.
    @trio.lowlevel.enable_ki_protection
    def drive(self) -> None:
        if self._over:
            return
        self._paused = False
        self._turn += 1
        if self._main is not None:
            self._opened = private.innermost(self._main)
        with self._place:
            try:
                self._run_on()
            except BaseException:
                # What another signal handler raised. The turn ends in order, and the next ones are
                # none the worse: what the main task has open lives on.
                if not self._paused and self._outcome is None:
                    tell_interrupted()
                    self._end_turn()
                raise
        if self._outcome is not None:
            self._over = True
            self._outcome.unwrap()

    @trio.lowlevel.enable_ki_protection
    def _run_on(self) -> None:
        inside = False
        try:
            while not self._paused and self._outcome is None:
                if self._callbacks:
                    inside = True
                    self._callbacks.popleft()()
                    inside = False
                else:
                    self._wakes.get()
        except BaseException as exc:
            if inside:  # Trio does not survive that.
                self._outcome = outcome.Error(exc)
            raise

    def _end_turn(self) -> None:
        if self._token is None:
            self._scope.cancel()
        else:
            self._token.run_sync_soon(self._interrupt, self._turn, TRIES)
        try:
            self._run_on()
        finally:
            scope, self._interrupted = self._interrupted, None
            if scope is not None and self._outcome is None:
                private.take_off(scope)

    def _interrupt(self, turn: int, tries: int) -> None:
        """End what the main task waits for in this turn."""
        if turn != self._turn or self._paused or self._main is None or self._token is None:
            return
        nursery = private.awaited_nursery(self._main)
        if nursery is not None:
            # Trio expects that what cancels this wait has cancelled the children as well.
            self._interrupted = private.cancel_since(self._main, self._opened)
            if not private.is_cancelled(nursery):  # It is older than this turn, or shielded.
                nursery.cancel_scope.cancel()
            return
        if private.cancel_wait(self._main):
            return
        if tries:
            self._token.run_sync_soon(self._interrupt, turn, tries - 1)
        else:
            self._scope.cancel()

    def _soon(self, callback: Callable[[], object]) -> None:
        self._callbacks.append(callback)
        self._wakes.put(None)

    def pause(self) -> None:
        self._paused = True

    def close(self) -> None:
        if self._token is None:  # It has not begun.
            self._scope.cancel()
        while self._outcome is None:
            if self._token is not None:
                self._token.run_sync_soon(self._scope.cancel)
            self.drive()


class _Place:
    """What a guest run sets in its thread: there while the run is driven, gone in between.

    Trio notes that it runs, and puts its hooks for async generators, its SIGINT handler and its
    wake-up descriptor in place when the run begins, until it ends. Others must not meet them.
    """

    _hooks: Any = None  # typeshed gives them one type, and takes them as another
    _handler: Any = None
    """The SIGINT handler, None if it is the one that is there anyway."""
    _descriptor = -1

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __enter__(self) -> None:
        private.put_on_run(self._known)
        self._outer_hooks: Any = sys.get_asyncgen_hooks()
        if self._hooks is not None:
            sys.set_asyncgen_hooks(*self._hooks)
        self._main_thread = threading.current_thread() is threading.main_thread()
        if self._main_thread:
            self._outer_handler = signal.getsignal(signal.SIGINT)
            if self._handler is not None:
                signal.signal(signal.SIGINT, _Telling(self._handler))
            self._outer_descriptor = signal.set_wakeup_fd(
                self._descriptor, warn_on_full_buffer=False
            )

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._known = private.take_off_run()
        self._hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(*self._outer_hooks)
        if self._main_thread:
            self._descriptor = signal.set_wakeup_fd(
                self._outer_descriptor, warn_on_full_buffer=False
            )
            handler: Any = signal.getsignal(signal.SIGINT)
            if isinstance(handler, _Telling):
                handler = handler.handler
            self._handler = handler if handler is not self._outer_handler else None
            if self._handler is not None:
                signal.signal(signal.SIGINT, self._outer_handler)


class _Telling:
    """Trio's handler of SIGINT, after a word to those who want to know (`running.interrupted`)."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        tell_interrupted()
        self.handler(number, frame)
