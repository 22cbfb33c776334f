"""An object stream in memory that keeps its contract, but for the one rule that it is to break."""

from __future__ import annotations

from collections import deque

from creche import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
    Event,
    Lock,
)
from creche.abc import ObjectReceiveStream, ObjectSendStream, ObjectStream
from creche.lowlevel import checkpoint

ROOM = 2


class Belt:
    """The items between two ends."""

    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.items: deque[object] = deque()
        self.sender_closed = self.receiver_closed = False
        self.changed = Event()

    def change(self) -> None:
        self.changed.set()
        self.changed = Event()


class Sender(ObjectSendStream[object]):
    def __init__(self, belt: Belt) -> None:
        self.belt = belt

    async def send(self, item: object) -> None:
        belt, flaw = self.belt, self.belt.flaw
        if flaw == "a_call_in_a_cancelled_scope_has_no_effect":
            belt.items.append(item)
            await checkpoint()
            return
        if flaw != "send_and_receive_are_checkpoints":
            await checkpoint()
        self.check(waiting=False)
        while len(belt.items) >= ROOM and flaw != "send_waits_for_room" and not self.nobody():
            if flaw == "a_cancelled_send_has_sent_nothing":
                belt.items.append(item)
            await belt.changed.wait()
            self.check(waiting=True)
            if flaw == "a_cancelled_send_has_sent_nothing":
                return
        belt.items.append(item)
        if flaw == "items_arrive_once_and_in_order" and item == 7:
            belt.items.append(item)
        belt.change()

    def nobody(self) -> bool:
        return self.belt.receiver_closed

    def check(self, *, waiting: bool) -> None:
        flaw = self.belt.flaw
        if self.belt.sender_closed:
            if waiting and flaw == "aclose_ends_a_waiting_send":
                raise BrokenResourceError
            raise ClosedResourceError
        if self.nobody():
            if not waiting and flaw == "a_closed_receiver_breaks_the_sender":
                return
            if waiting and flaw == "a_receiver_that_closes_breaks_a_waiting_send":
                raise ClosedResourceError
            raise BrokenResourceError

    async def aclose(self) -> None:
        belt, flaw = self.belt, self.belt.flaw
        if flaw == "aclose_under_cancellation_closes_all_the_same":
            await checkpoint()
        if flaw == "aclose_twice_does_nothing" and belt.sender_closed:
            raise ClosedResourceError
        if flaw == "closing_ends_the_stream_after_its_items":
            belt.items.clear()
        belt.sender_closed = True
        belt.change()


class Receiver(ObjectReceiveStream[object]):
    def __init__(self, belt: Belt) -> None:
        self.belt = belt
        self.receiving = False

    async def receive(self) -> object:
        belt, flaw = self.belt, self.belt.flaw
        if flaw != "send_and_receive_are_checkpoints":
            await checkpoint()
        if self.receiving:
            if flaw == "two_receiving_tasks_share_or_one_is_too_many":
                raise BrokenResourceError
            raise BusyResourceError("reading from")
        if belt.receiver_closed and flaw == "use_after_aclose_is_an_error":
            raise EndOfStream
        self.receiving = True
        try:
            item = await self.pull()
        finally:
            self.receiving = False
        if flaw == "a_cancelled_receive_loses_nothing":
            await checkpoint()
        return item

    async def pull(self) -> object:
        belt = self.belt
        while True:
            if belt.receiver_closed:
                raise ClosedResourceError
            if belt.items:
                item = belt.items.popleft()
                belt.change()
                return item
            if belt.sender_closed:
                raise EndOfStream
            if belt.flaw == "receive_waits_for_an_item":
                return None
            await belt.changed.wait()

    async def __anext__(self) -> object:
        if self.belt.flaw == "iteration_stops_at_the_end":
            return await self.receive()
        return await super().__anext__()

    async def aclose(self) -> None:
        if self.belt.flaw == "aclose_under_cancellation_closes_all_the_same":
            await checkpoint()
        self.belt.receiver_closed = True
        if self.belt.flaw != "aclose_ends_a_waiting_receive":
            self.belt.change()


class Duplex(ObjectStream[object]):
    def __init__(self, there: Belt, back: Belt) -> None:
        self.flaw = there.flaw
        self.sender, self.receiver = Sender(there), Receiver(back)
        self.turn = Lock()

    async def send(self, item: object) -> None:
        if self.flaw == "both_directions_flow_at_once":
            async with self.turn:
                await self.sender.send(item)
        else:
            await self.sender.send(item)

    async def receive(self) -> object:
        if self.flaw == "both_directions_flow_at_once":
            async with self.turn:
                return await self.receiver.receive()
        return await self.receiver.receive()

    async def __anext__(self) -> object:
        return await self.receiver.__anext__()

    async def send_eof(self) -> None:
        if self.flaw == "send_eof_twice_does_nothing" and self.sender.belt.sender_closed:
            raise ClosedResourceError
        await self.sender.aclose()
        if self.flaw == "send_eof_ends_one_direction_only":
            await self.receiver.aclose()

    async def aclose(self) -> None:
        await self.sender.aclose()
        if self.flaw != "aclose_ends_both_directions":
            await self.receiver.aclose()


def one_way(flaw: str) -> tuple[Sender, Receiver]:
    belt = Belt(flaw)
    return Sender(belt), Receiver(belt)


def two_way(flaw: str) -> tuple[Duplex, Duplex]:
    there, back = Belt(flaw), Belt(flaw)
    return Duplex(there, back), Duplex(back, there)
