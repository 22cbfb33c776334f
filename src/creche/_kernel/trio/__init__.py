"""The kernel on Trio. Trio's own scopes and nurseries do the work; these parts fit them in.

The parts, each over those below it (`pyproject.toml` holds them to that):

    simulation.py       a run whose time and order a test decides
    runner.py           starting a run
    here.py             the run and the task of this thread
    kernel.py           the run: puts the parts together
    nursery.py          where the children of a task group live: a nursery of Trio's
    scopes.py           entering, leaving and changing a scope through `trio.CancelScope`
    cleaning.py         clean-ups that have time: when one begins, and what holds it
    cut_off.py          which cancellation cuts off a clean-up, in development mode
    readiness.py        descriptors
    tasks.py            the running task: waiting, checkpoints, and its stack of scopes
    introspection.py    listing tasks
    probe.py            watching a task for checkpoints, for tests
    reasons.py          what a cancellation says when a deadline has passed
    private.py          the little that Trio does not publish and we need, tested when first used
"""
