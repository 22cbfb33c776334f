"""Checkpoints: the ones that programs call by name, and the one that every ready operation is.

Owns no state: a kernel's task knows whether it is cancelled and how much of its budget is left.
"""

from __future__ import annotations

from .._kernel import current_task


async def ready_checkpoint() -> None:
    """Do what every operation does that need not wait: raise if cancelled, give way if it is time."""
    await current_task().ready_checkpoint()


async def checkpoint() -> None:
    """Raise if this task is cancelled; always let the other tasks run.

    The same as `checkpoint_if_cancelled` followed by `cancel_shielded_checkpoint`, but cheaper.
    """
    await current_task().checkpoint()


async def checkpoint_if_cancelled() -> None:
    """Raise if this task is cancelled; otherwise do nothing, and let nobody else run."""
    await current_task().checkpoint_if_cancelled()


async def cancel_shielded_checkpoint() -> None:
    """Let the other tasks run, without a chance of being cancelled here."""
    await current_task().cancel_shielded_checkpoint()
