"""Errors that Python raises for a forgotten `await` and its relatives say what was meant, on every loop."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import creche
from _harness import Backend
from creche import (
    CancelScope,
    Path,
    _labels,
    connect_tcp,
    create_task_group,
    open_file,
    sleep,
    to_thread,
)
from creche.from_thread import start_blocking_portal

connect: Any = connect_tcp
"""To type checkers, what these tests do is as wrong as it is."""
opened: Any = open_file
PLACES = sys.version_info >= (3, 13)
"""Before that CPython tells the place of the whole statement."""


async def enter_a_call() -> None:
    async with connect("localhost", 80):
        pass


async def enter_a_call_with_with() -> None:
    with opened("x"):
        pass


async def iterate_a_call() -> None:
    async for _ in connect("localhost", 80):
        pass


async def use_a_call() -> None:
    connect("localhost", 80).send_eof()


async def unpack_a_call() -> None:
    _one, _two = connect("localhost", 80)


async def loop_over_a_call() -> None:
    for _ in connect("localhost", 80):
        pass


async def enter_a_call_over_several_lines() -> None:
    wrong: Any = opened
    async with wrong(
        "a name that is too long for one line, and so the statement goes over several of them", "w"
    ):
        pass


async def await_a_group() -> None:
    wrong: Any = create_task_group()
    await wrong


async def await_a_scope() -> None:
    wrong: Any = CancelScope()
    await wrong


async def await_what_is_not_async() -> None:
    wrong: Any = CancelScope()
    await wrong.cancel()


async def await_a_function() -> None:
    wrong: Any = sleep
    await wrong


async def enter_a_function() -> None:
    wrong: Any = create_task_group
    async with wrong:
        pass


async def enter_a_class() -> None:
    wrong: Any = CancelScope
    with wrong:
        pass


async def iterate_a_method() -> None:
    wrong: Any = Path().iterdir
    async for _ in wrong:
        pass


async def keyword_to_start_soon() -> None:
    async with create_task_group() as group:
        wrong: Any = group
        wrong.start_soon(sleep, delay=1)


async def keyword_to_start() -> None:
    async with create_task_group() as group:
        wrong: Any = group
        await wrong.start(sleep, delay=1)


async def keyword_to_a_thread() -> None:
    wrong: Any = to_thread.run_sync
    await wrong(int, base=2)


CALL = """'async with await connect("localhost", 80)'""" if PLACES else "'async with await f(...)'"
ITERATED = (
    """'async for ... in await connect("localhost", 80)'"""
    if PLACES
    else "'async for ... in await f(...)'"
)
PASSES_ON = "passes on positional arguments alone: give it functools.partial(f, {}=...) in place"
CASES = [
    (enter_a_call, CALL),
    (enter_a_call_with_with, "await"),
    (iterate_a_call, ITERATED),
    (use_a_call, "'(await f(...))'"),
    (unpack_a_call, "'(await f(...))'"),
    (loop_over_a_call, "'(await f(...))'"),
    (enter_a_call_over_several_lines, "'async with await f(...)'"),
    (await_a_group, "Enter it with 'async with', without 'await'"),
    (await_a_scope, "Enter it with 'with', without 'await'"),
    (await_what_is_not_async, "is not async: leave out 'await'"),
    (await_a_function, "Did you forget to call it?"),
    (enter_a_function, "Did you forget to call it?"),
    (enter_a_class, "Did you forget to call it?"),
    (iterate_a_method, "Did you forget to call it?"),
    (keyword_to_start_soon, "TaskGroup.start_soon() " + PASSES_ON.format("delay")),
    (keyword_to_start, "TaskGroup.start() " + PASSES_ON.format("delay")),
    (keyword_to_a_thread, "run_sync() " + PASSES_ON.format("base")),
]


def advice_on(run: Callable[[], object]) -> list[str]:
    """Return the notes of the error that comes out, but the one that names the task."""
    with warnings.catch_warnings():
        # It names the function, where the mistake is: Python says it, whatever the error says.
        warnings.filterwarnings("ignore", "coroutine '.*' was never awaited", RuntimeWarning)
        with pytest.raises(BaseException) as caught:
            run()
    error: Any = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert type(error) in (TypeError, AttributeError)
    if type(error) is AttributeError:
        coroutine: Any = error.obj  # which it keeps
        coroutine.close()
    notes: list[str] = getattr(error, "__notes__", [])
    return [note for note in notes if not note.startswith("in task ")]


mistakes = pytest.mark.parametrize(("mistake", "told"), CASES, ids=[f.__name__ for f, _ in CASES])


@mistakes
def test_the_main_function_of_a_run(
    backend: Backend, mistake: Callable[[], Coroutine[Any, Any, None]], told: str
) -> None:
    (note,) = advice_on(lambda: backend.run(mistake))
    assert told in note


@mistakes
def test_a_task_of_a_group(
    backend: Backend, mistake: Callable[[], Coroutine[Any, Any, None]], told: str
) -> None:
    async def main() -> None:
        async with create_task_group() as outer, create_task_group():
            outer.start_soon(mistake)

    (note,) = advice_on(lambda: backend.run(main))
    assert told in note


def test_a_call_through_a_portal(backend: Backend) -> None:
    with start_blocking_portal(backend.kernel, dict(backend.options)) as portal:
        (note,) = advice_on(lambda: portal.call(enter_a_call))
        assert CALL in note
        wrong: Any = portal.call

        async def keyword() -> None:
            wrong(sleep, delay=1)

        (note,) = advice_on(lambda: backend.run(keyword))
        assert "BlockingPortal.call() passes on" in note


@pytest.mark.parametrize(
    "error",
    [
        TypeError("'row' object does not support the asynchronous context manager protocol"),
        TypeError("object int can't be used in 'await' expression"),
        TypeError("main() got an unexpected keyword argument 'x'"),
        AttributeError("'NoneType' object has no attribute 'send'"),
        ValueError("'coroutine' object is not iterable"),
    ],
    ids=str,
)
def test_other_errors_are_left_alone(backend: Backend, error: Exception) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        backend.run(fail)
    assert not hasattr(error, "__notes__")


def test_while_it_stands_for_anyio_nothing_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_labels, "library", "anyio")
    assert advice_on(lambda: creche.run(enter_a_call)) == []
