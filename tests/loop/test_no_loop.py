"""Without an event loop: what needs one says so, what does not can be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import creche
from creche import NoEventLoopError


def step(coro: Any) -> None:
    """Run a coroutine without a loop, to its first suspension."""
    try:
        coro.send(None)
    finally:
        coro.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda: creche.current_time(),
        lambda: creche.current_effective_deadline(),
        lambda: creche.get_cancelled_exc_class(),
        lambda: creche.get_current_task(),
        lambda: creche.get_running_tasks(),
        lambda: creche.lowlevel.current_token(),
        lambda: step(creche.sleep(0)),
        lambda: step(creche.sleep(1)),
        lambda: step(creche.sleep_forever()),
        lambda: step(creche.lowlevel.checkpoint()),
        lambda: step(creche.lowlevel.checkpoint_if_cancelled()),
        lambda: step(creche.lowlevel.cancel_shielded_checkpoint()),
        lambda: step(creche.wait_all_tasks_blocked()),
        lambda: step(creche.create_task_group().__aenter__()),
        lambda: step(creche.Lock().acquire()),
        lambda: step(creche.Event().wait()),
    ],
    ids=[
        "current_time",
        "current_effective_deadline",
        "get_cancelled_exc_class",
        "get_current_task",
        "get_running_tasks",
        "current_token",
        "sleep(0)",
        "sleep(1)",
        "sleep_forever",
        "checkpoint",
        "checkpoint_if_cancelled",
        "cancel_shielded_checkpoint",
        "wait_all_tasks_blocked",
        "create_task_group",
        "Lock.acquire",
        "Event.wait",
    ],
)
def test_outside_a_loop_it_says_so(call: Callable[[], object]) -> None:
    with pytest.raises(NoEventLoopError):
        call()


def test_primitives_can_be_made_outside_a_loop() -> None:
    for make in (creche.Lock, creche.Event, creche.Condition, creche.Future):
        make()
    assert creche.Semaphore(2).value == 2
    assert creche.CapacityLimiter(3).total_tokens == 3
    send, receive = creche.create_memory_object_stream[int](1)
    with send, receive:
        assert send.statistics().max_buffer_size == 1
