"""Instruments where there are no threads: they are called for what tasks do. Runs in Pyodide."""

# mypy: ignore-errors
# pyright: basic

import creche
from creche import insight


class Noted(insight.Instrument):
    def __init__(self):
        self.seen = []

    def task_started(self, task):
        self.seen.append((task.name, "started"))

    def task_ended(self, task, outcome):
        self.seen.append((task.name, outcome))

    def after_step(self, task, waits_for):
        if waits_for:
            self.seen.append((task.name, waits_for))


async def main():
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep, 0.01, name="short")
        group.start_soon(creche.sleep_forever, name="long")
        await creche.sleep(0.02)
        group.cancel()


noted = Noted()
for _ in range(2):
    noted.seen.clear()
    with insight.instrument(noted):
        creche.run(main)
    for one in (("short", "started"), ("short", "returned"), ("long", "cancelled")):
        assert one in noted.seen, noted.seen
creche.run(main)
assert noted.seen.count(("short", "returned")) == 1
print("all of it")
