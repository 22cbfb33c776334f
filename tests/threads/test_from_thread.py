"""Calls from threads into an event loop: from workers, and with a token from any thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

import creche
from _harness import Backend, on_asyncio
from creche import (
    Event,
    NoEventLoopError,
    RunFinishedError,
    create_task_group,
    from_thread,
    get_current_task,
    get_running_tasks,
    move_on_after,
    sleep_forever,
)
from creche.lowlevel import EventLoopToken, checkpoint, current_token
from creche.to_thread import run_sync

variable = contextvars.ContextVar("variable", default="nothing")


class Outside:
    """A thread that Creche did not start; `join` raises what its function has raised."""

    def __init__(self, func: Callable[[], Any]) -> None:
        self.func = func
        self.result: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        try:
            self.result = self.func()
        except BaseException as exc:
            self.error = exc

    def join(self) -> Any:
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.result


async def thread_of_the_loop() -> threading.Thread:
    await checkpoint()
    return threading.current_thread()


# From worker threads


async def test_an_async_function_runs_in_the_loop() -> None:
    def work() -> threading.Thread:
        return from_thread.run(thread_of_the_loop)

    assert await run_sync(work) is threading.current_thread()


async def test_a_function_is_called_in_the_loop() -> None:
    def work() -> threading.Thread:
        return from_thread.run_sync(threading.current_thread)

    assert await run_sync(work) is threading.current_thread()


async def test_arguments_are_passed_on() -> None:
    async def add(one: int, two: int) -> int:
        return one + two

    assert await run_sync(from_thread.run, add, 1, 2) == 3
    assert await run_sync(from_thread.run_sync, divmod, 7, 2) == (3, 1)


async def test_errors_are_raised_in_the_thread() -> None:
    async def fail() -> NoReturn:
        await checkpoint()
        raise LookupError("async")

    def fail_sync() -> NoReturn:
        raise KeyError("sync")

    def work() -> None:
        with pytest.raises(LookupError, match="async"):
            from_thread.run(fail)
        with pytest.raises(KeyError, match="sync"):
            from_thread.run_sync(fail_sync)

    await run_sync(work)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, StopAsyncIteration])
async def test_errors_of_every_kind_end_in_the_thread(error: type[BaseException]) -> None:
    async def fail() -> NoReturn:
        await checkpoint()
        raise error

    def work() -> None:
        with pytest.raises(error):
            from_thread.run(fail)

    await run_sync(work)


async def test_many_calls_from_one_function() -> None:
    def work() -> int:
        total = 0
        for number in range(100):
            total += from_thread.run_sync(abs, number)
            from_thread.run(checkpoint)
        return total

    assert await run_sync(work) == sum(range(100))


async def test_something_that_is_no_coroutine_is_reported() -> None:
    def work() -> None:
        with pytest.raises(TypeError, match=r"Expected .*plain\(\) to return a coroutine"):
            from_thread.run(plain)

    def plain() -> Any:
        return 3

    await run_sync(work)


async def test_context_variables_travel_from_the_thread_to_the_loop() -> None:
    async def look() -> str:
        return variable.get()

    def work() -> None:
        assert from_thread.run(look) == "task"
        variable.set("thread")
        assert from_thread.run(look) == "thread"
        assert from_thread.run_sync(variable.get) == "thread"
        from_thread.run_sync(variable.set, "loop")
        assert variable.get() == "thread"

    variable.set("task")
    await run_sync(work)
    assert variable.get() == "task"


async def test_the_task_in_the_loop_goes_by_the_name_of_the_function() -> None:
    async def named() -> str:
        return get_current_task().name or ""

    assert (await run_sync(from_thread.run, named)).endswith("named")
    token = current_token()
    assert (await run_sync(lambda: from_thread.run(named, token=token))).endswith("named")


async def test_a_function_in_the_loop_may_start_tasks() -> None:
    event = Event()

    async def child() -> None:
        event.set()

    async with create_task_group() as group:
        await run_sync(from_thread.run_sync, group.start_soon, child)
        await event.wait()


async def test_workers_and_loop_may_call_each_other_in_turns() -> None:
    async def down(depth: int) -> int:
        return await run_sync(up, depth) if depth else 0

    def up(depth: int) -> int:
        return 1 + from_thread.run(down, depth - 1)

    assert await down(10) == 10


# With tokens


async def test_a_thread_of_ones_own_calls_with_a_token() -> None:
    token = current_token()
    thread = Outside(lambda: from_thread.run(thread_of_the_loop, token=token))
    assert await run_sync(thread.join) is threading.current_thread()
    thread = Outside(lambda: from_thread.run_sync(int, "7", token=token))
    assert await run_sync(thread.join) == 7


async def test_what_runs_by_token_is_outside_all_scopes_and_in_the_list_of_tasks() -> None:
    token = current_token()
    names: list[str] = []

    async def look() -> float:
        await checkpoint()
        names.extend(task.name or "" for task in get_running_tasks())
        return creche.current_effective_deadline()

    with move_on_after(100):
        thread = Outside(lambda: from_thread.run(look, token=token))
        assert await run_sync(thread.join) == float("inf")
    assert any(name.endswith("look") for name in names)


@pytest.mark.parametrize("name", ["run", "run_sync"])
def test_a_thread_without_a_loop_needs_a_token(name: str) -> None:
    words = "Not running inside a worker thread, and no event loop token was provided"
    with pytest.raises(NoEventLoopError, match=words):
        getattr(from_thread, name)(checkpoint)


def test_check_cancelled_is_for_workers() -> None:
    words = "This function can only be called inside a worker thread"
    with pytest.raises(NoEventLoopError, match=words):
        from_thread.check_cancelled()


@pytest.mark.parametrize("name", ["run", "run_sync"])
async def test_the_thread_of_the_loop_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match="cannot be called from the event loop thread"):
        getattr(from_thread, name)(checkpoint, token=current_token())


@pytest.mark.parametrize("name", ["run", "run_sync"])
def test_calls_into_a_loop_that_has_finished_are_refused(backend: Backend, name: str) -> None:
    async def main() -> EventLoopToken:
        return current_token()

    token = backend.run(main)
    with pytest.raises(RunFinishedError, match="already finished"):
        getattr(from_thread, name)(checkpoint, token=token)


def test_a_call_that_the_end_of_the_loop_interrupts_is_refused(backend: Backend) -> None:
    entered = threading.Event()
    threads: list[Outside] = []

    async def wait() -> None:
        entered.set()
        await sleep_forever()

    async def main() -> None:
        token = current_token()
        threads.append(Outside(lambda: from_thread.run(wait, token=token)))
        await run_sync(entered.wait)

    backend.run(main)
    with pytest.raises(RunFinishedError):
        threads[0].join()


@on_asyncio
def test_a_call_into_a_loop_that_is_closed_rudely_does_not_hang(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creche._threads.loop_calls.PATIENCE", 0.02)

    async def main() -> EventLoopToken:
        return current_token()

    loop = asyncio.new_event_loop()
    token = loop.run_until_complete(main())
    thread = Outside(lambda: from_thread.run_sync(int, token=token))
    while not loop._ready:  # type: ignore[attr-defined]  # the call is in its queue
        pass
    loop.close()
    with pytest.raises(RunFinishedError):
        thread.join()


def test_a_function_that_outlives_its_loop_is_refused(backend: Backend) -> None:
    release, done = threading.Event(), threading.Event()
    seen: list[BaseException] = []

    def work() -> None:
        release.wait()
        try:
            from_thread.run_sync(int)
        except BaseException as exc:
            seen.append(exc)
        done.set()

    async def main() -> None:
        with move_on_after(0.01):
            await run_sync(work, abandon_on_cancel=True)

    backend.run(main)
    release.set()
    done.wait()
    assert [type(exc) for exc in seen] == [RunFinishedError]
