"""A chat server on a broadcast: one message sent, everybody has it.

All members subscribe to one broadcast, and get the last lines when they join. Posting takes the same
time however many listen; a member whose network is too slow misses lines, and learns how many.
`chat_server.py` does the same with a memory stream for each member.
"""

from creche import (
    TASK_STATUS_IGNORED,
    BrokenResourceError,
    IncompleteRead,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    run,
)
from creche.abc import SocketAttribute, SocketStream, TaskStatus
from creche.flow import BroadcastReceiveStream, BroadcastSendStream, Lagged, create_broadcast
from creche.streams.buffered import BufferedByteReceiveStream

KEPT = 100  # lines, for those who are slow
SHOWN = 2  # lines, to those who are new
LONGEST = 1000  # bytes in a line


class Lines:
    """The lines that come over a connection."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = BufferedByteReceiveStream(stream)

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        try:
            return (await self.stream.receive_until(b"\n", LONGEST)).decode()
        except (IncompleteRead, BrokenResourceError):
            raise StopAsyncIteration from None


class Room:
    def __init__(self, lines: BroadcastSendStream[str]) -> None:
        self.lines = lines

    async def admit(self, client: SocketStream) -> None:
        """Serve one member until either side has had enough. The first line is the name."""
        async with client:
            heard = Lines(client)
            name = await anext(heard, "somebody")
            with self.lines.subscribe(replay=SHOWN) as lines:
                await self.lines.send(f"{name} is here")
                async with create_task_group() as tg:
                    tg.start_soon(self.deliver, lines, client)
                    async for line in heard:
                        await self.lines.send(f"{name}: {line}")
                    tg.cancel()
            await self.lines.send(f"{name} has left")

    async def deliver(self, lines: BroadcastReceiveStream[str], client: SocketStream) -> None:
        while True:
            try:
                line = await lines.receive()
            except Lagged as lagged:
                line = f"({lagged.missed} lines are missing)"
            try:
                await client.send(f"{line}\n".encode())
            except BrokenResourceError:
                return  # The member has gone, as the other task will hear.


async def server(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    with create_broadcast[str](KEPT) as lines:
        async with await create_tcp_listener(local_host="127.0.0.1") as listener:
            task_status.started(listener.extra(SocketAttribute.local_port))
            await listener.serve(Room(lines).admit)


class Member:
    """What a member does and hears."""

    def __init__(self, name: str, stream: SocketStream) -> None:
        self.name = name
        self.stream = stream
        self.lines = Lines(stream)

    async def say(self, text: str) -> None:
        await self.stream.send(f"{text}\n".encode())

    async def hear(self, number: int = 1) -> None:
        for _ in range(number):
            print(f"{self.name} hears {await anext(self.lines)!r}")


async def main() -> None:
    async with create_task_group() as tg:
        port = await tg.start(server)
        async with await connect_tcp("127.0.0.1", port) as stream:
            ada = Member("Ada", stream)
            await ada.say("Ada")
            await ada.hear()
            await ada.say("Is anybody here?")
            await ada.hear()
            async with await connect_tcp("127.0.0.1", port) as other:
                grace = Member("Grace", other)
                await grace.say("Grace")
                await grace.hear(3)  # the last two lines, and that she is here
                await ada.hear()
                await grace.say("I am!")
                await grace.hear()
                await ada.hear()
            await ada.hear()
        tg.cancel()


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/chat_broadcast.py
