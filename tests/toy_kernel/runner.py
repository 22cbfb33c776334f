"""Starting a loop: for one function, or to be driven in turns."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from creche._kernel.main import MainLabel, start

from .kernel import ToyKernel
from .tasks import Task


def run(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    _check(options)
    kernel = ToyKernel()
    coro = start(func, args)
    try:
        with kernel.here():
            main = Task(kernel, coro, MainLabel(func, coro))
            kernel.run_until(main.ended, main)
    finally:
        kernel.close()
    return main.result()


def open_runner(main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]) -> Runner:
    _check(options)
    return Runner(main)


class Runner:
    """The contract's `Runner`."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.reports: list[BaseException] = []
        self._kernel = ToyKernel()
        self._kernel.loop.report = self.reports.append
        coro = main()
        self._main = Task(self._kernel, coro, MainLabel(main, coro))
        self._paused = False

    def drive(self) -> None:
        self._paused = False
        with self._kernel.here():
            self._kernel.run_until(self._over, self._main)

    def _over(self) -> bool:
        return self._paused or self._main.ended()

    def pause(self) -> None:
        self._paused = True

    def close(self) -> None:
        self._kernel.close()


def _check(options: dict[str, Any]) -> None:
    for name in options:
        raise TypeError(f"unknown backend option {name!r} for toy: it has none")
