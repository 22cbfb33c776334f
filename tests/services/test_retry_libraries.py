"""Services beside tenacity and stamina: their pauses as a backoff, and their retries inside a service."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import stamina
import tenacity

from creche import current_time, move_on_after, sleep, sleep_forever
from creche.abc import TaskStatus
from creche.services import ServiceHandle, create_supervisor
from creche.testing import virtual_time


def quiet(handle: ServiceHandle, error: BaseException) -> None:
    pass


class Pauses:
    """A wait of tenacity's as a backoff: anew for each series of restarts."""

    def __init__(self, wait: Any) -> None:
        self._wait = wait

    def __iter__(self) -> Iterator[float]:
        state: Any = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # nobody retries
        while True:
            yield self._wait(state)
            state.attempt_number += 1


@virtual_time
async def test_the_waits_of_tenacity_are_a_backoff() -> None:
    begins: list[float] = []

    async def fails(*, task_status: TaskStatus[None]) -> None:
        begins.append(current_time())
        task_status.started()
        if len(begins) < 5:
            raise ConnectionError
        await sleep_forever()

    wait = tenacity.wait_exponential(multiplier=1, max=4) + tenacity.wait_fixed(1)
    async with create_supervisor(max_restarts=10, on_error=quiet) as sv:
        await sv.start(fails, backoff=Pauses(wait))
        await sleep(60)
        sv.cancel()
    pauses = [after - before for before, after in pairwise(begins)]
    assert pauses == [2, 3, 5, 5]


async def test_a_service_may_retry_with_tenacity() -> None:
    tries = 0

    @tenacity.retry(
        sleep=sleep,
        wait=tenacity.wait_fixed(0.001),
        stop=tenacity.stop_after_attempt(5),
        retry=tenacity.retry_if_exception_type(ConnectionError),
    )
    async def fetch() -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError
        return "row"

    async def service(*, task_status: TaskStatus[str]) -> None:
        task_status.started(await fetch())

    async with create_supervisor() as sv:
        handle = await sv.start(service, restart="on_failure")
        await handle.wait()
    assert (handle.start_value, handle.restarts, tries) == ("row", 0, 3)


@pytest.mark.backends("asyncio", "asyncio+eager", "uvloop", "trio")  # stamina asks which loop runs
async def test_a_service_may_retry_with_stamina() -> None:
    tries = 0

    async def service(*, task_status: TaskStatus[None]) -> None:
        nonlocal tries
        async for attempt in stamina.retry_context(
            on=ConnectionError, wait_initial=0.001, wait_max=0.002
        ):
            with attempt:
                tries += 1
                if tries < 3:
                    raise ConnectionError
        task_status.started()

    async with create_supervisor() as sv:
        handle = await sv.start(service, restart="on_failure")
        await handle.wait()
    assert (handle.state, handle.restarts, tries) == ("finished", 0, 3)


@pytest.mark.backends("asyncio", "asyncio+eager", "uvloop", "trio")  # as above
async def test_a_cancel_ends_the_pause_of_a_retry() -> None:
    @stamina.retry(on=ConnectionError, attempts=None, timeout=None, wait_initial=60, wait_jitter=0)
    async def never() -> None:
        raise ConnectionError

    with move_on_after(0.02) as scope:
        await never()
    assert scope.cancelled_caught
