"""Simulated runs: what a kernel that has them owes its director, on each of them."""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any

import pytest
from _kernel_parts import Group, cancel, caught, entered

from _harness import on_each_simulated_loop
from creche import _kernel
from creche._kernel import current_kernel, current_task
from creche._kernel.simulation import EscapedSimulationError, Simulation

pytestmark = on_each_simulated_loop


class StalledError(Exception):
    pass


class SpinningError(Exception):
    pass


class Director:
    """Steps what is first, or last; writes down what it is asked and told."""

    def __init__(
        self, *, steers: bool = False, last: bool = False, traces: bool = False, limit: int = 1000
    ) -> None:
        self.steers = steers
        self.traces = traces
        self.limit = limit
        self._last = last
        self.asked: list[list[int]] = []
        self.told: list[tuple[str, int]] = []

    def choose(self, ready: Sequence[int]) -> int:
        self.asked.append(list(ready))
        return len(ready) - 1 if self._last else 0

    def stepping(self, number: int, native: Any) -> None:
        self.told.append(("stepping", number))

    def stepped(self, number: int, native: Any) -> None:
        self.told.append(("stepped", number))

    def stalled(self) -> BaseException:
        return StalledError()

    def spinning(self) -> BaseException:
        return SpinningError()


def simulate(
    loop: str, main: Callable[[], Coroutine[Any, Any, Any]], director: Director | None = None
) -> Any:
    """Run `main()` as `creche.testing` does: in a scope that a stop of the run cancels."""
    simulation = Simulation(director or Director())

    async def whole() -> Any:
        assert current_kernel().simulation is simulation
        with entered() as scope:
            # What a stop cancels is a public scope.
            public: Any = scope
            simulation.scope = _Cancellable(public)
            return await main()

    result = _kernel.simulate(whole, (), loop, simulation)
    assert simulation.failure is None, simulation.failure
    return result


class _Cancellable:
    def __init__(self, scope: Any) -> None:
        self._scope = scope

    def cancel(self, reason: str | None = None) -> None:
        cancel(self._scope)


def failure_of(
    loop: str, main: Callable[[], Coroutine[Any, Any, Any]], director: Director | None = None
) -> BaseException | None:
    """Return what a run was stopped with."""
    simulation = Simulation(director or Director())

    async def whole() -> None:
        with entered() as scope:
            simulation.scope = _Cancellable(scope)
            await main()

    _kernel.simulate(whole, (), loop, simulation)
    return simulation.failure


async def sleep(seconds: float) -> None:
    await current_kernel().sleep_until(current_kernel().now() + seconds)


# The run


def test_a_run_returns_or_raises_what_its_main_function_does(loop: str) -> None:
    async def returns() -> int:
        await current_task().checkpoint()
        return 3

    async def fails() -> None:
        raise LookupError

    assert simulate(loop, returns) == 3
    with pytest.raises(LookupError):
        simulate(loop, fails)


def test_a_kernel_knows_the_simulation_that_it_runs_in(loop: str) -> None:
    kernels: list[Any] = []

    async def main() -> None:
        kernels.append(current_kernel())
        assert current_kernel().name == loop
        assert current_kernel().simulation is not None

    simulate(loop, main)
    assert len(kernels) == 1


def test_what_is_left_at_the_end_is_cancelled(loop: str) -> None:
    log: list[str] = []

    async def detached() -> None:
        try:
            await current_task().wait(current_task().make_waiter())
        except current_kernel().cancelled_class:
            log.append("cancelled")
            raise

    async def quiet() -> None:
        try:
            await detached()
        except current_kernel().cancelled_class:
            pass

    async def main() -> None:
        current_kernel().spawn_detached(quiet(), "detached")
        await sleep(1)
        log.append("main")

    simulate(loop, main)
    assert log == ["main", "cancelled"]


# Time


def test_time_begins_at_nothing_and_jumps_to_the_next_deadline_exactly(loop: str) -> None:
    times: list[float] = []

    async def child(seconds: float) -> None:
        await sleep(seconds)
        times.append(current_kernel().now())

    async def main() -> None:
        times.append(current_kernel().now())
        group = Group()
        for seconds in (3600.0, 0.25, 7.5):
            group.spawn(child, seconds)
        await group.close()

    simulate(loop, main)
    assert times == [0.0, 0.25, 7.5, 3600.0]


def test_time_stands_still_while_anything_can_run(loop: str) -> None:
    times: set[float] = set()

    async def main() -> None:
        group = Group(deadline=5.0)
        group.spawn(sleep, 1.0)
        for _ in range(50):
            await current_task().checkpoint()
            times.add(current_kernel().now())
        await group.close()

    simulate(loop, main)
    assert times == {0.0}


def test_a_deadline_of_a_scope_cancels_in_virtual_time(loop: str) -> None:
    async def main() -> float:
        with entered(deadline=100.0) as scope:
            await sleep(inf)
        assert caught(scope)
        return current_kernel().now()

    assert simulate(loop, main) == 100.0


# Order


async def three_steps_each(log: list[int]) -> None:
    async def child(number: int) -> None:
        for _ in range(3):
            log.append(number)
            await current_task().checkpoint()

    group = Group()
    for number in range(3):
        group.spawn(child, number)
    await group.close()


def test_the_director_says_which_of_the_tasks_that_are_ready_steps_next(loop: str) -> None:
    first, last = list[int](), list[int]()
    simulate(loop, partial(three_steps_each, first), Director(steers=True))
    simulate(loop, partial(three_steps_each, last), Director(steers=True, last=True))
    assert sorted(first) == sorted(last) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert first == [0, 1, 2] * 3
    assert last == [2, 2, 2, 1, 1, 1, 0, 0, 0]


