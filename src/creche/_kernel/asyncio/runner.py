"""Starting an asyncio loop, for one function or for many turns, and leaving nothing of it behind.

`asyncio.Runner` does the work: signals, async generators, the default executor, the tasks that are
left. We only make its first task one of ours.

A `Runner` runs that loop in turns. Its SIGINT handler is installed only while it is driven, and does
what `asyncio.run` does: the first Ctrl-C cancels the main task's wait, the second raises at once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ... import _registry
from ..._platform import IN_PAGE
from ..main import MainLabel, start
from ..running import tell_interrupted
from . import page
from .here import kernel_of
from .tasks import Task, new_task

if TYPE_CHECKING:
    from .kernel import AsyncioKernel

OPTIONS = tuple(option.name for option in _registry.ASYNCIO.options)
KNOWN = ", ".join((*OPTIONS, *(option.name for option in _registry.COMMON)))


def run(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    debug, factory = _checked(options)
    if IN_PAGE:
        return page.run(func, args)
    kernel: AsyncioKernel | None = None
    try:
        with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
            loop = runner.get_loop()
            kernel = kernel_of(loop)
            main = start(func, args)
            adopt_next_task(loop, MainLabel(func, main))
            return runner.run(main)
    finally:
        # Not earlier: tasks that the runner cancels may still wait for deadlines in their clean-up.
        if kernel is not None:
            kernel.close()


def open_runner(main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]) -> Runner:
    debug, factory = _checked(options)
    # The runner would leave a loop that it made itself set in the thread.
    return Runner(main, asyncio.Runner(debug=debug, loop_factory=factory or asyncio.new_event_loop))


class Runner:
    """The contract's `Runner`."""

    def __init__(
        self, main: Callable[[], Coroutine[Any, Any, None]], runner: asyncio.Runner
    ) -> None:
        self.reports: list[BaseException] = []
        self._runner = runner
        self._loop = runner.get_loop()
        self._loop.set_exception_handler(self._report)
        self._kernel = kernel_of(self._loop)
        coro = main()
        self._main = new_task(self._kernel, coro, MainLabel(main, coro))
        self._main.add_done_callback(self._over)
        self._paused = False
        self._turn = 0
        """The number of this turn."""
        self._interrupts = 0
        """SIGINTs in this turn."""
        self._raised: BaseException | None = None
        """What a signal handler has raised, on a loop that does not let it out."""
        self._cancels = 0
        """Cancels of ours that the main task still counts."""

    def drive(self) -> None:
        if self._main.done():
            return
        self._paused = False
        self._turn += 1
        self._interrupts = 0
        hears = self._hear_interrupts()
        try:
            self._run_on()
        finally:
            if hears:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            while self._cancels and not self._main.done():
                self._cancels -= 1
                self._main.uncancel()
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
        if self._interrupts:
            raise KeyboardInterrupt

    def _run_on(self) -> None:
        try:
            self._loop.run_forever()
        except BaseException:
            # What a signal handler raised, wherever the loop was. The turn ends properly.
            if not self._interrupts:
                tell_interrupted()
            self._end_turn()
            raise
        if not self._paused:
            self._end_turn()
            raise RuntimeError(
                "the event loop was stopped before its main function had ended: only the code "
                "that started the loop should call loop.stop()"
            )

    def _end_turn(self) -> None:
        if not self._paused:
            self._cancel_main(self._turn)
            self._loop.run_forever()

    def pause(self) -> None:
        if not self._paused:  # uvloop would keep a second stop for the next turn.
            self._paused = True
            self._loop.stop()

    def _over(self, _: asyncio.Task[None]) -> None:
        self.pause()

    def close(self) -> None:
        self._main.remove_done_callback(self._over)  # What ends the loop runs it itself.
        try:
            self._runner.close()
        finally:
            self._kernel.close()

    def _hear_interrupts(self) -> bool:
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ):
            return False
        signal.signal(signal.SIGINT, self._on_sigint)
        return True

    def _on_sigint(self, _number: int, _frame: object) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            tell_interrupted()
        if self._interrupts > 1 or self._main.done():
            raise KeyboardInterrupt
        # Not here: the main task may be in a step, and may end its turn without a wait to cancel.
        self._loop.call_soon_threadsafe(self._cancel_main, self._turn)

    def _cancel_main(self, turn: int) -> None:
        if turn == self._turn and not self._paused:
            self._cancels += 1
            self._main.cancel()

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exc = context.get("exception")
        if isinstance(exc, BaseException) and _is_of_signals(context):
            self._raised = exc
            if not self._interrupts:
                tell_interrupted()
            loop.call_soon(self._cancel_main, self._turn)
        elif isinstance(exc, BaseException):
            self.reports.append(exc)
        else:
            loop.default_exception_handler(context)


def _is_of_signals(context: dict[str, Any]) -> bool:
    """Tell whether a report is about the callback in which uvloop calls Python's signal handlers."""
    return str(context.get("message")).endswith(" Loop._read_from_self")


def _checked(
    options: dict[str, Any],
) -> tuple[bool | None, Callable[[], asyncio.AbstractEventLoop] | None]:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise TypeError(f"unknown backend option {unknown[0]!r} for asyncio: known are {KNOWN}")
    factory = options.get("loop_factory")
    if options.get("use_uvloop") and factory is None:
        factory = _uvloop_factory()
    return options.get("debug"), factory


def adopt_next_task(loop: asyncio.AbstractEventLoop, label: MainLabel) -> None:
    """Make the next task of the loop a `Task`, then put the loop's own factory back."""
    previous = loop.get_task_factory()

    def make(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> Task:
        loop.set_task_factory(previous)
        task = new_task(kernel_of(loop), coro, label, context=options.get("context"))
        task.set_name(options.get("name"))
        return task

    # typeshed wants a wider signature.
    loop.set_task_factory(make)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _uvloop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    from importlib.util import find_spec  # two milliseconds that no other run needs

    for name in ("uvloop", "winloop"):
        if find_spec(name) is not None:
            factory: Callable[[], asyncio.AbstractEventLoop] = __import__(name).new_event_loop
            return factory
    raise LookupError(
        "use_uvloop was asked for, but uvloop is not installed: pip install 'creche[uvloop]'"
    )
