"""The contract of locks, and of other things that one task at a time may hold.

Owns the rules of `creche.Lock`. Something without a holder, such as a semaphore of one, is checked
without `acquiring_twice_is_an_error` and `only_the_holder_releases`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol

from ..._exceptions import WouldBlock
from ..._kernel import current_task
from ..._tasks.group import create_task_group
from ..._tasks.scope import CancelScope
from ._rules import (
    Suite,
    begin,
    check_names,
    checkpoint_in,
    conclude,
    expect,
    must_raise,
    no_checkpoint_in,
    start,
)


class LockLike(Protocol):
    """The least that a lock can do."""

    async def acquire(self) -> Any:
        """Wait until nobody holds it, and hold it."""
        ...

    def acquire_nowait(self) -> Any:
        """Hold it, or raise WouldBlock."""
        ...

    def release(self) -> Any:
        """Hand it to the first task that waits."""
        ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
        /,
    ) -> Any: ...


LOCK: Suite[LockLike] = Suite("a lock")


async def check_lock(
    make: Callable[[], LockLike],
    /,
    *,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that something is a lock: for one task at a time, fair, and safe under cancellation.

    Each rule gets a new one. Runs in the loop that it is awaited in: to choose one,
    `creche.run(check_lock, make, backend="trio")`. A checkpoint.

    :param make: returns a lock that nobody holds
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    check_names(without, LOCK)
    kinds: dict[str, None] = {}

    @asynccontextmanager
    async def bench() -> AsyncGenerator[LockLike]:
        lock = make()
        kinds[type(lock).__name__] = None
        yield lock

    kept, broken = await LOCK.check(bench, without, seconds)
    conclude(" and ".join(kinds), LOCK.contract, broken)
    return kept


# What the rules are made of


def must_be_free(lock: LockLike) -> None:
    """Raise unless the lock can be acquired at once; release it again."""
    try:
        lock.acquire_nowait()
    except WouldBlock:
        raise AssertionError(
            "no task should hold the lock, but acquire_nowait() raised WouldBlock"
        ) from None
    lock.release()


def must_be_held(lock: LockLike, when: str) -> None:
    """Raise if the lock can be acquired, in a task that does not hold it."""
    try:
        lock.acquire_nowait()
    except WouldBlock:
        return
    raise AssertionError(f"acquire_nowait() got the lock {when}")


async def hold(lock: LockLike) -> None:
    """Hold the lock for a moment."""
    async with lock:
        pass


async def try_now(lock: LockLike) -> None:
    """Raise WouldBlock if another task holds the lock."""
    lock.acquire_nowait()
    lock.release()


# The rules


@LOCK.rule
async def one_task_at_a_time(lock: LockLike) -> None:
    inside: list[int] = []
    most: list[int] = []

    async def work() -> None:
        for turn in range(5):
            async with lock:
                inside.append(turn)
                most.append(len(inside))
                await current_task().checkpoint()
                inside.pop()

    async with create_task_group() as group:
        for _ in range(5):
            group.start_soon(work)
    expect(max(most) == 1, f"{max(most)} tasks held the lock at the same time")
    expect(len(most) == 25, f"of 25 turns {len(most)} were taken")
    must_be_free(lock)


@LOCK.rule
async def acquire_waits_for_the_release(lock: LockLike) -> None:
    await lock.acquire()
    async with create_task_group() as group:
        call = await begin(group, hold, lock)
        expect(not call.ended, "acquire() did not wait, though another task holds the lock")
        lock.release()
        await call.result()
    must_be_free(lock)


@LOCK.rule
async def acquire_nowait_would_block(lock: LockLike) -> None:
    lock.acquire_nowait()
    async with create_task_group() as group:
        call = start(group, try_now, lock)
        await must_raise(WouldBlock, call.result(), "acquire_nowait() of a lock that is held")
    lock.release()
    must_be_free(lock)


@LOCK.rule
async def first_come_first_served(lock: LockLike) -> None:
    order: list[int] = []

    async def take_turn(number: int) -> None:
        async with lock:
            order.append(number)

    await lock.acquire()
    async with create_task_group() as group:
        for number in range(10):
            await begin(group, take_turn, number)
        lock.release()
    expect(
        order == list(range(10)),
        f"tasks that asked in the order 0 to 9 acquired it in the order {order}",
    )


@LOCK.rule
async def release_hands_over_at_once(lock: LockLike) -> None:
    await lock.acquire()
    async with create_task_group() as group:
        call = await begin(group, hold, lock)
        lock.release()
        must_be_held(lock, "though release() was to hand it to the task that waits")
        await call.result()


@LOCK.rule
async def acquire_is_a_checkpoint(lock: LockLike) -> None:
    with checkpoint_in("acquire() of a free lock"):
        await lock.acquire()
    lock.release()
    with checkpoint_in("'async with' of a free lock"):
        await lock.__aenter__()
    lock.release()


@LOCK.rule
async def acquire_nowait_and_release_are_no_checkpoints(lock: LockLike) -> None:
    with no_checkpoint_in("acquire_nowait()"):
        lock.acquire_nowait()
    with no_checkpoint_in("release()"):
        lock.release()


@LOCK.rule
async def leaving_the_block_is_no_checkpoint(lock: LockLike) -> None:
    await lock.__aenter__()
    with no_checkpoint_in("leaving 'async with'"):
        await lock.__aexit__(None, None, None)
    must_be_free(lock)


@LOCK.rule
async def an_error_in_the_block_releases(lock: LockLike) -> None:
    async def fail() -> None:
        async with lock:
            raise LookupError("in the block")

    await must_raise(LookupError, fail(), "a block that raises LookupError")
    must_be_free(lock)


@LOCK.rule
async def acquire_in_a_cancelled_scope_has_no_effect(lock: LockLike) -> None:
    with CancelScope() as scope:
        scope.cancel()
        await lock.acquire()
    expect(scope.cancelled_caught, "acquire() did not notice that its scope is cancelled")
    must_be_free(lock)


@LOCK.rule
async def a_cancelled_task_is_passed_over(lock: LockLike) -> None:
    await lock.acquire()
    async with create_task_group() as group:
        first = await begin(group, hold, lock)
        second = await begin(group, hold, lock)
        await first.cancel()
        lock.release()
        await second.result()
    must_be_free(lock)


@LOCK.rule
async def a_cancel_at_the_hand_over_loses_nothing(lock: LockLike) -> None:
    for cancel_first in (False, True):
        await lock.acquire()
        async with create_task_group() as group:
            first = await begin(group, hold, lock)
            second = await begin(group, hold, lock)
            if cancel_first:
                first.scope.cancel()
            lock.release()
            first.scope.cancel()
            await second.result()
        must_be_free(lock)


@LOCK.rule
async def acquiring_twice_is_an_error(lock: LockLike) -> None:
    await lock.acquire()
    await must_raise(RuntimeError, lock.acquire(), "acquire() in the task that holds the lock")
    lock.release()
    must_be_free(lock)


@LOCK.rule
async def releasing_what_is_free_is_an_error(lock: LockLike) -> None:
    try:
        lock.release()
    except (RuntimeError, ValueError):
        must_be_free(lock)
        return
    raise AssertionError("release() of a lock that nobody holds raised no RuntimeError")


@LOCK.rule
async def only_the_holder_releases(lock: LockLike) -> None:
    async def release() -> None:
        lock.release()

    await lock.acquire()
    async with create_task_group() as group:
        call = start(group, release)
        await must_raise(RuntimeError, call.result(), "release() in a task that holds no lock")
    lock.release()
    must_be_free(lock)
