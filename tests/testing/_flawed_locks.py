"""A lock that keeps its contract, but for the one rule that it is told to break."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType

from creche import CancelScope, Event, TaskInfo, WouldBlock, get_current_task
from creche.lowlevel import checkpoint, checkpoint_if_cancelled


class FlawedLock:
    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.holder: TaskInfo | None = None
        self.queue: list[tuple[Event, TaskInfo]] = []

    async def acquire(self) -> None:
        if self.flaw == "acquire_in_a_cancelled_scope_has_no_effect" and self.holder is None:
            self.holder = get_current_task()
            await checkpoint()
            return
        if self.flaw == "acquire_is_a_checkpoint":
            await checkpoint_if_cancelled()
        else:
            await checkpoint()
        if self.holder is None:
            self.holder = get_current_task()
            return
        if self.holder == get_current_task() and self.flaw != "acquiring_twice_is_an_error":
            raise RuntimeError("held already")
        if self.flaw == "one_task_at_a_time" and len(self.queue) > 1:
            return
        if self.flaw == "acquire_waits_for_the_release":
            return
        await self.wait()

    async def wait(self) -> None:
        turn = Event(), get_current_task()
        if self.flaw == "first_come_first_served":
            self.queue.insert(0, turn)
        else:
            self.queue.append(turn)
        try:
            await turn[0].wait()
            if self.flaw == "release_hands_over_at_once":
                self.holder = turn[1]
        except BaseException:
            if turn in self.queue:
                if self.flaw != "a_cancelled_task_is_passed_over":
                    self.queue.remove(turn)
            elif self.flaw != "a_cancel_at_the_hand_over_loses_nothing":
                self.release()
            raise

    def acquire_nowait(self) -> None:
        if self.holder is not None:
            if self.flaw == "acquire_nowait_would_block":
                raise RuntimeError("held already")
            raise WouldBlock
        self.holder = get_current_task()
        if self.flaw == "acquire_nowait_and_release_are_no_checkpoints":
            with suppress(StopIteration):
                checkpoint_if_cancelled().send(None)

    def release(self) -> None:
        if self.holder is None and self.flaw != "releasing_what_is_free_is_an_error":
            raise RuntimeError("not held")
        if self.holder != get_current_task() and self.flaw not in (
            "only_the_holder_releases",
            "releasing_what_is_free_is_an_error",
            "one_task_at_a_time",
            "acquire_waits_for_the_release",
        ):
            raise RuntimeError("held by another task")
        self.holder = None
        if self.queue:
            turn, task = self.queue.pop(0)
            turn.set()
            if self.flaw != "release_hands_over_at_once":
                self.holder = task

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
        /,
    ) -> None:
        if self.flaw == "leaving_the_block_is_no_checkpoint":
            with CancelScope(shield=True):
                await checkpoint()
        if exc_val is None or self.flaw != "an_error_in_the_block_releases":
            self.release()
