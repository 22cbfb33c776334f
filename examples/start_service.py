"""A service that is ready when `start()` returns.

`start()` waits until the service has called `started()`, and returns the value given there: here
the port. So the client cannot come too early, and nobody has to guess a time to sleep. When the
client is done, the group is cancelled, and the service closes its socket on the way out.
"""

from creche import (
    TASK_STATUS_IGNORED,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    run,
)
from creche.abc import SocketAttribute, SocketStream, TaskStatus


async def echo(client: SocketStream) -> None:
    async with client:
        async for data in client:
            await client.send(data)


async def service(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        print("service: listening")
        task_status.started(listener.extra(SocketAttribute.local_port))
        try:
            await listener.serve(echo)
        finally:
            print("service: closing")


async def main() -> None:
    async with create_task_group() as tg:
        port: int = await tg.start(service)

        print("client: connecting")
        async with await connect_tcp("127.0.0.1", port) as stream:
            for message in (b"hello", b"is anybody there?"):
                await stream.send(message)
                reply = b""
                while len(reply) < len(message):
                    reply += await stream.receive()
                print(f"client: sent {message!r}, got back {reply!r}")

        tg.cancel("the client is done")
    print("all tasks have ended")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/start_service.py
