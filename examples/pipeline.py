"""A pipeline of three stages that stops gracefully, with `select`.

    readings --> [clean] --> [batch] --> [store]

Each stage has an inbox, and waits for what comes first: an item, or the word to stop. The first stage takes
no more readings then; what is under way goes on to the end, for a stage that ends closes the inbox of
the next. The second stage also waits for time: a batch that is not full is not kept for ever.
"""

from creche import EndOfStream, Event, create_memory_object_stream, create_task_group, run
from creche.flow import deadline_after, select
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

FULL = 3  # readings in a batch
PATIENCE = 10  # seconds until one that is not full goes on


async def measure(readings: MemoryObjectSendStream[str]) -> None:
    """The world: it goes on measuring, whoever listens."""
    with readings:
        number = 0
        while True:
            number += 1
            await readings.send(f" {number}.5 °C " if number % 4 else "no signal")


async def clean(
    readings: MemoryObjectReceiveStream[str], out: MemoryObjectSendStream[float], stop: Event
) -> None:
    with readings, out:
        reading, stopped = readings.receiving(), stop.waiting()
        while True:
            chosen, value = await select(reading, stopped)
            if chosen is stopped or value is None:
                print("clean: takes no more")
                return
            if value.endswith("°C "):
                await out.send(float(value.removesuffix("°C ")))


async def batch(
    numbers: MemoryObjectReceiveStream[float], out: MemoryObjectSendStream[list[float]]
) -> None:
    with numbers, out:
        number, kept = numbers.receiving(), list[float]()
        time_is_up = deadline_after(PATIENCE)
        while True:
            try:
                chosen, value = await select(number, time_is_up)
            except EndOfStream:
                break
            if chosen is number and value is not None:
                kept.append(value)
            if kept and (len(kept) == FULL or chosen is time_is_up):
                await out.send(kept)
                kept = []
            if chosen is time_is_up or not kept:
                time_is_up = deadline_after(PATIENCE)
        if kept:
            await out.send(kept)
        print("batch: has passed everything on")


async def store(batches: MemoryObjectReceiveStream[list[float]], enough: Event) -> None:
    with batches:
        stored = 0
        async for numbers in batches:
            stored += len(numbers)
            if stored >= 2 * FULL:
                enough.set()
        print("store: has everything that was taken")


async def main() -> None:
    to_clean, readings = create_memory_object_stream[str]()
    to_batch, numbers = create_memory_object_stream[float](2)
    to_store, batches = create_memory_object_stream[list[float]](1)
    stop = Event()
    async with create_task_group() as tg:
        world = tg.start_soon(measure, to_clean)
        async with create_task_group() as stages:
            stages.start_soon(clean, readings.clone(), to_batch, stop)
            stages.start_soon(batch, numbers, to_store)
            stages.start_soon(store, batches, stop)
        world.cancel()
        readings.close()
    print("all stages have ended")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/pipeline.py
