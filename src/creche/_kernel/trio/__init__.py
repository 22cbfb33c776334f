"""The kernel on Trio. Trio's own scopes and nurseries do the work; these rooms fit them in.

What each room is for:

    tasks.py         the running task: parking, checkpoints, and its stack of scopes
    scopes.py        entering, leaving and cancelling a scope through `trio.CancelScope`
    nursery.py          where the children of a task group live: a nursery
    readiness.py     descriptors
    introspection.py listing tasks
    simulation.py    a run whose time and order a test decides
    private.py       the little that Trio does not publish and we need, tested when first used
    kernel.py        the run: puts the rooms together
    runner.py        starting a run
"""
