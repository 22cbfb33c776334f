"""The kernel on asyncio, uvloop and any other loop that keeps asyncio's contract.

What each module is for:

    tasks.py             the running task: parking, checkpoints, foreign tasks
    reach.py             what the cancellation of a scope reaches
    delivery.py          bringing a cancellation home to one task, without polling
    cancellation.py      scopes that are cancelled, entered and left
    timers.py            one heap of deadlines for each loop
    nursery.py           where the children of a task group live
    readiness.py         descriptors
    selector_thread.py   readiness for a loop that has none of its own
    threadsafe_calls.py  the way in from other threads
    signal_wakeup.py     waking the loop for a signal that hit another thread
    simulation.py        a loop whose time and order a test decides
    introspection.py     listing tasks, waiting until all are blocked
    probe.py             whether a block was a checkpoint, for tests
    kernel.py            the loop: puts the modules together
    runner.py            starting a loop and leaving nothing behind
"""
