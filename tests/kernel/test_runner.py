"""`Runner`, `Starter` and `Finder`: starting, driving and finding a loop, on every kernel."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

from _harness import EVERY, Backend, on_every_backend
from creche import NoEventLoopError, _kernel, _registry
from creche._kernel import current_kernel, current_task
from creche._kernel.contract import FirmWaiter, Kernel, Waiter
from creche._kernel.running import Finder, Runner

pytestmark = on_every_backend


class Turns:
    """A main function that does one step in each turn, pauses its loop, and waits for the next."""

    def __init__(self) -> None:
        self.runner: Runner
        self.log: list[str] = []
        self._kernel: Kernel
        self._waiter: Waiter | None = None

    def drive(self, *, last: bool = False) -> None:
        if self._waiter is not None:
            self._kernel.call_soon_threadsafe(self._waiter.set_result, last)
            self._waiter = None
        self.runner.drive()

    async def main(self) -> None:
        self._kernel = current_kernel()
        last = False
        while not last:
            self.log.append(f"step {len(self.log)}")
            self._waiter = current_task().make_waiter()
            self.runner.pause()
            last = await current_task().wait(self._waiter)
        self.log.append("over")


@contextmanager
def opened(backend: Backend, main: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[Runner]:
    runner = _kernel.open_runner(main, backend.kernel, dict(backend.options))
    try:
        yield runner
    finally:
        runner.close()


def finder_of(backend: Backend) -> Finder:
    finder: Any = import_module(f"{_registry.find(backend.kernel).package}.here")
    return finder  # type: ignore[no-any-return]


# Starter.run


def test_run_returns_or_raises_what_the_function_does(backend: Backend) -> None:
    async def returns(value: int) -> int:
        await current_task().checkpoint()
        return value

    async def fails(value: int) -> int:
        await current_task().checkpoint()
        raise LookupError(value)

    assert backend.run(returns, 3) == 3
    with pytest.raises(LookupError, match="4"):
        backend.run(fails, 4)


def test_run_leaves_nothing_behind(backend: Backend) -> None:
    log: list[str] = []

    async def detached() -> None:
        try:
            await current_task().wait(current_task().make_waiter())
        finally:
            log.append("detached")

    async def generate() -> Any:
        try:
            yield 1
        finally:
            log.append("generator")

    generators: list[Any] = []

    async def main() -> None:
        current_kernel().spawn_detached(detached(), "detached")
        generators.append(generate())
        async for _ in generators[0]:
            break
        for _ in range(3):
            await current_task().checkpoint()

    threads, hooks = set(threading.enumerate()), sys.get_asyncgen_hooks()
    backend.run(main)
    assert sorted(log) == ["detached", "generator"]
    assert set(threading.enumerate()) == threads
    assert sys.get_asyncgen_hooks() == hooks
    with pytest.raises(NoEventLoopError):
        current_kernel()


@pytest.mark.parametrize("opens", [False, True])
def test_an_option_that_no_kernel_knows_is_refused(opens: bool, backend: Backend) -> None:
    async def main() -> None:
        pass

    options = {"no_such_option": 1}
    with pytest.raises(TypeError, match="no_such_option"):
        if opens:
            _kernel.open_runner(main, backend.kernel, options).close()
        else:
            _kernel.run(main, (), backend.kernel, options)


def test_run_refuses_to_run_inside_a_loop(backend: Backend) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=f"Already running {backend.kernel}"):
            backend.run(main)

    backend.run(main)


# Finder


def test_a_finder_finds_the_task_and_the_kernel_of_its_loops(backend: Backend) -> None:
    finder = finder_of(backend)
    found: list[bool] = []

    async def main() -> None:
        found.append(finder.task_here() is current_task())
        found.append(finder.kernel_here() is current_kernel())

    assert finder.task_here() is None
    assert finder.kernel_here() is None
    backend.run(main)
    assert found == [True, True]
    assert finder.task_here() is None
    assert finder.kernel_here() is None


def test_a_finder_finds_nothing_in_other_threads_and_in_other_loops(backend: Backend) -> None:
    others = [
        finder_of(Backend(name, name)) for name in _registry.names() if name != backend.kernel
    ]
    finder, found = finder_of(backend), list[object]()

    async def main() -> None:
        found.extend(other.task_here() for other in others)
        found.extend(other.kernel_here() for other in others)
        thread = threading.Thread(
            target=lambda: found.extend((finder.task_here(), finder.kernel_here()))
        )
        thread.start()
        thread.join()

    backend.run(main)
    assert found == [None] * len(found)
    assert len(found) == 2 * len(others) + 2


# Runner: standing -- drive / pause -- driven -- the main function ends -- over -- closed


def test_the_main_function_takes_no_step_before_the_loop_is_driven(backend: Backend) -> None:
    turns = Turns()
    with opened(backend, turns.main) as turns.runner:
        assert turns.log == []
        turns.drive()
        assert turns.log == ["step 0"]


def test_a_loop_is_driven_as_often_as_need_be(backend: Backend) -> None:
    turns = Turns()
    with opened(backend, turns.main) as turns.runner:
        for number in range(1, 4):
            turns.drive()
            assert len(turns.log) == number
        turns.drive(last=True)
        assert turns.log[-1] == "over"
        turns.drive()  # There is nothing left to drive.
    assert turns.log == ["step 0", "step 1", "step 2", "over"]


def test_a_main_function_that_pauses_and_goes_on_pauses_one_turn(backend: Backend) -> None:
    """uvloop stops a pass after it was told to: a second stop would be for the next turn."""
    runners: list[Runner] = []
    log: list[str] = []

    async def main() -> None:
        while True:
            runners[0].pause()
            log.append("step")
            await current_task().checkpoint()

    with opened(backend, main) as runner:
        runners.append(runner)
        for _ in range(3):
            runner.drive()
    assert len(log) >= 3


def test_outside_drive_nothing_of_the_loop_is_set_in_the_thread(backend: Backend) -> None:
    turns, hooks = Turns(), sys.get_asyncgen_hooks()
    handler, descriptor = signal.getsignal(signal.SIGINT), wakeup_descriptor()
    finder = finder_of(backend)

    def look() -> None:
        assert finder.task_here() is None
        assert finder.kernel_here() is None
        assert sys.get_asyncgen_hooks() == hooks
        assert signal.getsignal(signal.SIGINT) is handler
        assert wakeup_descriptor() == descriptor
        with pytest.raises(NoEventLoopError):
            current_kernel()

    with opened(backend, turns.main) as turns.runner:
        look()
        turns.drive()
        look()
        turns.drive()
        look()
    look()


def wakeup_descriptor() -> int:
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found)
    return found


def test_a_loop_that_stands_still_leaves_room_for_another_one(backend: Backend) -> None:
    turns = Turns()

    async def other() -> str:
        await current_task().checkpoint()
        return "ran"

    with opened(backend, turns.main) as turns.runner:
        turns.drive()
        for name in _registry.names():
            assert _kernel.run(other, (), name, {}) == "ran"
        turns.drive()
    assert len(turns.log) == 2


def test_closing_ends_the_loop_with_all_that_is_left_in_it(backend: Backend) -> None:
    log: list[str] = []
    runners: list[Runner] = []

    async def main() -> None:
        try:
            runners[0].pause()
            await current_task().wait(current_task().make_waiter())
        except current_kernel().cancelled_class:
            log.append("cancelled")

    async def detached() -> None:
        try:
            await current_task().wait(current_task().make_waiter())
        finally:
            log.append("detached")

    async def whole() -> None:
        current_kernel().spawn_detached(detached(), "detached")
        for _ in range(3):
            await current_task().checkpoint()
        current_kernel().at_exit(lambda: log.append("exit"))
        await main()

    with opened(backend, whole) as runner:
        runners.append(runner)
        runner.drive()
        assert log == []
    assert sorted(log[:-1]) == ["cancelled", "detached"]
    assert log[-1] == "exit"


def test_a_loop_that_was_never_driven_can_be_closed(backend: Backend) -> None:
    log: list[str] = []

    async def main() -> None:
        log.append("begun")
        try:
            await current_task().checkpoint()
        except current_kernel().cancelled_class:
            pass

    with opened(backend, main):
        pass
    assert log in ([], ["begun"])


@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends the process there")
def test_what_a_signal_raises_ends_what_the_main_task_waits_for(backend: Backend) -> None:
    """It comes out of `drive`, or of the main task's wait. The loop can be driven on."""
    log: list[str] = []
    runners: list[Runner] = []
    kernels: list[Any] = []
    waiters: list[FirmWaiter] = []

    async def main() -> None:
        kernel = current_kernel()
        kernels.append(kernel)
        kernel.call_soon_threadsafe(signal.raise_signal, signal.SIGINT)
        try:
            await current_task().wait(current_task().make_waiter())
        except KeyboardInterrupt:
            log.append("interrupted")
        except kernel.cancelled_class:
            log.append("cancelled")
        waiters.append(current_task().make_firm_waiter())
        runners[0].pause()
        log.append(await waiters[0].wait())

    with opened(backend, main) as runner:
        runners.append(runner)
        try:
            runner.drive()
        except KeyboardInterrupt:
            log.append("raised")
        assert log in (["interrupted"], ["cancelled", "raised"])
        kernels[0].call_soon_threadsafe(waiters[0].set_result, "went on")
        runner.drive()
    assert log[-1] == "went on"


@pytest.mark.backends(*[name for name in EVERY if name != "trio"])
def test_what_a_callback_raises_is_reported(backend: Backend) -> None:
    """On Trio nothing is: an exception there ends the run, and `drive` raises it."""
    error = LookupError()

    async def main() -> None:
        current_kernel().call_soon_threadsafe(fail)
        for _ in range(3):
            await current_task().checkpoint()

    def fail() -> None:
        raise error

    with opened(backend, main) as runner:
        runner.drive()
        assert runner.reports == [error]
