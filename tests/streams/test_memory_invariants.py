"""Memory streams under random sends, receives, cancels and closes: what must hold whatever comes.

A program is a list of moves that one task makes; between two moves everybody else runs until
nobody can, or not at all, so that several moves also meet in one pass of the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from creche import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    TaskHandle,
    create_memory_object_stream,
    create_task_group,
    get_cancelled_exc_class,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup
from creche.lowlevel import checkpoint
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

ENDS = 2

moves = st.one_of(
    st.tuples(st.just("send"), st.integers(0, ENDS - 1)),
    st.tuples(st.just("receive"), st.integers(0, ENDS - 1)),
    st.tuples(st.just("iterate"), st.integers(0, ENDS - 1)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["settle", "settle", "pass"]), st.just(0)),
)
endings = st.lists(
    st.tuples(st.sampled_from(["close sender", "close receiver"]), st.integers(0, ENDS - 1)),
    max_size=4,
)


@dataclass
class Record:
    """What the tasks of one program saw."""

    sent: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)


class Program:
    """Runs the moves, and notes what came of them."""

    def __init__(self, size: int, group: TaskGroup) -> None:
        send, receive = create_memory_object_stream[int](size)
        self.senders: list[MemoryObjectSendStream[int]] = [send, send.clone()]
        self.receivers: list[MemoryObjectReceiveStream[int]] = [receive, receive.clone()]
        self.group = group
        self.record = Record()
        self.handles: list[TaskHandle[None]] = []
        self.next_item = 0

    async def send(self, stream: MemoryObjectSendStream[int], item: int) -> None:
        try:
            await stream.send(item)
        except (BrokenResourceError, ClosedResourceError):
            self.record.refused.append(item)
        except get_cancelled_exc_class():
            self.record.refused.append(item)
            raise
        else:
            self.record.sent.append(item)

    async def receive(self, stream: MemoryObjectReceiveStream[int]) -> None:
        try:
            self.record.received.append(await stream.receive())
        except (EndOfStream, ClosedResourceError):
            pass

    async def iterate(self, stream: MemoryObjectReceiveStream[int]) -> None:
        try:
            async for item in stream:
                self.record.received.append(item)
        except ClosedResourceError:
            pass

    async def move(self, kind: str, number: int) -> None:
        start_soon = self.group.start_soon
        if kind == "send":
            self.handles.append(start_soon(self.send, self.senders[number], self.next_item))
            self.next_item += 1
        elif kind == "receive":
            self.handles.append(start_soon(self.receive, self.receivers[number]))
        elif kind == "iterate":
            self.handles.append(start_soon(self.iterate, self.receivers[number]))
        elif kind == "cancel" and self.handles:
            self.handles[number % len(self.handles)].cancel()
        elif kind == "close sender":
            self.senders[number].close()
        elif kind == "close receiver":
            self.receivers[number].close()
        elif kind == "settle":
            await wait_all_tasks_blocked()
        else:
            await checkpoint()

    async def finish(self) -> None:
        """Take what is left in the buffer, end the stream, and see everybody go."""
        await wait_all_tasks_blocked()
        left = self.receivers[0].statistics().current_buffer_used
        if self.receivers[0].statistics().open_receive_streams:
            for sender in self.senders:
                sender.close()
            with self.receivers[0 if not self.receivers[0]._closed else 1] as receiver:
                await self.iterate(receiver)
            left = 0
        for sender in self.senders:
            sender.close()
        for receiver in self.receivers:
            receiver.close()
        await wait_all_tasks_blocked()
        assert left == self.receivers[0].statistics().current_buffer_used


@given(size=st.integers(0, 3), program=st.lists(moves, max_size=30), end=endings)
async def test_every_item_is_received_once_or_its_send_raised(
    size: int, program: list[tuple[str, int]], end: list[tuple[str, int]]
) -> None:
    async with create_task_group() as group:
        running = Program(size, group)
        for kind, number in [*program, *end]:
            await running.move(kind, number)
        await running.finish()
    record = running.record
    stranded = running.receivers[0].statistics().current_buffer_used
    assert sorted(record.sent + record.refused) == [*range(running.next_item)]
    assert len({*record.received}) == len(record.received)
    assert {*record.received} <= {*record.sent}
    assert len(record.sent) == len(record.received) + stranded
    assert running.senders[0].statistics() == (stranded, size, 0, 0, 0, 0)
    assert all(handle.status.name in ("FINISHED", "CANCELLED") for handle in running.handles)


@given(
    size=st.integers(0, 4),
    producers=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    cancelled=st.sets(st.integers(0, 40), max_size=5),
)
async def test_one_receiver_sees_the_items_of_each_sender_in_their_order(
    size: int, producers: list[int], cancelled: set[int]
) -> None:
    send, receive = create_memory_object_stream[tuple[int, int]](size)
    received: list[tuple[int, int]] = []

    async def produce(
        stream: MemoryObjectSendStream[tuple[int, int]], number: int, items: int
    ) -> None:
        with stream:
            for item in range(items):
                await stream.send((number, item))

    with send, receive:
        async with create_task_group() as group:
            handles = [
                group.start_soon(produce, send.clone(), number, items)
                for number, items in enumerate(producers)
            ]
            send.close()
            async for item in receive:
                received.append(item)
                if len(received) in cancelled:
                    handles[len(received) % len(handles)].cancel()
    for number, (items, handle) in enumerate(zip(producers, handles, strict=True)):
        mine = [item for sender, item in received if sender == number]
        assert mine == [*range(len(mine))]
        assert len(mine) == items or handle.status.name == "CANCELLED"
