"""A supervised program: its output streamed, restarts, a deadline.

The supervisor relays each line that the program writes as it comes. A program that fails is started
again. One that is ready may run for a moment; then it is asked to end, and killed if it does not. An
error in here, or Ctrl+C, would leave no program behind either: the `async with` sees to that.
"""

import sys
from collections.abc import AsyncIterator
from subprocess import STDOUT

from creche import (
    CancelScope,
    create_task_group,
    current_time,
    move_on_after,
    open_process,
    run,
)
from creche.abc import ByteReceiveStream, Process

PROGRAM = """
import signal, sys

def end(signum, frame):
    print("tidying up")
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
if sys.argv[1] == "1":
    sys.exit("the port is taken")
print("ready", flush=True)
while True:
    signal.pause()
"""
MAY_RUN = 0.2  # seconds from when it is ready
MAY_TAKE_TO_END = 5


async def lines(stream: ByteReceiveStream) -> AsyncIterator[str]:
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode()


async def relay(process: Process, running: CancelScope) -> None:
    assert process.stdout is not None
    async for line in lines(process.stdout):
        print(f"program: {line}")
        if line == "ready":
            running.deadline = current_time() + MAY_RUN


async def stop(process: Process) -> None:
    process.terminate()
    with move_on_after(MAY_TAKE_TO_END) as patience:
        await process.wait()
    if patience.cancelled_caught:
        process.kill()


async def attempt(number: int) -> int:
    command = [sys.executable, "-c", PROGRAM, str(number)]
    async with await open_process(command, stdin=None, stderr=STDOUT) as process:
        async with create_task_group() as tg:
            with CancelScope() as running:
                tg.start_soon(relay, process, running)
                await process.wait()
            if running.cancelled_caught:
                print("supervisor: time is up, asking it to end")
                await stop(process)
        return await process.wait()


async def main() -> None:
    for number in range(1, 4):
        print(f"supervisor: attempt {number}")
        code = await attempt(number)
        print(f"supervisor: it ended with {code}")
        if code == 0:
            break


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/supervised.py
