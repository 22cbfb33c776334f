"""What sniffio answers where code crosses from threads into loops and back.

httpx, httpcore and many others ask it which library's primitives they shall use.
"""

from __future__ import annotations

import threading

import pytest
import sniffio

from _harness import BACKENDS, Backend
from creche import from_thread
from creche.from_thread import start_blocking_portal
from creche.lowlevel import checkpoint, current_token
from creche.to_thread import run_sync


def said() -> str:
    try:
        return sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return "nothing"


async def said_in_a_task() -> str:
    await checkpoint()
    return said()


@pytest.fixture
def name(backend: Backend) -> str:
    return backend.kernel


async def test_in_a_task_it_names_the_loop(name: str) -> None:
    assert said() == name


async def test_in_from_thread_run_and_run_sync_it_names_the_loop(name: str) -> None:
    answers = await run_sync(
        lambda: [said(), from_thread.run(said_in_a_task), from_thread.run_sync(said), said()]
    )
    assert answers == ["nothing", name, name, "nothing"]


async def test_in_an_abandonable_function_it_is_the_same(name: str) -> None:
    answers = await run_sync(
        lambda: [said(), from_thread.run(said_in_a_task), from_thread.run_sync(said)],
        abandon_on_cancel=True,
    )
    assert answers == ["nothing", name, name]


async def test_by_token_from_a_thread_of_the_users_own(name: str) -> None:
    token = current_token()
    answers: list[str] = []

    def work() -> None:
        answers.append(from_thread.run(said_in_a_task, token=token))
        answers.append(from_thread.run_sync(said, token=token))
        answers.append(said())

    thread = threading.Thread(target=work)
    thread.start()
    await run_sync(thread.join)
    assert answers == [name, name, "nothing"]


async def test_a_worker_called_from_what_a_thread_runs_in_the_loop_is_outside_of_it(
    name: str,
) -> None:
    async def in_the_loop() -> list[str]:
        return [said(), await run_sync(said), said()]

    assert await run_sync(from_thread.run, in_the_loop) == [name, "nothing", name]


@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_code_that_goes_on_to_another_loop_is_told_of_that_one(name: str, other: str) -> None:
    """What one library had left in the context is not what runs the code."""
    if not BACKENDS[other].installed:
        pytest.skip(f"{other} is not installed")
    with start_blocking_portal(other) as portal:

        def work() -> list[str]:
            in_the_loop = portal.call(said_in_a_task)
            return [in_the_loop, portal.start_task_soon(said).result(), said()]

        token = sniffio.current_async_library_cvar.set(name)  # as AnyIO and others leave it
        try:
            assert await run_sync(work) == [other, other, "nothing"]
            assert await portal.call_async(said_in_a_task) == other
        finally:
            sniffio.current_async_library_cvar.reset(token)
