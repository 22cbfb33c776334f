"""A service whose port is taken: its caller gets the error.

Until it calls `started()`, a child belongs to the caller of `start()`. What it raises comes out
there, as it is: not in an exception group, and without harm to the other tasks of the group.
"""

import errno

from creche import (
    TASK_STATUS_IGNORED,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    run,
)
from creche.abc import SocketAttribute, SocketStream, TaskStatus


async def greet(client: SocketStream) -> None:
    async with client:
        await client.send(b"still here")


async def service(port: int, *, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    async with await create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
        task_status.started(listener.extra(SocketAttribute.local_port))
        await listener.serve(greet)


async def main() -> None:
    async with create_task_group() as tg:
        port: int = await tg.start(service, 0)
        print("first service: listening on a free port")

        try:
            await tg.start(service, port)
        except OSError as exc:
            name = errno.errorcode[exc.errno or 0]
            print(f"second service, same port: {type(exc).__name__} {name}")

        async with await connect_tcp("127.0.0.1", port) as stream:
            print(f"first service: {(await stream.receive()).decode()}")
        tg.cancel()


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/start_port_taken.py
