"""A listener in memory that keeps its contract, but for the one rule that it is told to break."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from _flawed_bytes import Duplex, Pipe

from creche import BrokenResourceError, ClosedResourceError, Event, create_task_group
from creche.abc import AnyByteStream, Listener, TaskGroup
from creche.lowlevel import checkpoint


class FlawedListener(Listener[Duplex]):
    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.waiting: list[Duplex] = []
        self.changed = Event()
        self.closed = False
        self.forgotten: TaskGroup | None = None

    def change(self) -> None:
        self.changed.set()
        self.changed = Event()

    async def connect(self) -> AnyByteStream:
        if self.closed and self.flaw != "nobody_connects_after_aclose":
            raise ConnectionRefusedError
        there, back = Pipe(""), Pipe("")
        self.waiting.append(Duplex(there, back))
        self.change()
        return Duplex(back, there)

    async def serve(
        self, handler: Callable[[Duplex], Any], task_group: TaskGroup | None = None
    ) -> None:
        if self.flaw == "an_error_of_a_handler_ends_serve":
            handler = careless(handler)
        if self.flaw == "handlers_end_with_a_serve_that_has_no_group":
            assert self.forgotten is not None
            await self.accept(handler, task_group or self.forgotten)
        elif task_group is None or self.flaw == "handlers_live_in_the_group_that_is_given":
            async with create_task_group() as group:
                await self.accept(handler, group)
        else:
            await self.accept(handler, task_group)

    async def accept(self, handler: Callable[[Duplex], Any], group: TaskGroup) -> None:
        if self.closed and self.flaw == "serve_after_aclose_is_an_error":
            return
        if self.flaw == "serve_in_a_cancelled_scope_accepts_nothing":
            self.waiting.clear()
        await checkpoint()
        try:
            while True:
                if self.closed:
                    if self.flaw == "aclose_ends_a_waiting_serve":
                        raise BrokenResourceError
                    raise ClosedResourceError
                while self.waiting:
                    await self.hand_over(self.waiting.pop(0), handler, group)
                await self.changed.wait()
        finally:
            if self.flaw == "serve_goes_on_after_it_was_cancelled":
                self.closed = True

    async def hand_over(
        self, stream: Duplex, handler: Callable[[Duplex], Any], group: TaskGroup
    ) -> None:
        if self.flaw == "a_handler_gets_its_connection":
            stream = Duplex(Pipe(""), Pipe(""))
        if self.flaw == "each_connection_has_a_task_of_its_own":
            await handler(stream)
        else:
            group.start_soon(handler, stream)

    async def aclose(self) -> None:
        if self.flaw == "aclose_under_cancellation_closes_all_the_same":
            await checkpoint()
        if self.closed and self.flaw == "aclose_twice_does_nothing":
            raise ClosedResourceError
        self.closed = True
        self.change()


def careless(handler: Callable[[Duplex], Any]) -> Callable[[Duplex], Awaitable[None]]:
    async def handle(stream: Duplex) -> None:
        try:
            await handler(stream)
        except LookupError:
            pass

    return handle
