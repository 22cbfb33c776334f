"""An echo server that shuts down gracefully on SIGTERM.

It stops listening at once, gives the connections that are open a few seconds to come to their end,
and cancels those that have not. Signals arrive in an `async for`, as anything else does.
"""

import os
import signal

from creche import (
    TASK_STATUS_IGNORED,
    ConnectionFailed,
    Event,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    current_time,
    open_signal_receiver,
    run,
)
from creche.abc import SocketAttribute, SocketStream, TaskStatus

GRACE = 5  # seconds


async def echo(stream: SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def server(told: Event, *, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    async with create_task_group() as connections:
        with open_signal_receiver(signal.SIGTERM) as signals:
            async with await create_tcp_listener(local_host="127.0.0.1") as listener:
                accepting = connections.start_soon(listener.serve, echo, connections)
                task_status.started(listener.extra(SocketAttribute.local_port))
                print("server: listening")

                async for signum in signals:
                    print(f"server: {signum.name}, so nobody else is let in")
                    break
                accepting.cancel()

        told.set()
        connections.cancel_scope.deadline = current_time() + GRACE
    print("server: every connection has ended")


async def main() -> None:
    told = Event()
    async with create_task_group() as tg:
        port = await tg.start(server, told)

        async with await connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"hello")
            print(f"client: the server says {await stream.receive()!r}")

            os.kill(os.getpid(), signal.SIGTERM)
            await told.wait()
            try:
                await connect_tcp("127.0.0.1", port)
            except ConnectionFailed:
                print("client: a new connection is refused")

            await stream.send(b"goodbye")
            print(f"client: over the old one the server says {await stream.receive()!r}")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/echo_server.py
