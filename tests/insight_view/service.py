"""Programs that the tests of the viewers look at: `python service.py NAME BACKEND`; a line on stdin goes on.

cancel      a group of ten is cancelled, one of them cleans up behind a shield
many        5,000 tasks, some of which come and go
end         ends
supervised  a service waits to be restarted, and a task holds a lock for long
"""

from __future__ import annotations

import sys

import creche
from creche import insight, services


async def told() -> None:
    await creche.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


async def clean_up() -> None:
    try:
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await told()


async def worker() -> None:
    await creche.sleep_forever()


async def cancel() -> None:
    async with creche.create_task_group() as group:
        group.start_soon(clean_up)
        for number in range(9):
            group.start_soon(worker, name=f"worker {chr(97 + number)}")
        print("ready", flush=True)
        await told()
        group.cancel_scope.cancel("the operator said so")
    print("left", flush=True)
    await told()


async def comes_and_goes() -> None:
    await creche.sleep(0.5)


async def many() -> None:
    gate = creche.Lock(name="gate")

    async def pass_gate() -> None:
        async with gate:
            await creche.sleep_forever()

    async with creche.create_task_group() as group:
        for _ in range(50):
            group.start_soon(family, pass_gate)
        print("ready", flush=True)
        while True:
            group.start_soon(comes_and_goes)
            await creche.sleep(0.2)


async def family(member: object) -> None:
    async with creche.create_task_group() as group:
        for _ in range(99):
            group.start_soon(member)  # type: ignore[arg-type]  # a coroutine function


async def end() -> None:
    async with creche.create_task_group() as group:
        group.start_soon(worker)
        print("ready", flush=True)
        await told()
        group.cancel_scope.cancel()


async def down(*, task_status: creche.abc.TaskStatus[None]) -> None:
    task_status.started()
    raise OSError("the mail server is away")


async def holder(lock: creche.Lock) -> None:
    async with lock:
        await creche.sleep_forever()


async def supervised() -> None:
    lock = creche.Lock(name="till")
    async with (
        creche.create_task_group() as group,
        services.create_supervisor(on_error=lambda *_: None) as supervisor,
    ):
        await supervisor.start(down, name="mail", backoff=[3600])
        group.start_soon(holder, lock)
        await creche.wait_all_tasks_blocked()
        group.start_soon(holder, lock, name="customer")
        print("ready", flush=True)


if __name__ == "__main__":
    insight.serve()
    program = {"cancel": cancel, "many": many, "end": end, "supervised": supervised}[sys.argv[1]]
    options = {"use_uvloop": True} if sys.argv[2] == "uvloop" else {}
    backend = "trio" if sys.argv[2] == "trio" else "asyncio"
    creche.run(program, backend=backend, backend_options=options)
