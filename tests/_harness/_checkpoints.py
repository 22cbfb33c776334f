"""Cancel an operation at its first checkpoint, at its second, and so on until it ends before that.

`cancel_at_each_checkpoint` is the whole of it. A checkpoint that has nothing to wait for usually
does not suspend; here each one does (`every_checkpoint_suspends`), so that all of them count.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from creche import CancelScope
from creche.lowlevel import checkpoint

MOST = 1000


class Stepped:
    """Awaits a coroutine, and calls `act` when it suspends for the n-th time."""

    def __init__(self, coro: Coroutine[Any, Any, Any], n: int, act: Callable[[], object]) -> None:
        self.coro = coro
        self.left = n
        self.act = act

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[Any], Any] = self.coro.send
        value: Any = None
        while True:
            try:
                wanted = resume(value)
            except StopIteration as stop:
                return stop.value
            self.left -= 1
            if self.left == 0:
                self.act()
            try:
                value = yield wanted
                resume = self.coro.send
            except BaseException as exc:
                value = exc
                resume = self.coro.throw


@contextmanager
def every_checkpoint_suspends() -> Iterator[None]:
    """Take the budget away from which tasks pay for checkpoints that need not wait."""
    rooms = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("creche._kernel.") and hasattr(module, "BUDGET")
    ]
    with mock.patch.multiple("creche._kernel.contract", BUDGET=0):
        patches = [mock.patch.object(room, "BUDGET", 0) for room in rooms]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


async def cancel_at_each_checkpoint(
    operation: Callable[[], Coroutine[Any, Any, Any]],
    settle: Callable[[], Awaitable[object]] = checkpoint,
    *,
    files: Callable[[], object] = lambda: None,
) -> int:
    """Run `operation()` again and again, cancelled at its 1st, 2nd, 3rd… checkpoint.

    After each the descriptors of the process and what `files` returns have to be those from before.

    :param operation: gives back what it got if it is not cancelled
    :param settle: awaited after each round, to let others clear away what the round has left them
    :return: how many checkpoints it has
    """
    with every_checkpoint_suspends():
        await checkpoint()
        for n in range(1, MOST):
            before = open_descriptors(), files()
            with CancelScope() as scope:
                await Stepped(operation(), n, scope.cancel)
            await settle()
            assert (open_descriptors(), files()) == before, f"left behind at checkpoint {n}"
            if not scope.cancel_called:
                return n - 1
    raise AssertionError(f"the operation has more than {MOST} checkpoints")


def open_descriptors() -> set[str]:
    """The descriptors that are open, as texts that tell what they are."""
    found = set[str]()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:  # the descriptor that listed the directory
            continue
    return found
