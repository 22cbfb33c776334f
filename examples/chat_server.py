"""A chat server: every member has an outbox, a memory stream.

Two tasks serve a member. One reads lines and posts them to the outboxes of the others; one takes
what is in the member's own outbox and sends it. So nobody waits for a member whose network is slow:
when an outbox is full, the room lets its member go.
"""

from creche import (
    TASK_STATUS_IGNORED,
    BrokenResourceError,
    WouldBlock,
    connect_tcp,
    create_memory_object_stream,
    create_task_group,
    create_tcp_listener,
    run,
)
from creche.abc import SocketAttribute, SocketStream, TaskStatus
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

OUTBOX = 100  # messages


class Lines:
    """The lines that come over a connection."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.rest = b""

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        while b"\n" not in self.rest:
            self.rest += await anext(self.stream)
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()


class Room:
    def __init__(self) -> None:
        self.outboxes: dict[str, MemoryObjectSendStream[str]] = {}

    def post(self, text: str) -> None:
        for name, outbox in list(self.outboxes.items()):
            try:
                outbox.send_nowait(text)
            except WouldBlock:
                self.outboxes.pop(name).close()  # too slow: the sending task ends it

    async def admit(self, stream: SocketStream) -> None:
        """Serve one member until either side has had enough. The first line is the name."""
        async with stream:
            lines = Lines(stream)
            name = await anext(lines, "")
            if not name or name in self.outboxes:
                return
            try:
                await self.serve(name, lines, stream)
            except* BrokenResourceError:
                pass  # the member's network is gone
            self.post(f"{name} has left")

    async def serve(self, name: str, lines: Lines, stream: SocketStream) -> None:
        outbox, messages = create_memory_object_stream[str](OUTBOX)
        with outbox, messages:
            self.outboxes[name] = outbox
            self.post(f"{name} is here")
            try:
                async with create_task_group() as tg:
                    tg.start_soon(self.deliver, messages, stream)
                    async for line in lines:
                        self.post(f"{name}: {line}")
                    outbox.close()  # the sending task ends when the outbox is empty
            finally:
                self.outboxes.pop(name, None)

    async def deliver(self, messages: MemoryObjectReceiveStream[str], stream: SocketStream) -> None:
        async for text in messages:
            await stream.send(f"{text}\n".encode())
        await stream.send_eof()


async def server(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        task_status.started(listener.extra(SocketAttribute.local_port))
        await listener.serve(Room().admit)


class Member:
    """What a member does and hears."""

    def __init__(self, name: str, stream: SocketStream) -> None:
        self.name = name
        self.stream = stream
        self.lines = Lines(stream)

    async def say(self, text: str) -> None:
        await self.stream.send(f"{text}\n".encode())

    async def hear(self) -> None:
        print(f"{self.name} hears {await anext(self.lines)!r}")


async def main() -> None:
    async with create_task_group() as tg:
        port = await tg.start(server)
        async with await connect_tcp("127.0.0.1", port) as stream:
            ada = Member("Ada", stream)
            await ada.say("Ada")
            await ada.hear()
            async with await connect_tcp("127.0.0.1", port) as other:
                grace = Member("Grace", other)
                await grace.say("Grace")
                for member in (ada, grace):
                    await member.hear()
                await ada.say("Hello, Grace!")
                await grace.hear()
                await grace.say("Hello, Ada!")
                await grace.hear()
                await other.send_eof()
                async for _ in grace.lines:
                    pass  # until the server has closed too
            for _ in range(3):
                await ada.hear()
        tg.cancel()


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/chat_server.py
