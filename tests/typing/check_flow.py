"""What type checkers know of `creche.flow`.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, assert_type

from creche import (
    CapacityLimiter,
    Condition,
    Event,
    Future,
    Lock,
    Semaphore,
    create_memory_object_stream,
)
from creche.flow import (
    BroadcastReceiveStream,
    BroadcastSendStream,
    BroadcastStatistics,
    Changes,
    Mapped,
    Operation,
    Outcome,
    RateLimiter,
    SafeContextManager,
    SafeStream,
    Watched,
    as_mapped,
    as_safe_stream,
    catching,
    create_broadcast,
    deadline_after,
    for_each,
    map_bounded,
    race,
    safe_contextmanager,
    select,
)


async def length(text: str) -> int:
    return len(text)


async def texts() -> AsyncGenerator[str]:
    yield "text"


async def number() -> int:
    return 1


async def text() -> str:
    return "text"


async def a_map_has_the_type_of_its_results() -> None:
    async with as_mapped(length, ["text"], at_most=5, ordered=True) as results:
        assert_type(results, Mapped[int])
        async for result in results:
            assert_type(result, int)
    async with as_mapped(length, texts(), errors="return") as pairs:
        async for item, outcome in pairs:
            assert_type(item, str)
            assert_type(outcome, Outcome[int])
            assert_type(outcome.value, int)
            assert_type(outcome.error, Exception | None)
    assert_type(results.total, int | None)
    assert_type(await map_bounded(length, texts()), list[int])
    assert_type(await for_each(length, texts(), per_second=RateLimiter(5)), None)
    as_mapped(length, [1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_race_has_the_types_of_all_results() -> None:
    assert_type(await race(number()), int)
    assert_type(await race(number, text()), int | str)
    assert_type(await race(number, number(), text), int | str)
    assert_type(await race(number(), number(), number(), number()), int)


async def a_safe_stream_has_the_type_of_its_items_and_arguments() -> None:
    @as_safe_stream(buffer=5)
    async def rows(query: str, *, limit: int = 5) -> AsyncGenerator[bytes]:
        yield query.encode() * limit

    async with rows("query", limit=1) as stream:
        assert_type(stream, SafeStream[bytes])
        async for row in stream:
            assert_type(row, bytes)
    rows(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    @safe_contextmanager
    async def resource(name: str) -> AsyncGenerator[int]:
        yield len(name)

    assert_type(resource("name"), SafeContextManager[int])
    async with resource("name") as value:
        assert_type(value, int)


async def a_broadcast_carries_the_type_of_its_items() -> None:
    with create_broadcast[str](5, "wait") as send:
        assert_type(send, BroadcastSendStream[str])
        with send.subscribe() as stream:
            assert_type(stream, BroadcastReceiveStream[str])
            assert_type(await stream.receive(), str)
            assert_type(stream.receiving(), Operation[str])
            assert_type(stream.statistics(), BroadcastStatistics)
            async for item in stream:
                assert_type(item, str)
        assert_type(send.sending("text"), Operation[None])
        await send.send(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_watched_value_has_its_type() -> None:
    watched = Watched(5)
    assert_type(watched, Watched[int])
    assert_type(watched.get(), int)
    assert_type(watched.update(lambda value: value + 1), int)
    assert_type(watched.changes(), Changes[int])
    async for value in watched.changes():
        assert_type(value, int)
    assert_type(await watched.wait_for(bool), int)
    watched.set("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def an_operation_has_the_type_of_its_value() -> None:
    send, receive = create_memory_object_stream[bytes]()
    future: Future[int] = Future()
    assert_type(receive.receiving(), Operation[bytes])
    assert_type(send.sending(b""), Operation[None])
    assert_type(future.waiting(), Operation[int])
    for primitive in (Lock(), Semaphore(1), CapacityLimiter(1)):
        assert_type(primitive.acquiring(), Operation[None])
    for waited in (Event(), Condition()):
        assert_type(waited.waiting(), Operation[None])
    assert_type(Watched("").waiting_for(bool), Operation[str])
    assert_type(Watched("").changes().receiving(), Operation[str])
    assert_type(deadline_after(5), Operation[None])
    assert_type(catching(future.waiting()), Operation[Outcome[int]])
    send.sending("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_select_has_the_types_of_all_values() -> None:
    _, receive = create_memory_object_stream[bytes]()
    future: Future[int] = Future()
    chosen, value = await select(receive.receiving())
    assert_type(chosen, Operation[bytes])
    assert_type(value, bytes)
    _, either = await select(receive.receiving(), future.waiting())
    assert_type(either, bytes | int)
    _, any_of_three = await select(receive.receiving(), future.waiting(), Event().waiting())
    assert_type(any_of_three, bytes | int | None)
    operations: list[Operation[str]] = []
    assert_type(await select(*operations), tuple[Operation[str], str])
    await select(number())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def generators_alone_are_decorated() -> Any:
    return as_safe_stream()(number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
