"""`get_runner` and the loops below it, without pytest: turns, context, what ends them."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import creche
from _harness import Backend, on_asyncio
from creche.abc import TestRunner
from creche.lowlevel import current_token
from creche.pytest_plugin import extract_backend_and_options, get_runner

variable = contextvars.ContextVar("variable", default="unset")


async def token() -> object:
    await creche.sleep(0)
    return current_token()


def run_in(backend: Backend) -> Any:
    return get_runner(backend.kernel, dict(backend.options))


def test_a_runner_runs_everything_in_one_task(backend: Backend) -> None:
    async def task() -> int:
        await creche.sleep(0)
        return creche.get_current_task().id

    async def fixture() -> AsyncGenerator[int, None]:
        yield await task()
        seen.append(await task())

    seen: list[int] = []
    with run_in(backend) as runner:
        assert isinstance(runner, TestRunner)
        seen.append(runner.run_fixture(task, {}))
        [value] = runner.run_asyncgen_fixture(fixture, {})
        seen.append(value)
    assert len(seen) == 3 and len({*seen}) == 1


def test_who_asks_for_the_same_backend_shares_the_runner(backend: Backend) -> None:
    with run_in(backend) as outer:
        first = outer.run_fixture(token, {})
        with run_in(backend) as inner:
            assert inner is outer
        with get_runner("asyncio", {"debug": True}) as other:
            assert other is not outer
            assert other.run_fixture(token, {}) != first
        assert outer.run_fixture(token, {}) == first
    with run_in(backend) as again:
        assert again is not outer


def test_a_runner_runs_only_while_it_runs_something(backend: Backend) -> None:
    async def look() -> None:
        seen.append(runner.is_running())
        with pytest.raises(RuntimeError, match="is running already"):
            runner.run_test(look, {})

    seen: list[bool] = []
    with run_in(backend) as runner:
        assert not runner.is_running()
        runner.run_test(look, {})
        assert seen == [True]
        assert not runner.is_running()


def test_arguments_go_in_and_errors_come_out(backend: Backend) -> None:
    async def divide(one: int, two: int) -> float:
        await creche.sleep(0)
        return one / two

    with run_in(backend) as runner:
        assert runner.run_fixture(divide, {"one": 6, "two": 3}) == 2
        with pytest.raises(ZeroDivisionError):
            runner.run_test(divide, {"one": 6, "two": 0})
        assert runner.run_fixture(divide, {"one": 1, "two": 1}) == 1


def test_context_goes_both_ways_and_is_taken_back(backend: Backend) -> None:
    async def change(text: str) -> str:
        before = variable.get()
        variable.set(text)
        return before

    async def fixture() -> AsyncGenerator[None, None]:
        mark = variable.set("of the fixture")
        yield
        variable.reset(mark)

    def check() -> None:
        with run_in(backend) as runner:
            assert variable not in contextvars.copy_context()
            generator = iter(runner.run_asyncgen_fixture(fixture, {}))
            next(generator)
            assert variable.get() == "of the fixture"
            assert next(generator, "over") == "over"
            assert variable not in contextvars.copy_context()
            mark = variable.set("outside")
            assert runner.run_fixture(change, {"text": "inside"}) == "outside"
            assert variable.get() == "inside"
            variable.reset(mark)
            assert runner.run_fixture(change, {"text": "again"}) == "unset"

    contextvars.Context().run(check)


def test_what_a_fixture_leaves_behind_ends_with_the_runner(backend: Backend) -> None:
    log: list[str] = []

    async def never_ends() -> None:
        try:
            await creche.sleep_forever()
        finally:
            log.append("cancelled")

    async def start() -> None:
        if backend.kernel == "asyncio":
            import asyncio

            tasks.append(asyncio.create_task(never_ends()))
        else:
            import trio

            trio.lowlevel.spawn_system_task(never_ends)
        await creche.sleep(0)
        await creche.sleep(0)

    tasks: list[object] = []
    with run_in(backend) as runner:
        runner.run_test(start, {})
        assert not log
    assert log == ["cancelled"]


@on_asyncio
def test_a_runner_that_was_cancelled_natively_goes_on(backend: Backend) -> None:
    async def cancels_itself() -> None:
        import asyncio

        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await creche.sleep(1)

    with run_in(backend) as runner:
        with pytest.raises(RuntimeError, match="cancelled natively"):
            runner.run_test(cancels_itself, {})
        runner.run_test(token, {})


@pytest.mark.parametrize("value", [3, None, ("asyncio",), ("asyncio", 3), ["asyncio", {}], (3, {})])
def test_what_is_no_backend_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="must be either a string or tuple of"):
        extract_backend_and_options(value)


def test_a_backend_is_a_name_or_a_name_and_options() -> None:
    assert extract_backend_and_options("trio") == ("trio", {})
    assert extract_backend_and_options(("asyncio", {"debug": True})) == (
        "asyncio",
        {"debug": True},
    )
