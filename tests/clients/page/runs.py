"""`run` where the browser can suspend. Runs in Pyodide, with functions that are not async."""

# ruff: noqa: PT017
# mypy: ignore-errors
# pyright: basic

import creche


async def main(number):
    with creche.move_on_after(0.01) as scope:
        await creche.sleep_forever()
    assert scope.cancelled_caught
    return number + 1


async def fails():
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep_forever)
        raise ValueError("told")


def example():
    return creche.run(main, 1)


assert example() == 2
try:
    creche.run(fails)
except* ValueError as caught:
    assert str(caught.exceptions[0]) == "told"
else:
    raise AssertionError("it raised nothing")


async def nested():
    return example()


assert creche.run(nested) == 2
print("all of it")
