"""What a browser has, tried in the loop of the page. Runs in Pyodide, which awaits at the top level."""

# ruff: noqa: F704, PLE1142
# mypy: ignore-errors
# pyright: basic

import creche
from creche import lowlevel


async def note(number, log):
    await creche.sleep(number / 100)
    log.append(number)


log = []
async with creche.create_task_group() as group:
    for number in (3, 1, 2):
        group.start_soon(note, number, log)
assert log == [1, 2, 3]


async def fails():
    raise ValueError("no")


try:
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep_forever)
        group.start_soon(fails)
except* ValueError:
    log.append("failed")
assert log[-1] == "failed"

with creche.move_on_after(0.02) as scope:
    await creche.sleep_forever()
assert scope.cancelled_caught

try:
    with creche.fail_after(0.02):
        await creche.Event().wait()
except TimeoutError:
    log.append("timed out")
assert log[-1] == "timed out"

send, receive = creche.create_memory_object_stream(0)


async def sends():
    async with send:
        for number in range(3):
            await send.send(number)


async with receive, creche.create_task_group() as group:
    group.start_soon(sends)
    assert [number async for number in receive] == [0, 1, 2]

lock, semaphore, limiter = creche.Lock(), creche.Semaphore(1), creche.CapacityLimiter(1)
for primitive in (lock, semaphore, limiter, creche.Condition()):
    async with primitive:
        await lowlevel.checkpoint()


async def twice(number):
    await creche.sleep(0)
    return 2 * number


assert list(await creche.gather(twice(1), twice(2))) == [2, 4]
print("all of it")
