"""Calls of primitives from threads that are not the loop's: told where they can be, harmless where not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from _harness import Backend
from creche import (
    Event,
    create_task_group,
    from_thread,
    move_on_after,
    to_thread,
    wait_all_tasks_blocked,
)


def error_in_a_thread(func: Callable[[], object]) -> BaseException | None:
    """Call `func` in a thread that no loop knows, and return what it raised."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            func()
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def notices(backend: Backend) -> bool:
    """Whether the loop notices wake-ups from other threads: Trio always, asyncio in debug mode."""
    return backend.kernel == "trio" or bool(backend.options.get("debug"))


@pytest.mark.backends("asyncio", "asyncio+debug", "asyncio+eager", "uvloop", "trio")
async def test_setting_an_event_from_another_thread_is_told_or_does_no_harm(
    backend: Backend,
) -> None:
    event = Event()
    async with create_task_group() as group:
        group.start_soon(event.wait)
        group.start_soon(event.wait)
        await wait_all_tasks_blocked()
        error = error_in_a_thread(event.set)
        if notices(backend):
            assert "of an event loop in another thread" in str(error)
            assert not event.is_set()
            with move_on_after(0.01) as scope:  # a cancel still lands
                await event.wait()
            assert scope.cancelled_caught
        else:
            assert error is None
        await to_thread.run_sync(partial(from_thread.run_sync, event.set))
