"""A third kernel, on a loop of its own: a deque of what runs next, a heap of what runs later.

It is here to show that the kernel contract is all there is to know: a package, a record, and nothing
anywhere else. Tests register it for themselves. Clarity comes before speed in each of its modules:

    loop.py        the loop: a deque, a heap, and a selector to sleep in
    here.py        what runs in this thread
    tasks.py       the running task: waits and checkpoints
    probe.py       what a test may ask
    scopes.py      what a cancelled scope reaches
    nursery.py     where the children of a task group live
    readiness.py   descriptors
    kernel.py      one loop with all of that
    runner.py      starting a loop, and driving it

It has no simulated runs, and no other loops.
"""

from __future__ import annotations

from creche._registry import KernelRecord, Variant

RECORD = KernelRecord(
    name="toy",
    package="toy_kernel",
    library="toy_kernel",
    entry="toy_kernel.runner.run()",
    variants=(Variant("toy", "the toy loop", "toy"),),
)
