"""The mistakes that everybody makes with async functions: each error says what to write instead."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

import creche
from _harness import Backend
from creche import (
    CancelScope,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    fail_after,
    fail_at,
    get_cancelled_exc_class,
    move_on_after,
    move_on_at,
    open_process,
    sleep,
    sleep_forever,
    to_thread,
)
from creche.abc import SocketAttribute
from creche.from_thread import start_blocking_portal


async def job() -> None:
    await sleep(0)


def test_run_of_a_coroutine_says_how_to_write_it(backend: Backend) -> None:
    wrong: Any = job()
    with pytest.raises(TypeError, match=r"write run\(job, \.\.\.\), not run\(job\(\.\.\.\)\)"):
        backend.run(wrong)


async def test_start_soon_of_a_coroutine_says_how_to_write_it() -> None:
    wrong: Any = job()
    async with create_task_group() as group:
        with pytest.raises(TypeError, match=r"write start_soon\(job, \.\.\.\), not"):
            group.start_soon(wrong)


async def test_a_type_error_of_a_function_that_is_started_is_its_own() -> None:
    wrong: Any = job
    async with create_task_group() as group:
        with pytest.raises(TypeError, match="takes 0 positional arguments but 1 was given"):
            group.start_soon(wrong, 1)


async def test_with_and_async_with_are_told_apart() -> None:
    group: Any = create_task_group()
    with pytest.raises(TypeError, match="a task group is entered with 'async with'"):
        with group:
            pass
    for scope in (CancelScope(), move_on_after(1), fail_after(1)):
        wrong: Any = scope
        with pytest.raises(TypeError, match="a cancel scope is entered with 'with'"):
            async with wrong:
                pass


async def test_an_async_function_is_not_for_a_thread() -> None:
    with pytest.raises(TypeError, match=r"job\(\) is: await it here instead"):
        await to_thread.run_sync(job)  # type: ignore[unused-coroutine]  # what it is about


@pytest.mark.parametrize("abandon", [False, True])
async def test_what_a_thread_cannot_call_is_said_at_once(abandon: bool) -> None:
    anything: Any = None
    with pytest.raises(TypeError, match="wants a function, not NoneType None"):
        await to_thread.run_sync(anything, abandon_on_cancel=abandon)
    coroutine: Any = job()
    with pytest.raises(TypeError, match="await the coroutine here instead"):
        await to_thread.run_sync(coroutine, abandon_on_cancel=abandon)
    assert await to_thread.run_sync(int, "7") == 7


async def test_start_of_a_coroutine_says_how_to_write_it() -> None:
    coroutine: Any = job()
    async with create_task_group() as group:
        with pytest.raises(TypeError, match=r"write start\(job, ...\), not start\(job\(...\)\)"):
            await group.start(coroutine)


def scope_until(deadline: Any) -> CancelScope:
    return CancelScope(deadline=deadline)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (move_on_after, r"move_on_after\(\) takes delay as a number of seconds, not str '1'"),
        (fail_after, r"fail_after\(\) takes delay as a number of seconds, not str '1'"),
        (fail_at, r"fail_at\(\) takes deadline as a number of seconds, not str '1'"),
        (move_on_at, r"CancelScope\(\) takes deadline as a number of seconds, not str '1'"),
        (scope_until, "takes deadline as a number of seconds"),
    ],
)
async def test_a_time_that_is_no_number_is_said_at_once(
    make: Callable[[Any], object], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        make("1")


async def test_text_in_place_of_bytes_is_said_and_harms_no_stream() -> None:
    text: Any = "text"
    told = r"takes bytes, not str 'text': send text.encode\(\)"
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with await connect_tcp("127.0.0.1", port) as stream:
            with pytest.raises(TypeError, match=told):
                await stream.send(text)
            await stream.send(b"bytes")
    async with await open_process([sys.executable, "-c", "input()"]) as process:
        assert process.stdin is not None
        with pytest.raises(TypeError, match=told):
            await process.stdin.send(text)
        await process.stdin.send(b"\n")


async def test_a_function_may_return_a_coroutine_from_a_thread() -> None:
    await (await to_thread.run_sync(lambda: job()))  # not the function itself


async def test_a_delay_that_is_no_number_is_named() -> None:
    wrong: Any = "1"
    with pytest.raises(TypeError, match="delay as a number of seconds, not str '1'"):
        await sleep(wrong)


@pytest.mark.parametrize("make", [move_on_after, fail_after])
async def test_the_reason_of_a_deadline_is_the_same_however_far_ahead(
    make: Callable[[float], CancelScope],
) -> None:
    reasons = []
    for delay in (0, 0.001):
        try:
            with make(delay):
                try:
                    await sleep_forever()
                except get_cancelled_exc_class() as exc:
                    # What comes before it on asyncio names the scope.
                    reasons.append(str(exc).partition("reason")[2] or str(exc))
                    raise
        except TimeoutError:
            pass
    assert reasons[0].replace("(0)", "(0.001)") == reasons[1] != ""


async def test_the_step_of_a_generator_is_named_as_python_names_it() -> None:
    async def numbers() -> AsyncGenerator[int]:
        yield 1

    generator = numbers()
    async with create_task_group() as group:
        step: Any = generator.asend
        assert group.start_soon(step, None).name == "async_generator.asend"
    await generator.aclose()


def test_no_two_threads_of_portals_have_one_name(backend: Backend) -> None:
    with start_blocking_portal(backend.kernel), start_blocking_portal(backend.kernel):
        names = [each.name for each in threading.enumerate() if "portal" in each.name]
    assert len(set(names)) == len(names) == 2


def test_uvloop_is_a_backend_by_its_name() -> None:
    async def of_loop() -> str:
        import asyncio

        return type(asyncio.get_running_loop()).__module__

    assert creche.run(of_loop, backend="uvloop").partition(".")[0] == "uvloop"
    with start_blocking_portal("uvloop") as portal:
        assert portal.call(of_loop).partition(".")[0] == "uvloop"
