"""The kernel on Trio. Trio's own scopes and nurseries do the work; these modules fit them in.

What each module is for:

    tasks.py          the running task: parking, checkpoints, and its stack of scopes
    scopes.py         entering, leaving and cancelling a scope through `trio.CancelScope`
    nursery.py        where the children of a task group live
    readiness.py      descriptors
    introspection.py  listing tasks
    probe.py          whether a block was a checkpoint, for tests
    simulation.py     a run whose time and order a test decides
    private.py        the little that Trio does not publish and we need, tested when first used
    kernel.py         the run: puts the modules together
    runner.py         starting a run
"""
