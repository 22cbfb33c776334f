"""The few functions above the kernels that hold a copy of a contract verb, held to what the verb does.

All code uses `Task.ready_checkpoint` and `WaitQueue.wait`. A copy looks at `credit`, or calls `park` and
`granted`; each has a comment that names the benchmark it is for.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import creche
from _harness import counting, on_asyncio
from creche._kernel import current_task
from creche.lowlevel import checkpoint

SOURCE = Path(creche.__file__).parent
ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PAGE = ROOT / "docs/architecture.md"
RAW = {"credit", "park", "granted"}

INLINED = {
    "_flow/selecting.py select": {"credit"},
    "_net/stream.py DirectSocketStream.send": {"credit"},
    "_sync/event.py Event.wait": {"credit", "park", "granted"},
    "_sync/limiter.py CapacityLimiter.acquire": {"credit"},
    "_sync/lock.py Lock.acquire": {"credit", "park", "granted"},
    "_sync/semaphore.py Semaphore.__aenter__": {"credit"},
    "streams/memory.py MemoryObjectReceiveStream.__anext__": {"credit"},
    "streams/memory.py MemoryObjectReceiveStream.receive": {"credit", "park", "granted"},
    "streams/memory.py MemoryObjectSendStream.send": {"credit", "park", "granted"},
}


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node


def raw_uses(node: ast.AST) -> set[str]:
    return {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and part.attr in RAW
        and isinstance(part.value, ast.Name)
        and "task" in part.value.id
    }


def test_nothing_above_the_kernels_uses_the_raw_parts_but_these_functions() -> None:
    found: dict[str, set[str]] = {}
    keys = "".join(path.read_text() for path in BENCHMARKS.glob("work_*.py"))
    keys += '"memory-tracemalloc"'
    for path in sorted(SOURCE.rglob("*.py")):
        if SOURCE / "_kernel" in path.parents:
            continue
        source = path.read_text()
        for name, node in functions(ast.parse(source)):
            uses = raw_uses(node)
            if not uses:
                continue
            found[f"{path.relative_to(SOURCE).as_posix()} {name}"] = uses
            text = ast.get_source_segment(source, node)
            named = re.findall(r"Inlined: `(.+?)` in benchmarks", text or "")
            assert named, f"{path}: {name} does not name its benchmark"
            assert all(f'"{key}"' in keys for key in named)
    assert found == INLINED
    assert len(found) < 10


def test_the_architecture_page_lists_them() -> None:
    section = (
        PAGE.read_text("utf-8").partition("**Inlined copies.**")[2].partition("**Threads.**")[0]
    )
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:3] == "| `"]
    written = {function.strip("`").removeprefix("flow."): copied for function, copied, _ in rows}
    kinds = {1: "`ready_checkpoint`", 3: "both"}
    assert written == {key.split()[1]: kinds[len(uses)] for key, uses in INLINED.items()}


# What each of them does, one ready operation at a time

Block = Callable[[], Awaitable[object]]


async def lock() -> Block:
    lock = creche.Lock()

    async def block() -> None:
        await lock.acquire()
        lock.release()

    return block


async def semaphore() -> Block:
    semaphore = creche.Semaphore(1)

    async def block() -> None:
        async with semaphore:
            pass

    return block


async def limiter() -> Block:
    limiter = creche.CapacityLimiter(1)

    async def block() -> None:
        async with limiter:
            pass

    return block


async def event() -> Block:
    event = creche.Event()
    event.set()
    return event.wait


async def sending() -> Block:
    send, receive = creche.create_memory_object_stream[int](1)

    async def block() -> None:
        await send.send(1)
        receive.receive_nowait()

    return block


async def receiving() -> Block:
    send, receive = creche.create_memory_object_stream[int](1)

    async def block() -> None:
        send.send_nowait(1)
        await receive.receive()

    return block


async def iterating() -> Block:
    send, receive = creche.create_memory_object_stream[int](1)

    async def block() -> None:
        send.send_nowait(1)
        await receive.__anext__()

    return block


async def selecting() -> Block:
    event = creche.Event()
    event.set()
    operation = event.waiting()

    async def block() -> None:
        await creche.flow.select(operation)

    return block


async def the_verb() -> Block:
    return current_task().ready_checkpoint


each_copy = pytest.mark.parametrize(
    "make",
    [lock, semaphore, limiter, event, sending, receiving, iterating, selecting],
)


async def giving_way(block: Block, operations: int) -> list[int]:
    """Return which of the operations in a row let other tasks run."""
    seen = list[int]()

    async def call() -> None:
        await block()

    await checkpoint()
    for number in range(operations):
        await counting(call(), lambda at=number: seen.append(at))  # type: ignore[misc]
    return seen


@each_copy
@pytest.mark.filterwarnings("ignore:Unclosed")
async def test_a_copy_gives_way_where_the_verb_does(make: Callable[[], Awaitable[Block]]) -> None:
    expected = await giving_way(await the_verb(), 500)
    assert len(expected) == 3
    assert await giving_way(await make(), 500) == expected


@each_copy
@pytest.mark.filterwarnings("ignore:Unclosed")
async def test_a_copy_raises_where_the_verb_does(make: Callable[[], Awaitable[Block]]) -> None:
    for block in (await make(), await the_verb()):
        with creche.CancelScope() as scope:
            scope.cancel()
            await block()
            raise AssertionError("was to raise")
        assert scope.cancelled_caught


# What the copies of `wait` do


async def waiting_for_event() -> tuple[Block, Callable[[], object], Callable[[], int]]:
    event = creche.Event()
    return event.wait, event.set, lambda: event.statistics().tasks_waiting


async def waiting_to_receive() -> tuple[Block, Callable[[], object], Callable[[], int]]:
    send, receive = creche.create_memory_object_stream[int](0)
    return (
        receive.receive,
        lambda: send.send_nowait(1),
        lambda: receive.statistics().tasks_waiting_receive,
    )


async def waiting_to_send() -> tuple[Block, Callable[[], object], Callable[[], int]]:
    send, receive = creche.create_memory_object_stream[int](0)
    return (
        lambda: send.send(1),
        receive.receive_nowait,
        lambda: send.statistics().tasks_waiting_send,
    )


async def waiting_for_a_lock() -> tuple[Block, Callable[[], object], Callable[[], int]]:
    lock = creche.Lock()
    await lock.acquire()
    return lock.acquire, lock.release, lambda: lock.statistics().tasks_waiting


async def waiting_in_a_queue() -> tuple[Block, Callable[[], object], Callable[[], int]]:
    semaphore = creche.Semaphore(0)
    return semaphore.acquire, semaphore.release, lambda: semaphore.statistics().tasks_waiting


each_wait = pytest.mark.parametrize(
    "make",
    [
        waiting_for_event,
        waiting_to_receive,
        waiting_to_send,
        waiting_for_a_lock,
        waiting_in_a_queue,
    ],
)


@each_wait
@pytest.mark.filterwarnings("ignore:Unclosed")
async def test_a_wait_that_is_cancelled_leaves_no_entry(make: Any) -> None:
    block, _, waiting = await make()
    with creche.CancelScope() as scope:
        async with creche.create_task_group() as group:
            group.start_soon(block)
            while not waiting():
                await checkpoint()
            scope.cancel()
    assert waiting() == 0


@on_asyncio
@each_wait
@pytest.mark.filterwarnings("ignore:Unclosed")
async def test_a_grant_wins_over_a_native_cancel_that_comes_after_it(make: Any) -> None:
    block, grant, waiting = await make()
    steps: list[str] = []

    async def wait() -> None:
        await block()
        steps.append("granted")
        await checkpoint()
        steps.append("never here")

    native = asyncio.create_task(wait())
    while not waiting():
        await checkpoint()
    grant()
    native.cancel()
    with pytest.raises(asyncio.CancelledError):
        await native
    assert steps == ["granted"]
    assert waiting() == 0


async def test_a_wait_of_a_task_gives_what_was_granted_or_raises_what_failed() -> None:
    task = current_task()
    waiter = task.make_waiter()
    waiter.set_result(3)
    assert await task.wait(waiter) == 3
    waiter = task.make_waiter()
    waiter.set_exception(LookupError())
    with pytest.raises(LookupError):
        await task.wait(waiter)


async def test_spending_the_budget_lets_others_run_at_the_next_ready_checkpoint() -> None:
    task = current_task()

    async def block() -> None:
        await task.ready_checkpoint(0)
        task.spend(30)

    assert await giving_way(block, 15) == [5, 10]
