"""A blocking program that calls async code through a portal.

`ask_all` knows nothing of tasks: it is called, it blocks, it returns, as programs do that were
there before async was. Behind it an event loop works in a thread of its own. It runs a server and
three clients at once, and has ended when the with-block is left.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from creche import connect_tcp, create_task_group, create_tcp_listener, run, to_thread
from creche.abc import SocketAttribute, SocketStream
from creche.from_thread import start_blocking_portal
from creche.lowlevel import current_token


async def shout(stream: SocketStream) -> None:
    async with stream:
        await stream.send((await stream.receive()).upper())


@asynccontextmanager
async def server() -> AsyncIterator[int]:
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        async with create_task_group() as tg:
            tg.start_soon(listener.serve, shout)
            yield listener.extra(SocketAttribute.local_port)
            tg.cancel()


async def ask(port: int, question: str) -> str:
    async with await connect_tcp("127.0.0.1", port) as stream:
        await stream.send(question.encode())
        return (await stream.receive()).decode()


def ask_all(questions: list[str], backend: str = "asyncio") -> list[str]:
    with start_blocking_portal(backend) as portal:
        with portal.wrap_async_context_manager(server()) as port:
            print("one, and wait:", portal.call(ask, port, "is anybody there?"))
            futures = [portal.start_task_soon(ask, port, question) for question in questions]
            return [future.result() for future in futures]


async def main() -> None:
    # Here it is called in a worker thread, to be shown on each backend. It needs no loop around it.
    questions = ["who?", "where?", "when?"]
    for answer in await to_thread.run_sync(ask_all, questions, current_token().backend_name):
        print("one of three:", answer)


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/portal.py
