"""The contract of operations, which `creche.flow.select` chooses from.

Owns the rules of `creche/_sync/operation.py`. An operation that is fulfilled for all waiters at once, such
as an event's, is checked without `one_fulfilment_ends_one_select`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from ..._flow.selecting import select
from ..._sync import Event
from ..._sync.operation import Operation
from ..._tasks.group import TaskGroup, create_task_group
from ..._tasks.scope import CancelScope
from ._rules import Call, Suite, begin, check_names, checkpoint_in, conclude, expect


class Offered(NamedTuple):
    """An operation that is not possible yet, and what makes it possible once."""

    operation: Operation[Any]
    fulfil: Callable[[], object]


OPERATION: Suite[Offered] = Suite("an operation")


async def check_operation(
    make: Callable[[], tuple[Operation[Any], Callable[[], object]]],
    /,
    *,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that something can be given to `select`: done once, in turn, or not at all.

    Each rule gets a new one. Runs in the loop that it is awaited in: to choose one,
    `creche.run(check_operation, make, backend="trio")`. A checkpoint.

    :param make: returns an operation that is not ready, and a function that makes it possible once
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    check_names(without, OPERATION)
    kinds: dict[str, None] = {}

    @asynccontextmanager
    async def bench() -> AsyncGenerator[Offered]:
        offered = Offered(*make())
        kinds[type(offered.operation).__name__] = None
        yield offered

    kept, broken = await OPERATION.check(bench, without, seconds)
    conclude(" and ".join(kinds), OPERATION.contract, broken)
    return kept


# What the rules are made of


class _Waiter:
    """A waiter that notes what it was given."""

    def __init__(self) -> None:
        self.ended = False
        self.given: list[Any] = []

    def done(self) -> bool:
        return self.ended

    def result(self) -> Any:
        return self.given[0]

    def set_result(self, value: Any, /) -> None:
        self.given.append(value)
        self.ended = True

    def set_exception(self, exc: BaseException, /) -> None:
        self.given.append(exc)
        self.ended = True


async def offer(operation: Operation[Any], *others: Operation[Any]) -> Operation[Any]:
    """Select among operations; return the one that was done."""
    return (await select(operation, *others))[0]


async def waiting(group: TaskGroup, *operations: Operation[Any]) -> Call[Operation[Any]]:
    """Begin a select in a task of its own, of the operation and of one that never becomes ready."""
    call = await begin(group, offer, *operations, Event().waiting())
    expect(not call.ended, "select() did not wait for an operation that is not ready")
    return call


def must_be_ready(operation: Operation[Any], when: str) -> None:
    """Raise unless the operation can be done at once."""
    expect(operation.is_ready(), f"the operation is not ready {when}")


# The rules


@OPERATION.rule
async def it_is_ready_when_it_is_possible(offered: Offered) -> None:
    operation, fulfil = offered
    expect(not operation.is_ready(), "is_ready() is true before the operation is possible")
    fulfil()
    must_be_ready(operation, "though it is possible")
    with checkpoint_in("select() of an operation that is ready"):
        await offer(operation)


@OPERATION.rule
async def asking_changes_nothing(offered: Offered) -> None:
    operation, fulfil = offered
    fulfil()
    for _ in range(3):
        must_be_ready(operation, "when it is asked again")
    operation.commit()


@OPERATION.rule
async def a_wait_ends_when_it_is_possible(offered: Offered) -> None:
    operation, fulfil = offered
    async with create_task_group() as group:
        call = await waiting(group, operation)
        fulfil()
        expect(await call.result() is operation, "select() chose another operation")


@OPERATION.rule
async def one_fulfilment_ends_one_select(offered: Offered) -> None:
    operation, fulfil = offered
    async with create_task_group() as group:
        first = await waiting(group, operation)
        second = await waiting(group, operation)
        fulfil()
        await first.result()
        await begin(group, offer, Event().waiting())
        expect(not second.ended, "the operation was possible once, but two selects did it")
        group.cancel()


@OPERATION.rule
async def first_come_first_served(offered: Offered) -> None:
    operation, fulfil = offered
    async with create_task_group() as group:
        first = await waiting(group, operation)
        await waiting(group, operation)
        fulfil()
        await begin(group, offer, Event().waiting())
        expect(first.ended, "the select that waited first was not served first")
        group.cancel()


@OPERATION.rule
async def a_waiter_that_is_done_gets_nothing(offered: Offered) -> None:
    operation, fulfil = offered
    waiter, other = _Waiter(), _Waiter()
    operation.join(waiter)
    operation.join(other)
    waiter.ended = True
    fulfil()
    expect(not waiter.given, "a waiter that was done already was granted")
    expect(other.given, "a waiter behind one that is done was not granted")
    operation.leave(waiter)
    operation.leave(other)


@OPERATION.rule
async def a_waiter_that_has_left_gets_nothing(offered: Offered) -> None:
    operation, fulfil = offered
    waiter = _Waiter()
    operation.join(waiter)
    waiter.ended = True
    operation.leave(waiter)
    fulfil()
    expect(not waiter.given, "a waiter that had left was granted")
    must_be_ready(operation, "after the only waiter has left")


@OPERATION.rule
async def a_select_that_chose_another_takes_nothing(offered: Offered) -> None:
    operation, fulfil = offered
    stop = Event()
    async with create_task_group() as group:
        call = await waiting(group, operation, stop.waiting())
        stop.set()
        fulfil()
        expect(await call.result() is not operation, "select() chose what became possible later")
    must_be_ready(operation, "after a select that chose another")


@OPERATION.rule
async def a_cancelled_select_takes_nothing(offered: Offered) -> None:
    operation, fulfil = offered
    async with create_task_group() as group:
        call = await waiting(group, operation)
        await call.cancel()
    fulfil()
    must_be_ready(operation, "after a select that was cancelled")
    with CancelScope() as scope:
        scope.cancel()
        await offer(operation)
    must_be_ready(operation, "after a select in a cancelled scope")


@OPERATION.rule
async def a_cancelled_select_is_passed_over(offered: Offered) -> None:
    operation, fulfil = offered
    async with create_task_group() as group:
        first = await waiting(group, operation)
        second = await waiting(group, operation)
        first.scope.cancel()
        fulfil()
        await second.result()


@OPERATION.rule
async def a_cancel_at_the_grant_loses_nothing(offered: Offered) -> None:
    operation, fulfil = offered
    async with create_task_group() as group:
        call = await waiting(group, operation)
        fulfil()
        call.scope.cancel()
        expect(await call.result() is operation, "select() was cancelled after it was granted")