def test_the_director_is_asked_only_where_there_is_a_choice(loop: str) -> None:
    director = Director(steers=True)
    simulate(loop, partial(three_steps_each, []), director)
    assert director.asked
    assert all(len(ready) > 1 for ready in director.asked)
    assert all(len(set(ready)) == len(ready) for ready in director.asked)


def test_a_director_that_does_not_steer_is_not_asked(loop: str) -> None:
    director, log = Director(), list[int]()
    simulate(loop, partial(three_steps_each, log), director)
    assert director.asked == []
    assert log == [0, 1, 2] * 3


def test_the_same_choices_make_the_same_run(loop: str) -> None:
    runs: list[tuple[list[int], list[list[int]]]] = []
    for _ in range(2):
        director, log = Director(steers=True, last=True), list[int]()
        simulate(loop, partial(three_steps_each, log), director)
        runs.append((log, director.asked))
    assert runs[0] == runs[1]


def test_a_director_that_traces_is_told_of_each_step(loop: str) -> None:
    director, log = Director(traces=True), list[int]()
    simulate(loop, partial(three_steps_each, log), director)
    begun = [number for what, number in director.told if what == "stepping"]
    assert len(set(begun)) == 4  # The main task and its three children.
    assert len(begun) >= 1 + 3 * 3
    open_step: int | None = None
    for what, number in director.told:
        if what == "stepping":
            assert open_step is None
            open_step = number
        else:
            assert open_step in (None, number)  # The first step was not told to begin, on Trio.
            open_step = None


def test_a_director_that_does_not_trace_is_told_nothing(loop: str) -> None:
    director = Director()
    simulate(loop, partial(three_steps_each, []), director)
    assert director.told == []


# All are blocked


def test_the_first_that_settles_goes_on_before_time_does(loop: str) -> None:
    log: list[object] = []

    async def child(number: int) -> None:
        simulation = current_kernel().simulation
        assert simulation is not None
        await simulation.settle(current_task())
        log.append((number, current_kernel().now()))

    async def main() -> None:
        group = Group()
        group.spawn(child, 1)
        group.spawn(child, 2)
        await sleep(1)
        log.append(current_kernel().now())
        await group.close()

    simulate(loop, main)
    assert log == [(1, 0.0), (2, 0.0), 1.0]


def test_wait_all_tasks_blocked_settles(loop: str) -> None:
    log: list[int] = []

    async def main() -> None:
        group = Group()
        group.spawn(three_steps_each, log)
        group.spawn(sleep, 1)
        await current_kernel().wait_all_tasks_blocked()
        assert (len(log), current_kernel().now()) == (9, 0.0)
        await group.close()

    simulate(loop, main)


def test_a_run_in_which_nothing_can_ever_go_on_is_stopped(loop: str) -> None:
    log: list[str] = []

    async def main() -> None:
        try:
            await current_task().wait(current_task().make_waiter())
        finally:
            log.append("cancelled")

    assert isinstance(failure_of(loop, main), StalledError)
    assert log == ["cancelled"]


def test_a_run_that_spins_while_time_stands_still_is_stopped(loop: str) -> None:
    async def main() -> None:
        while True:
            await current_task().checkpoint()

    assert isinstance(failure_of(loop, main, Director(limit=50)), SpinningError)


def test_a_run_in_which_time_goes_on_does_not_spin(loop: str) -> None:
    async def main() -> None:
        for _ in range(200):
            await sleep(1)

    simulate(loop, main, Director(limit=50))


# What would lead out of the run


def test_a_kernel_refuses_what_would_reach_out_of_the_run(loop: str) -> None:
    ours, theirs = socket.socketpair()

    async def main() -> None:
        kernel = current_kernel()
        with pytest.raises(EscapedSimulationError):
            kernel.watch(ours)
        with pytest.raises(EscapedSimulationError):
            await kernel.wait_readable(ours)
        with pytest.raises(EscapedSimulationError):
            await kernel.wait_writable(ours)

    with ours, theirs:
        simulate(loop, main)


def test_a_call_from_another_thread_is_refused_there(loop: str) -> None:
    errors: list[BaseException] = []

    async def main() -> None:
        kernel = current_kernel()

        def call() -> None:
            try:
                kernel.call_soon_threadsafe(print)
            except EscapedSimulationError as exc:
                errors.append(exc)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    simulate(loop, main)
    assert len(errors) == 1


def test_a_call_from_the_loops_own_thread_is_made(loop: str) -> None:
    async def main() -> object:
        waiter = current_task().make_waiter()
        current_kernel().call_soon_threadsafe(waiter.set_result, 3)
        return await current_task().wait(waiter)

    assert simulate(loop, main) == 3


def test_each_door_of_the_loops_own_is_a_function(loop: str) -> None:
    for module, path in _kernel.simulator(loop).DOORS:
        assert callable(attrgetter(path)(importlib.import_module(module)))


def test_a_call_for_a_worker_thread_is_a_step_in_the_loops_own(loop: str) -> None:
    log: list[object] = []

    class Job:
        def run(self) -> None:
            log.append(threading.get_ident() == here)

        def finish(self) -> None:
            waiters[0].set_result("done")

    here, waiters = threading.get_ident(), list[Any]()

    async def main() -> None:
        simulation = current_kernel().simulation
        assert simulation is not None
        waiters.append(current_task().make_waiter())
        simulation.pool().submit(Job())
        assert log == []
        log.append(await current_task().wait(waiters[0]))

    simulate(loop, main)
    assert log == [True, "done"]
