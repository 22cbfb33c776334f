"""Tests that take too long: what their tasks do is shown before anything is undone.

Owns the option `creche_timeout` and the mark of that name, and the moments at which the tasks of the
running test are shown:

    creche_timeout        by the loop's clock, virtual time too: the test fails, with the tasks
    Ctrl-C                before the test is cancelled
    pytest-timeout        before its error ends the test
    faulthandler_timeout  a moment before pytest shows the threads, and pytest-timeout's `thread`
                          method ends the process

A test whose loop is blocked cannot be cancelled: its tasks are shown, and it goes on.
"""

# The runner's limit is private because users see the runner.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .runner import JobRunner

OPTION = "creche_timeout"

GRACE = 1.0
"""Seconds after which a test that `creche_timeout` did not end is shown as it is."""


class Limit:
    """How long the coroutine of a test may take."""

    def __init__(self, seconds: float, test: str) -> None:
        self.seconds = seconds
        self.test = test

    def around(self, func: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """Return `func` so that it fails, with what all tasks do, when it takes too long."""
        if self.seconds == inf:
            return func

        async def limited() -> Any:
            __tracebackhide__ = True
            return await self._run(func)

        return limited

    async def _run(self, func: Callable[[], Awaitable[Any]]) -> Any:
        __tracebackhide__ = True
        from .._kernel import current_kernel
        from .._tasks.scope import CancelScope

        kernel = current_kernel()
        scope, over = CancelScope(), CancelScope()
        shown: list[str] = []

        async def watch() -> None:
            with over:
                await kernel.sleep_until(kernel.now() + self.seconds)
                shown.append(tasks_of_test(self.test))
                scope.cancel(f"{OPTION} of {self.seconds:g} s")

        kernel.spawn_detached(watch(), f"{OPTION} of {self.test}")
        try:
            with scope:
                return await func()
        finally:
            over.cancel()
            if shown:
                pytest.fail(
                    f"{self.test} took longer than {OPTION} = {self.seconds:g} s\n\n{shown[0]}",
                    pytrace=False,
                )


NO_LIMIT = Limit(inf, "")


def add_options(parser: pytest.Parser) -> None:
    """Add the line of the ini file."""
    parser.addini(
        OPTION,
        "seconds that an async test may take, by the clock of its loop; then it fails, and what its "
        "tasks do is shown",
        default="",
    )


def configure(config: pytest.Config) -> None:
    """Register the mark, and check the option.

    :raises pytest.UsageError: the option is not valid
    """
    config.addinivalue_line(
        "markers",
        f"{OPTION}(seconds): fail this async test after so many seconds, by the clock of its loop, "
        f"and show what its tasks do",
    )
    _seconds(config.getini(OPTION), "the ini file")


def _seconds(value: object, where: str) -> float:
    try:
        seconds = float(str(value)) if value not in ("", None) else inf
    except ValueError:
        seconds = -inf
    if not seconds > 0:
        raise pytest.UsageError(
            f"{OPTION} must be a number of seconds above 0, not {value!r}: see {where}"
        )
    return seconds


def limit_of(item: pytest.Item) -> Limit:
    """Return how long a test may take, by its mark or else by the ini file."""
    marker = item.get_closest_marker(OPTION)
    if marker is None:
        return Limit(_seconds(_ini(item, OPTION), "the ini file"), item.name)
    if len(marker.args) != 1 or marker.kwargs:
        raise pytest.UsageError(
            f"@pytest.mark.{OPTION} takes one number of seconds, on {item.name}"
        )
    return Limit(_seconds(marker.args[0], f"the mark of {item.name}"), item.name)


def _ini(item: pytest.Item, name: str) -> object:
    """Return a value of the ini file, None if no plugin that is loaded knows the name."""
    try:
        value: object = item.config.getini(name)
    except (KeyError, ValueError):
        return None
    return value


@contextmanager
def watched(item: pytest.Item, runner: JobRunner) -> Generator[None]:
    """Have the tasks of a test shown if it hangs, while it runs."""
    from .._kernel.running import interrupted

    limit = limit_of(item)
    runner._limit = limit
    told: list[None] = []

    def show() -> None:
        if not told:
            told.append(None)
            show_tasks(item)

    delays = _delays(item, limit.seconds)
    if delays:
        tasks_of_test("")  # Imports what it needs now: there may be no time for that later.
    timers = [threading.Timer(seconds, show) for seconds in delays]
    interrupted.append(show)
    try:
        for timer in timers:
            timer.daemon = True
            timer.start()
        yield
    finally:
        interrupted.remove(show)
        runner._limit = NO_LIMIT
        for timer in timers:
            timer.cancel()
        for timer in timers:
            timer.join()


def _delays(item: pytest.Item, limit: float) -> list[float]:
    """Return the seconds after which a thread is to show the tasks."""
    delays: list[float] = []
    if limit != inf and "virtual_clock" not in getattr(item, "fixturenames", ()):
        delays.append(limit + GRACE)
    others = (_ini_seconds(item, "faulthandler_timeout"), _by_thread(item))
    return [*delays, *(max(each - _AHEAD, each / 2) for each in others if each is not None)]


_AHEAD = 0.5
"""How many seconds before others end the process the tasks are shown."""


def _ini_seconds(item: pytest.Item, name: str) -> float | None:
    try:
        seconds = float(str(_ini(item, name) or 0))
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _by_thread(item: pytest.Item) -> float | None:
    """Return the seconds after which pytest-timeout ends the process, if it does that from a thread."""
    default = _ini(item, "timeout_method")
    if default is None:  # it is not installed
        return None
    marker = item.get_closest_marker("timeout")
    options = {} if marker is None else dict(marker.kwargs)
    if marker is not None:
        options.update(zip(("timeout", "method"), marker.args, strict=False))
    method = options.get("method") or item.config.getoption("timeout_method", None) or default
    seconds = options.get("timeout") or item.config.getoption("timeout", None)
    seconds = float(str(seconds or _ini(item, "timeout") or 0))
    return seconds if seconds > 0 and method == "thread" else None


def tasks_of_test(test: str) -> str:
    """Return what all tasks do, under the name of a test."""
    from .._insight.collect import snapshot
    from .._insight.text import text_of

    return f"Tasks of {test}:\n{text_of(snapshot())}"


def show_tasks(item: pytest.Item) -> None:
    """Write what all tasks do where pytest writes, even if output is captured."""
    text = tasks_of_test(item.nodeid)
    capture: Any = item.config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        _write(text)
        return
    with capture.global_and_fixture_disabled():
        _write(text)


def _write(text: str) -> None:
    sys.stderr.write(f"\n{text}")
    sys.stderr.flush()
