"""Which frame of a task swallows cancellations: one of the program's, or one that has to.

Owns the comparison of a task's coroutines before and after a cancellation: the innermost one that is
still there has swallowed it, since those inside it were left. asyncio's own, such as the exit of
`asyncio.TaskGroup` and the wait of `asyncio.Condition`, go on waiting for what they must not leave, and
so do Creche's.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from ..._tracebacks import PACKAGE
from ..cut_off import chain_of, frame_of

_EXCUSED = (PACKAGE, os.path.dirname(asyncio.__file__) + os.sep)


def swallower(native: Any, before: list[Any] | None) -> str | None:
    """Return where the task swallowed a cancellation; None if the program's code did not.

    :param before: its `chain_of` before the cancellation
    """
    if native is None:
        return "an unknown place"
    now = chain_of(native.get_coro())
    if before is not None:
        known = {id(coro) for coro in before}
        now = [coro for coro in now if id(coro) in known]
    if not now:
        return "an unknown place"
    frame = frame_of(now[-1])
    if frame.f_code.co_filename.startswith(_EXCUSED):
        return None
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
