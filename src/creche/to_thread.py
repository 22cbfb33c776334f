"""Running blocking functions in worker threads.

Publishes what is in the private room `_workers`, and keeps the spelling that is deprecated.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from ._workers.threads import current_default_thread_limiter as current_default_thread_limiter
from ._workers.threads import run_sync as _run_sync

if TYPE_CHECKING:
    from ._sync import CapacityLimiter

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")


def run_sync(
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    *args: *PosArgsT,
    abandon_on_cancel: bool = False,
    cancellable: bool | None = None,
    limiter: CapacityLimiter | None = None,
) -> Coroutine[Any, Any, T_Retval]:
    """Call `func(*args)` in a worker thread, and return or raise what it does. A checkpoint.
    """
