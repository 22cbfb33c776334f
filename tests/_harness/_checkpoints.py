"""Cancel an operation at each of its checkpoints: `creche.testing`'s, as the tests here want it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from creche import testing
from creche.lowlevel import checkpoint
from creche.testing._leftovers import open_descriptors as open_descriptors


async def cancel_at_each_checkpoint(
    operation: Callable[[], Coroutine[Any, Any, Any]],
    settle: Callable[[], Awaitable[object]] = checkpoint,
    *,
    files: Callable[[], object] = lambda: None,
) -> int:
    """Run `operation()` again and again, cancelled at its 1st, 2nd, 3rd… checkpoint.

    :param files: says the same before and after each round
    :return: how many checkpoints it has
    """
    report = await testing.cancel_at_each_checkpoint(operation, check=files, settle=settle)
    return report.points
