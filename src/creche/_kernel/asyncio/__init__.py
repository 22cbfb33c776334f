"""The kernel on asyncio, uvloop and any other loop that keeps asyncio's contract.

What each room is for:

    tasks.py         the running task: parking, checkpoints, foreign tasks
    cancellation.py  scopes, and bringing their cancellation home without polling
    timers.py        one heap of deadlines for each loop
    nest.py          where the children of a task group live
    readiness.py     descriptors
    introspection.py listing tasks, waiting until all are blocked
    kernel.py        the loop: puts the rooms together
    runner.py        starting a loop and leaving nothing behind
"""
