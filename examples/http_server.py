"""An HTTP/1.1 server: h11 knows the protocol, Creche moves the bytes.

The protocol is a state machine that never waits, so what is left to write is a loop: take an event
out of it, or bytes out of the socket. Connections are kept alive, and closed when nothing comes for
a while. It needs the package `h11`. To try it with a browser or with curl, say which port:
`PORT=8080 python examples/http_server.py`
"""

import os
from http import HTTPStatus
from typing import TypeAlias

import h11

from creche import (
    TASK_STATUS_IGNORED,
    BrokenResourceError,
    EndOfStream,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    fail_after,
    run,
)
from creche.abc import ByteStream, SocketAttribute, TaskStatus

PATIENCE = 15  # seconds for a client to say something
LARGEST = 1_000_000  # bytes of a request's body

Answer: TypeAlias = tuple[int, str, bytes]  # status, content type, body


def answer(request: h11.Request, body: bytes) -> Answer:
    """Decide what to say. It needs no await, but could have some."""
    path = request.target.partition(b"?")[0]
    if path == b"/" and request.method in (b"GET", b"HEAD"):
        return 200, "text/html; charset=utf-8", b"<h1>Hello from the nursery</h1>\n"
    if path == b"/echo" and request.method == b"POST":
        return 200, "application/octet-stream", body
    return 404, "text/plain", b"there is nothing here\n"


class Client:
    """One connection: its stream, and where it is in the protocol."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.protocol = h11.Connection(h11.SERVER)

    async def event(self) -> object:
        """Wait for the next event of the protocol."""
        while (event := self.protocol.next_event()) is h11.NEED_DATA:
            if self.protocol.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                with fail_after(PATIENCE):
                    self.protocol.receive_data(await self.stream.receive())
            except EndOfStream:
                self.protocol.receive_data(b"")
        return event

    async def send(self, event: h11.Event) -> None:
        await self.stream.send(self.protocol.send(event) or b"")

    async def body(self) -> bytes:
        """Receive the rest of a request."""
        body = bytearray()
        while isinstance(event := await self.event(), h11.Data):
            body += event.data
            if len(body) > LARGEST:
                raise h11.RemoteProtocolError("that is too much", error_status_hint=413)
        return bytes(body)

    async def respond(self, status: int, kind: str, body: bytes, *, only_head: bool) -> None:
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        reason = HTTPStatus(status).phrase
        await self.send(h11.Response(status_code=status, headers=headers, reason=reason))
        if not only_head:
            await self.send(h11.Data(data=body))
        await self.send(h11.EndOfMessage())

    async def converse(self) -> None:
        """Answer requests for as long as the client has some."""
        while isinstance(request := await self.event(), h11.Request):
            said = answer(request, await self.body())
            await self.respond(*said, only_head=request.method == b"HEAD")
            if self.protocol.our_state is h11.MUST_CLOSE:
                break
            self.protocol.start_next_cycle()

    async def complain(self, mistake: h11.RemoteProtocolError) -> None:
        """Tell the client that this is not HTTP, unless half of an answer is sent already."""
        if self.protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status = mistake.error_status_hint
            await self.respond(status, "text/plain", b"so not\n", only_head=False)


async def serve_client(stream: ByteStream) -> None:
    async with stream:
        client = Client(stream)
        try:
            try:
                await client.converse()
            except h11.RemoteProtocolError as mistake:
                await client.complain(mistake)
        except (BrokenResourceError, TimeoutError):
            pass  # the client is gone, or asleep


async def server(port: int, *, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    async with await create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
        task_status.started(listener.extra(SocketAttribute.local_port))
        await listener.serve(serve_client)


async def ask(port: int, request: bytes) -> None:
    """Send a request, and show what comes until the server closes."""
    print(f"> {request.splitlines()[0].decode()}")
    async with await connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request)
        reply = b"".join([chunk async for chunk in stream])
    print(*(f"< {line}" for line in reply.decode().splitlines()), sep="\n")


async def main() -> None:
    if port := int(os.environ.get("PORT", "0")):
        print(f"http://127.0.0.1:{port}/ is there until you press Ctrl-C")
        await server(port)
    async with create_task_group() as tg:
        port = await tg.start(server, 0)
        end = b"Host: localhost\r\nConnection: close\r\n"
        await ask(port, b"GET / HTTP/1.1\r\n" + end + b"\r\n")
        await ask(port, b"POST /echo HTTP/1.1\r\n" + end + b"Content-Length: 5\r\n\r\nhello")
        await ask(port, b"good morning\r\n\r\n")
        tg.cancel("that is all")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/http_server.py
