"""The way into an asyncio loop for other threads: no call is lost, none is made in the wrong place."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import pytest

from _harness import on_asyncio
from creche import RunFinishedError, fail_after, from_thread, sleep, to_thread
from creche._kernel import current_kernel
from creche._kernel.asyncio import threadsafe_calls as calls_module
from creche._kernel.asyncio.threadsafe_calls import ThreadsafeCalls
from creche._kernel.exits import Exits
from creche._loop.token import kernel_of
from creche.lowlevel import checkpoint, current_token

pytestmark = on_asyncio

variable: ContextVar[str] = ContextVar("variable")


@contextmanager
def hung_up() -> Iterator[ThreadsafeCalls]:
    """A calls of the running loop's that is there."""
    calls = ThreadsafeCalls(asyncio.get_running_loop(), Exits())
    calls._open()
    assert len(calls.descriptors()) == 1
    yield calls
    calls.close()


async def until_there_is_one() -> None:
    with fail_after(5):
        while not current_kernel().test_probe.own_descriptors():
            await checkpoint()


async def test_there_is_none_before_the_first_call_and_one_after_it() -> None:
    assert not current_kernel().test_probe.own_descriptors()
    await to_thread.run_sync(int)
    await until_there_is_one()
    await to_thread.run_sync(int)
    assert len(current_kernel().test_probe.own_descriptors()) == 1


async def test_no_call_of_many_threads_is_lost_and_each_thread_keeps_its_order() -> None:
    threads, count = 8, 1000
    seen: list[list[int]] = [[] for _ in range(threads)]

    def add(calls: ThreadsafeCalls, number: int) -> None:
        for call in range(count):
            calls.add(seen[number].append, (call,))

    with hung_up() as calls, fail_after(20):
        workers = [threading.Thread(target=add, args=(calls, n)) for n in range(threads)]
        for worker in workers:
            worker.start()
        while any(len(each) < count for each in seen):
            await sleep(0.001)
        for worker in workers:
            worker.join()
    assert seen == [list(range(count))] * threads


async def test_a_call_runs_in_a_copy_of_the_context_of_its_thread() -> None:
    seen: list[str] = []

    def note() -> None:
        seen.append(variable.get())
        variable.set("of the call")

    def add(calls: ThreadsafeCalls) -> None:
        variable.set("of the thread")
        calls.add(note, ())
        calls.add(note, ())

    variable.set("of the loop")
    with hung_up() as calls:
        worker = threading.Thread(target=add, args=(calls,))
        worker.start()
        worker.join()
        while len(seen) < 2:
            await checkpoint()
    assert seen == ["of the thread"] * 2
    assert variable.get() == "of the loop"


async def test_a_call_that_raises_is_reported_by_name_and_the_next_one_is_made() -> None:
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    made: list[int] = []
    try:
        with hung_up() as calls:
            calls.add(divmod, (1, 0))
            calls.add(made.append, (1,))
            while not made:
                await checkpoint()
    finally:
        loop.set_exception_handler(None)
    assert isinstance(reports[0]["exception"], ZeroDivisionError)
    assert "divmod" in reports[0]["message"]


async def test_a_call_that_makes_another_call_is_followed_by_it() -> None:
    order: list[str] = []

    def first(calls: ThreadsafeCalls) -> None:
        calls.add(order.append, ("second",))
        order.append("first")

    with hung_up() as calls:
        calls.add(first, (calls,))
        with fail_after(5):
            while len(order) < 2:
                await checkpoint()
    assert order == ["first", "second"]


async def test_what_is_on_its_way_when_the_loop_ends_is_made() -> None:
    made: list[int] = []
    with hung_up() as calls:
        calls.add(made.append, (1,))
        calls.close()
        calls.add(made.append, (2,))
        assert made == []
        while len(made) < 2:
            await checkpoint()
    assert made == [1, 2]
    assert not calls.descriptors()


async def test_a_signal_handler_may_make_a_call_in_the_middle_of_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    with hung_up() as calls:
        write = os.eventfd_write

        def interrupted(fd: int, value: int) -> None:
            monkeypatch.setattr(os, "eventfd_write", write)
            calls.add(made.append, ("of the handler",))
            write(fd, value)

        monkeypatch.setattr(os, "eventfd_write", interrupted)
        calls.add(made.append, ("before",))
        with fail_after(5):
            while len(made) < 2:
                await checkpoint()
    assert made == ["before", "of the handler"]


def no_more_descriptors(initial: int, flags: int) -> int:
    raise OSError(24, "Too many open files")


@pytest.mark.parametrize("eventfd", [None, no_more_descriptors])
async def test_a_system_without_takes_the_way_of_the_loop(
    monkeypatch: pytest.MonkeyPatch, eventfd: Any
) -> None:
    monkeypatch.setattr(calls_module, "eventfd", eventfd)
    for number in range(3):
        assert await to_thread.run_sync(from_thread.run_sync, abs, -number) == number
    assert not current_kernel().test_probe.own_descriptors()


# Loops that end in other ways


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_calls_behind_one_that_ends_the_loop_are_made_when_it_runs_again(
    error: type[BaseException],
) -> None:
    made: list[int] = []

    def leave() -> None:
        raise error

    loop = asyncio.new_event_loop()
    calls = ThreadsafeCalls(loop, Exits())
    try:
        calls._open()
        for number in (1, 2):
            calls.add(leave, ())
            calls.add(made.append, (number,))
        for _ in range(2):
            with pytest.raises(error):
                loop.run_forever()
        while len(made) < 2:
            loop.run_until_complete(asyncio.sleep(0))
        calls.close()
    finally:
        loop.close()
    assert made == [1, 2]


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_a_loop_that_was_just_closed_is_refused_and_leaves_no_descriptor(library: str) -> None:
    async def main() -> Any:
        token = current_token()
        thread = threading.Thread(target=lambda: from_thread.run_sync(int, token=token))
        thread.start()
        await until_there_is_one()
        while thread.is_alive():
            await checkpoint()
        return token

    loop = import_module(library).new_event_loop()
    token = loop.run_until_complete(main())
    (fd,) = kernel_of(token).test_probe.own_descriptors()
    loop.close()
    with pytest.raises(RunFinishedError):
        from_thread.run_sync(int, token=token)
    assert not kernel_of(token).test_probe.own_descriptors()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fd)
