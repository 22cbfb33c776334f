"""`assert_checkpoints`, `assert_no_checkpoints`: is this block a checkpoint?

Owns the question. What a checkpoint is on a loop, and how it is seen, is the kernel's business
(`TestProbe`).

A checkpoint has two halves: the task asks whether it is cancelled, and it lets others run. An
operation that does not have to wait pays for the second half out of its budget: it counts as whole.

    seen        assert_checkpoints    assert_no_checkpoints
    nothing     fails                 passes
    one half    fails                 fails
    both        passes                fails
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .._kernel import current_task


@contextmanager
def assert_checkpoints() -> Generator[None]:
    """Check that a block comes to a checkpoint, or raises.

    An operation that did not have to wait counts: it has looked for a cancellation, and spent
    some of its task's budget. `lowlevel.checkpoint_if_cancelled()` or
    `lowlevel.cancel_shielded_checkpoint()` alone does not. What other tasks do does not count.

    :raises AssertionError: the block was left without an exception and without a checkpoint
    :raises NoEventLoopError: no task runs in this thread
    """
    task = current_task()
    probe = task.kernel.test_probe.watch(task)
    try:
        yield
    except BaseException:
        probe.end()
        raise
    seen = probe.end()
    if not seen.whole:
        half = ", only half of one: it has to check for cancellation and let other tasks run"
        raise AssertionError(
            f"the block came to no checkpoint{half * seen.any_part}. Use "
            f"'await creche.lowlevel.checkpoint()' where an operation may return without waiting"
        )


@contextmanager
def assert_no_checkpoints() -> Generator[None]:
    """Check that a block comes to no checkpoint: nothing runs in between, nothing is cancelled.

    Half a checkpoint is too much. Raises also where the block does.

    :raises AssertionError: the block came to a checkpoint
    :raises NoEventLoopError: no task runs in this thread
    """
    task = current_task()
    probe = task.kernel.test_probe.watch(task)
    try:
        yield
    finally:
        if probe.end().any_part:
            raise AssertionError(
                "the block came to a checkpoint: other tasks may have run in it, or a cancellation "
                "may have ended it half-way. Move the code that waits out of the block"
            )
