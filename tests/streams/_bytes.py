"""Byte streams for the tests of the wrappers: scripted, dripping, in memory; and where to cancel."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import coroutine
from typing import Any, TypeVar

from creche import (
    CancelScope,
    EndOfStream,
    TypedAttributeSet,
    create_memory_object_stream,
    typed_attribute,
)
from creche.abc import ByteReceiveStream, ByteStream
from creche.lowlevel import checkpoint
from creche.streams.stapled import StapledObjectStream

T = TypeVar("T")


class Attribute(TypedAttributeSet):
    name: str = typed_attribute()


class Script(ByteReceiveStream):
    """Gives out the chunks that it was made with, then its end; notes what it was asked."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = [*chunks]
        self.asked = 0
        self.closed = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await checkpoint()
        self.asked += 1
        if not self.chunks:
            raise EndOfStream
        return self.chunks.pop(0)

    async def aclose(self) -> None:
        self.closed = True

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {Attribute.name: lambda: "script"}


class Drip(ByteStream):
    """A stream that gives out one byte at a time."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.stream.receive(1)

    async def send(self, item: bytes) -> None:
        await self.stream.send(item)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()


def in_memory(
    size: float = math.inf,
) -> tuple[StapledObjectStream[bytes], StapledObjectStream[bytes]]:
    """The two ends of a connection in memory."""
    to_there, there = create_memory_object_stream[bytes](size)
    to_here, here = create_memory_object_stream[bytes](size)
    return StapledObjectStream(to_there, here), StapledObjectStream(to_here, there)


async def cancelled_at(step: int, coro: Coroutine[Any, Any, T]) -> tuple[bool, T | None]:
    """Run `coro` in a scope that is cancelled as it suspends for the `step`th time.

    Return whether it came to that step, and what it returned, None if it was cancelled.
    """
    steps = 0
    result: T | None = None
    with CancelScope() as scope:

        def on_step() -> None:
            nonlocal steps
            steps += 1
            if steps == step:
                scope.cancel()

        result = await stepping(coro, on_step)
    return steps >= step, result


@coroutine
def stepping(coro: Coroutine[Any, Any, T], on_step: Callable[[], None]) -> Generator[Any, Any, T]:
    """Run `coro` as `await` does, and call `on_step` each time it is about to suspend."""
    resume: Callable[[], Any] = lambda: coro.send(None)  # noqa: E731
    while True:
        try:
            trap = resume()
        except StopIteration as stop:
            result: T = stop.value
            return result
        on_step()
        try:
            value = yield trap
        except BaseException as exc:
            thrown = exc
            resume = lambda thrown=thrown: coro.throw(thrown)  # type: ignore[misc]  # noqa: E731
        else:
            resume = lambda value=value: coro.send(value)  # type: ignore[misc]  # noqa: E731
