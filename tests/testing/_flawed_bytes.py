"""A byte stream in memory that keeps its contract, but for the one rule that it is told to break."""

from __future__ import annotations

from creche import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
    Event,
    Lock,
)
from creche.abc import ByteReceiveStream, ByteSendStream, ByteStream
from creche.lowlevel import checkpoint

ROOM = 65536


class Pipe:
    """The bytes between two ends."""

    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.bytes = bytearray()
        self.empties = 0
        self.sender_closed = self.receiver_closed = False
        self.changed = Event()

    def change(self) -> None:
        self.changed.set()
        self.changed = Event()


class Sender(ByteSendStream):
    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.sending = False

    async def send(self, item: bytes) -> None:
        pipe, flaw = self.pipe, self.pipe.flaw
        if flaw == "a_call_in_a_cancelled_scope_has_no_effect":
            pipe.bytes += item
            item = b""
        if flaw != "send_and_receive_are_checkpoints":
            await checkpoint()
        if self.sending and flaw != "two_sending_tasks_are_one_too_many":
            raise BusyResourceError("writing to")
        if flaw == "bytes_arrive_whole_and_in_order":
            item = item[::-1]
        if flaw == "empty_send_sends_nothing" and not item:
            pipe.empties += 1
        self.check(receiver_may_be_closed=flaw == "a_closed_receiver_breaks_the_sender")
        self.sending = True
        try:
            await self.push(item)
        except BaseException:
            if flaw == "a_cancelled_send_has_sent_the_beginning_or_nothing":
                pipe.bytes += b"the rest"
            raise
        finally:
            self.sending = False

    async def push(self, item: bytes) -> None:
        pipe, rest = self.pipe, memoryview(item)
        while rest:
            room = ROOM - len(pipe.bytes)
            if pipe.flaw == "send_waits_for_room" or pipe.receiver_closed:
                room = len(rest)
            if room:
                pipe.bytes += rest[:room]
                rest = rest[room:]
                pipe.change()
            if rest:
                await pipe.changed.wait()
                self.check(receiver_may_be_closed=False)

    def check(self, *, receiver_may_be_closed: bool) -> None:
        if self.pipe.sender_closed:
            if self.pipe.flaw == "aclose_ends_a_waiting_send" and self.sending:
                raise BrokenResourceError
            raise ClosedResourceError
        if self.pipe.receiver_closed and not receiver_may_be_closed:
            if self.pipe.flaw == "a_receiver_that_closes_breaks_a_waiting_send" and self.sending:
                raise ClosedResourceError
            raise BrokenResourceError

    async def aclose(self) -> None:
        pipe, flaw = self.pipe, self.pipe.flaw
        if flaw == "aclose_under_cancellation_closes_all_the_same":
            await checkpoint()
        if flaw == "aclose_twice_does_nothing" and pipe.sender_closed:
            raise ClosedResourceError
        if flaw == "closing_ends_the_stream_after_its_bytes":
            pipe.bytes.clear()
        pipe.sender_closed = True
        pipe.change()


class Receiver(ByteReceiveStream):
    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.receiving = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        pipe, flaw = self.pipe, self.pipe.flaw
        if max_bytes < 1 and flaw != "max_bytes_below_1_is_an_error":
            raise ValueError("max_bytes")
        if flaw != "send_and_receive_are_checkpoints":
            await checkpoint()
        if self.receiving and flaw != "two_receiving_tasks_are_one_too_many":
            raise BusyResourceError("reading from")
        if pipe.receiver_closed and flaw == "use_after_aclose_is_an_error":
            raise EndOfStream
        self.receiving = True
        try:
            got = await self.pull(max_bytes)
        finally:
            self.receiving = False
        if flaw == "a_cancelled_receive_loses_nothing":
            await checkpoint()
        return got

    async def pull(self, max_bytes: int) -> bytes:
        pipe, flaw = self.pipe, self.pipe.flaw
        while True:
            if pipe.receiver_closed:
                raise ClosedResourceError
            if pipe.empties:
                pipe.empties -= 1
                return b""
            if pipe.bytes:
                if flaw == "receive_gives_at_most_max_bytes":
                    max_bytes = len(pipe.bytes)
                got = bytes(pipe.bytes[:max_bytes])
                del pipe.bytes[:max_bytes]
                pipe.change()
                return got
            if pipe.sender_closed:
                raise EndOfStream
            if flaw == "receive_waits_for_bytes":
                return b""
            await pipe.changed.wait()

    async def __anext__(self) -> bytes:
        if self.pipe.flaw == "iteration_stops_at_the_end":
            return await self.receive()
        return await super().__anext__()

    async def aclose(self) -> None:
        if self.pipe.flaw == "aclose_under_cancellation_closes_all_the_same":
            await checkpoint()
        self.pipe.receiver_closed = True
        if self.pipe.flaw != "aclose_ends_a_waiting_receive":
            self.pipe.change()


class Duplex(ByteStream):
    def __init__(self, there: Pipe, back: Pipe) -> None:
        self.flaw = there.flaw
        self.sender, self.receiver = Sender(there), Receiver(back)
        self.turn = Lock()

    async def send(self, item: bytes) -> None:
        if self.flaw == "both_directions_flow_at_once":
            async with self.turn:
                await self.sender.send(item)
        else:
            await self.sender.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self.flaw == "both_directions_flow_at_once":
            async with self.turn:
                return await self.receiver.receive(max_bytes)
        return await self.receiver.receive(max_bytes)

    async def __anext__(self) -> bytes:
        return await self.receiver.__anext__()

    async def send_eof(self) -> None:
        if self.flaw == "send_eof_twice_does_nothing" and self.sender.pipe.sender_closed:
            raise ClosedResourceError
        await self.sender.aclose()
        if self.flaw == "send_eof_ends_one_direction_only":
            await self.receiver.aclose()

    async def aclose(self) -> None:
        await self.sender.aclose()
        if self.flaw != "aclose_ends_both_directions":
            await self.receiver.aclose()


def one_way(flaw: str) -> tuple[Sender, Receiver]:
    pipe = Pipe(flaw)
    return Sender(pipe), Receiver(pipe)


def two_way(flaw: str) -> tuple[Duplex, Duplex]:
    there, back = Pipe(flaw), Pipe(flaw)
    return Duplex(there, back), Duplex(back, there)
