"""Services that never call `started()`.

`start()` does not wait for ever, and leaves nothing behind. A service that returns without the call
is a `RuntimeError` where it was started. One that waits for what never comes is cancelled together
with its caller, here by the caller's timeout.
"""

from creche import (
    TASK_STATUS_IGNORED,
    create_task_group,
    fail_after,
    run,
    sleep_forever,
)
from creche.abc import TaskStatus


async def forgetful(*, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
    print("forgetful: done, and said nothing")


async def stuck(*, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
    try:
        await sleep_forever()
    finally:
        print("stuck: cancelled, cleaning up")


async def main() -> None:
    async with create_task_group() as tg:
        try:
            await tg.start(forgetful)
        except RuntimeError as exc:
            what, _, _who = str(exc).partition(": ")
            print(f"caller: RuntimeError: {what}")

        try:
            with fail_after(0.1):
                await tg.start(stuck)
        except TimeoutError:
            print("caller: TimeoutError")
    print("the group has ended, and no task is left")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/start_never.py
