"""A child sees the context of its caller, not of the group's host.

A server opens one group and hands it to everybody who has work to start. What matters then is who
started the work: the request that a log line belongs to, the user whose rights count.
"""

from contextvars import ContextVar

from creche import create_task_group, run
from creche.abc import TaskGroup

user: ContextVar[str] = ContextVar("user")


async def job(title: str) -> str:
    seen = f"{title} is done for {user.get()}"
    user.set("somebody else")  # stays in this task
    return seen


async def request(name: str, tg: TaskGroup) -> str:
    user.set(name)
    handle = tg.start_soon(job, f"the job of {name}'s request")
    result = await handle
    return f"{result}, and the request is still {user.get()}'s"


async def main() -> None:
    user.set("the host")
    async with create_task_group() as tg:
        handles = [tg.start_soon(request, name, tg) for name in ("Ada", "Grace")]
        handles.append(tg.start_soon(job, "the job of the host"))

    for handle in handles:
        print(handle.return_value)
    print(f"here it is still {user.get()}")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/context.py
