"""What type checkers know of the probes, the contract suites and the names of primitives.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from typing import assert_type

from creche import (
    CapacityLimiter,
    Condition,
    Event,
    Future,
    Lock,
    Semaphore,
    create_memory_object_stream,
    sleep,
)
from creche.abc import ByteStream, Listener, SocketStream
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from creche.testing import (
    CancellationReport,
    Sequencer,
    assert_checkpoints,
    assert_no_checkpoints,
    cancel_at_each_checkpoint,
)
from creche.testing.contracts import (
    ContractError,
    check_byte_stream,
    check_listener,
    check_lock,
    check_one_way_object_stream,
)


async def probes_are_with_blocks(lock: Lock) -> None:
    with assert_checkpoints() as nothing:
        assert_type(nothing, None)
    with assert_no_checkpoints():
        pass
    async with Sequencer()(0) as nobody:
        assert_type(nobody, None)


async def a_report_says_how_many_points_and_where(lock: Lock) -> None:
    async def operation() -> int:
        await sleep(0)
        return 1

    report = await cancel_at_each_checkpoint(operation, check=lock.locked)
    assert_type(report, CancellationReport)
    assert_type(report.points, int)
    assert_type(report.places, tuple[str, ...])
    await cancel_at_each_checkpoint(operation())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def suites_take_makers(pair: tuple[SocketStream, SocketStream]) -> None:
    async def awaited() -> tuple[ByteStream, ByteStream]:
        return pair

    assert_type(await check_byte_stream(lambda: pair), tuple[str, ...])
    await check_byte_stream(awaited, without=("bytes_arrive_whole_and_in_order",), seconds=1)
    await check_one_way_object_stream(lambda: create_memory_object_stream[int](1))
    await check_lock(Lock)
    await check_lock(Condition)
    await check_lock(lambda: Semaphore(1))
    await check_lock(lambda: CapacityLimiter(1))
    await check_lock(Event)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def listeners_come_with_a_way_to_connect(listener: Listener[SocketStream]) -> None:
    async def connect() -> SocketStream:
        raise ConnectionRefusedError

    async def make() -> tuple[Listener[SocketStream], type[ContractError]]:
        return listener, ContractError

    await check_listener(lambda: (listener, connect))
    await check_listener(make)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def primitives_have_names() -> None:
    assert_type(Lock(name="db"), Lock)
    assert_type(Event(name="up"), Event)
    assert_type(Semaphore(1, name="two"), Semaphore)
    assert_type(CapacityLimiter(1, name="three"), CapacityLimiter)
    assert_type(Condition(name="four"), Condition)
    assert_type(Future[int](name="five"), Future[int])
    assert_type(
        create_memory_object_stream[int](1, name="six"),
        tuple[MemoryObjectSendStream[int], MemoryObjectReceiveStream[int]],
    )
