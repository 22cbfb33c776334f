"""Ends the tasks of a cancelled group that a task other than its host has left.

Such a group cannot be closed, because only its host can close it. Its tasks are already cancelled; a detached
task waits until they have ended, and logs the errors that can no longer be raised. It polls less and less
often, at last once a second, so slow tasks cost nothing.
"""

# The other modules of groups.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Nursery

FIRST, LONGEST = 0.001, 1.0
"""Seconds between two looks."""


def adopt(kernel: Kernel, nursery: Nursery, errors: Sequence[BaseException]) -> None:
    """Have a detached task wait for the children of `nursery`, which are cancelled."""
    kernel.spawn_detached(_wait(kernel, nursery, errors), "creche.TaskGroup left by another task")


async def _wait(kernel: Kernel, nursery: Nursery, errors: Sequence[BaseException]) -> None:
    pause = FIRST
    try:
        while nursery.children():
            await kernel.sleep_until(kernel.now() + pause)
            pause = min(pause * 2, LONGEST)
    except kernel.cancelled_class:
        pass  # the end of the loop
    for error in errors:
        from logging import getLogger  # heavy, and hardly ever needed

        getLogger("creche").error(
            "an error in a task of a group that another task has left: %r", error, exc_info=error
        )
