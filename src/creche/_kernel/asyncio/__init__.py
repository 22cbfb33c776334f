"""The kernel on asyncio, uvloop and any other loop that keeps asyncio's contract.

The parts, each above those it imports (a contract in `pyproject.toml` checks that):

    simulation.py        a loop whose time and order a test decides
    page.py              `run` in a browser, where the page's loop runs already
    runner.py            starting a loop and leaving nothing behind
    here.py              the loop and the task that run in this thread
    kernel.py            the loop: puts the parts together
    nursery.py           where the children of a task group live
    factory.py           children that the loop's task factory makes
    introspection.py     listing tasks, waiting until all are blocked
    signal_wakeup.py     waking the loop for a signal that another thread got
    readiness.py         descriptors
    selector_thread.py   readiness for a loop that has none of its own
    tasks.py             the running task: waiting, checkpoints, foreign tasks
    scopes.py            scopes that are entered, left, cancelled and changed
    delivery.py          delivering a cancellation to one task, without polling
    native_call.py       calls that run as a native task, and are cancelled once
    cleaning.py          clean-ups with time: when one begins, and what shields it
    cut_off.py           which cancellation cuts off a clean-up, in debug mode
    swallowing.py        which frame of a task swallows cancellations
    probe.py             watching a task for checkpoints, for tests
    reach.py             what the cancellation of a scope reaches
    call_graph.py        the tasks of groups, as the loop's own tools see them
    timers.py            one heap of deadlines for each loop
    checked.py           waiters that notice a wake-up from the wrong thread, in debug mode
    threadsafe_calls.py  calls from other threads
    state.py             what is kept of each task and scope
"""
