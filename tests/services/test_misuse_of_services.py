"""Bad inputs of `creche.services`: each is refused before anything is half done, and says what to do."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from creche import CancelScope, create_task_group, sleep_forever
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint
from creche.services import (
    ResourceGroup,
    ServiceHandle,
    create_resource_group,
    create_supervisor,
    every,
    exponential,
    stop_on_signals,
)
from creche.testing import settle, virtual_time


async def ready(*, task_status: TaskStatus[None]) -> None:
    task_status.started()
    await sleep_forever()


def returns_three(*, task_status: TaskStatus[None]) -> int:
    return 3


async def listens(*_: object) -> None:
    """An async function where a plain one is wanted."""


# Numbers and functions

Make = Callable[[Any], object]


RANGES: dict[str, Make] = {
    "max_restarts": lambda value: create_supervisor(max_restarts=value),
    "within": lambda value: create_supervisor(within=value),
    "close_timeout": lambda value: create_resource_group(close_timeout=value),
    "first": lambda value: exponential(value),
    "factor": lambda value: exponential(factor=value),
    "limit": lambda value: exponential(limit=value),
    "jitter": lambda value: exponential(jitter=value),
}
NUMBERS: dict[str, Make] = {
    **RANGES,
    "period": lambda value: every(value),
    "grace": lambda value: CancelScope().stop(grace=value),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["5", None, [5]], ids=repr)
async def test_what_is_no_number_is_said(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^\w+\(\) takes {name} as a number"):
        NUMBERS[name](value)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [-1, math.nan])
def test_a_number_that_is_out_of_range_is_said(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a "):
        RANGES[name](value)


async def test_a_signal_stopper_wants_a_number() -> None:
    async with create_task_group() as group:
        with pytest.raises(TypeError, match="takes grace as a number of seconds, not str '5'"):
            await group.start(lambda **keywords: stop_on_signals(grace="5", **keywords))  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("what", [3, listens])
async def test_a_callback_is_a_function_that_is_not_async(what: Any) -> None:
    with pytest.raises(TypeError, match="on_error as a function that is not async"):
        create_supervisor(on_error=what)
    with pytest.raises(TypeError, match="on_failure as a function that is not async"):
        create_resource_group(on_failure=what)
    with pytest.raises(TypeError, match="on_failure as a function that is not async"):
        await ResourceGroup.open(on_failure=what)


async def test_a_service_is_an_async_function() -> None:
    wrong: Any
    async with create_supervisor() as sv:
        for wrong in (3, None, "ready"):
            with pytest.raises(TypeError, match=r"start\(\) takes an async function, not"):
                await sv.start(wrong)
        coroutine: Any = listens()
        with pytest.raises(TypeError, match=r"write start\(listens, \.\.\.\)"):
            await sv.start(coroutine)
        wrong = returns_three
        with pytest.raises(TypeError, match="to return a coroutine"):
            await sv.start(wrong)
        with pytest.raises(TypeError, match="task_status"):
            await sv.start(sleep_forever)
        assert sv.services == []


async def test_a_service_of_an_ordered_group_is_an_async_function() -> None:
    wrong: Any = returns_three
    async with create_task_group(stop_order="reverse") as group:
        with pytest.raises(TypeError, match="to return a coroutine"):
            await group.start(wrong)


@virtual_time
async def test_options_of_a_service_are_checked_before_it_starts() -> None:
    wrong: Any
    async with create_supervisor() as sv:
        for wrong in (3, "abc", b"abc"):
            with pytest.raises(TypeError, match="backoff must be an iterable of seconds"):
                await sv.start(ready, backoff=wrong)
        wrong = "5"
        with pytest.raises(TypeError, match="stop_grace"):
            await sv.start(ready, stop_grace=wrong)
        with pytest.raises(ValueError, match="stop_grace"):
            await sv.start(ready, stop_grace=-1)
        wrong = "sometimes"
        with pytest.raises(ValueError, match="restart must be"):
            await sv.start(ready, restart=wrong)
        assert sv.services == []
        wrong = 3
        assert (await sv.start(ready, name=wrong)).name == "3"
        sv.stop()


# Waiting for oneself


@pytest.mark.parametrize("verb", ["stop", "restart", "wait"])
@virtual_time
async def test_a_service_cannot_wait_for_its_own_end(verb: str) -> None:
    handles: list[ServiceHandle] = []
    errors: list[str] = []

    async def tries() -> None:
        with pytest.raises(RuntimeError) as caught:
            await getattr(handles[0], verb)()
        errors.append(str(caught.value))

    async def service(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await settle()
        await tries()
        with CancelScope(shield=True):
            async with create_supervisor() as inner, create_task_group() as group:
                group.start_soon(tries)
                await inner.start(nested, restart="never")
        await sleep_forever()

    async def nested(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await tries()

    async with create_supervisor() as sv:
        handles.append(await sv.start(service, restart="never", name="me"))
        await settle()
        assert len(errors) == 3 and handles[0].state == "running"
        await handles[0].stop()  # from outside
    assert {error.partition(" cannot ")[0] for error in errors} == {"the service 'me'"}
    assert all(error.endswith("or leave that to a task outside") for error in errors)


async def test_a_resource_cannot_wait_for_its_own_end() -> None:
    errors: list[str] = []

    async def tries(call: Callable[..., Any], *args: Any) -> None:
        with pytest.raises(RuntimeError) as caught:
            await call(*args)
        errors.append(str(caught.value))

    @asynccontextmanager
    async def client() -> AsyncIterator[str]:
        async with create_task_group() as group:
            group.start_soon(tries, resources.aclose)
            yield "client"
            await tries(resources.leave, "client")
            await tries(resources.aclose)

    async with create_resource_group() as resources:
        assert await resources.enter(client()) == "client"
        await checkpoint()
        await resources.leave("client")
    assert len(errors) == 3
    assert all("cannot be closed by a task of its own" in error for error in errors)
