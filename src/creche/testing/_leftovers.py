"""What an operation may leave behind in its process: tasks, threads, descriptors.

Owns the comparison of two moments. Does not know what happened in between. What ends on its own
account has a second for it: threads that were told to go, tasks that were cancelled.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from sys import _current_frames  # pyright: ignore[reportPrivateUsage]  # nothing public has them
from typing import NamedTuple

from .._introspection.naming import short
from .._kernel import current_kernel
from .._loop.time import sleep
from .._registry import KERNELS
from .._threads import pool

_PAUSES = (0.0, 0.0, 0.0, 0.001, 0.004, 0.015, 0.06, 0.25, 0.7)
"""Seconds between two looks at what has to go."""

_ASLEEP = pool._Worker._work.__code__  # pyright: ignore[reportPrivateUsage]  # see below
"""Where a worker of ours is that has no call: anywhere else it is further down the stack."""


class Belongings(NamedTuple):
    """What there is at one moment, each as an object to compare and a text to show."""

    tasks: dict[int, str]
    threads: dict[int, str]
    descriptors: dict[str, str]
    checked: object
    """What the user's own function said."""

    @classmethod
    def now(cls, check: Callable[[], object]) -> Belongings:
        """Look at the running loop and the process."""
        tasks = {record.id: short(record.name) for record in current_kernel().tasks()}
        descriptors = {text: text for text in open_descriptors()}
        return cls(tasks, _busy_threads(), descriptors, check())

    def left(self, check: Callable[[], object]) -> list[str]:
        """Say what there is now that was not there then, a line each."""
        now = Belongings.now(check)
        lines = [
            f"{what} {text!r} is left"
            for what, before, after in (
                ("task", self.tasks, now.tasks),
                ("thread", self.threads, now.threads),
                ("descriptor", self.descriptors, now.descriptors),
            )
            for key, text in after.items()
            if key not in before
        ]
        if now.checked != self.checked:
            lines.append(f"the check says {now.checked!r}, and before it said {self.checked!r}")
        return lines

    async def left_in_the_end(self, check: Callable[[], object]) -> list[str]:
        """Say what is left, after a while if need be."""
        lines = self.left(check)
        if lines:
            gc.collect()
        for pause in _PAUSES if lines else ():
            await sleep(pause)
            lines = self.left(check)
            if not lines:
                break
        return lines


def open_descriptors() -> set[str]:
    """Return the descriptors that are open, as texts that tell what they are; none on Windows.

    Without those that the kernel keeps for itself, which may be opened at any time.
    """
    own = {str(fd) for fd in current_kernel().test_probe.own_descriptors()}
    folder = next((place for place in ("/proc/self/fd", "/dev/fd") if os.path.isdir(place)), None)
    found = set[str]()
    for number in set(os.listdir(folder)) - own if folder is not None else ():
        try:
            found.add(f"{number} {os.readlink(f'{folder}/{number}')}")
        except FileNotFoundError:  # the descriptor that listed the directory
            continue
        except OSError:  # no link, as on macOS
            found.add(number)
    return found


def _busy_threads() -> dict[int, str]:
    """Return the threads but for those that wait for their next call."""
    frames = _current_frames()
    pools = tuple(name for record in KERNELS.values() for name in record.pool_threads)

    def idle(thread: threading.Thread) -> bool:
        frame = frames.get(thread.ident or 0)
        asleep = frame is not None and frame.f_code is _ASLEEP
        return asleep or thread.name.startswith(pools)

    return {id(thread): thread.name for thread in threading.enumerate() if not idle(thread)}
