"""Asks a running program once a second, while somebody looks, and tells the history what has changed.

Owns the rhythm and the end. The asking itself waits in a thread: a target that stands still holds up nothing
here.

    asking --no answer--> silent (told; asked again) --answer--> asking
       `--the process is gone--> ended (told; nothing follows)
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from time import time

from .._insight.ask import Target, TargetError, connect, is_alive
from .._insight.model import Snapshot
from .._loop.time import sleep
from .._threads.calls import run_sync
from .changes import Changes, Message, stack_of
from .history import History

EVERY = 1.0
"""Seconds between two questions."""
LINGERING = 60.0
"""Seconds for which it goes on asking when the last page has gone."""


class LiveSource:
    """A program that runs."""

    def __init__(self, pid: int, history: History, every: float = EVERY) -> None:
        self.pid = pid
        self._history = history
        self._every = every
        self._changes = Changes()
        self._connection = ExitStack()
        self._target: Target | None = None
        self._wanted_until = 0.0
        self.pages = 0
        """How many pages listen."""

    async def run(self) -> None:
        """Ask until the program has ended."""
        try:
            while not self._history.ended:
                if self.pages:
                    self._wanted_until = time() + LINGERING
                if time() < self._wanted_until or self._target is None:
                    self._history.add(await self._message())
                await sleep(self._every)
        finally:
            self._connection.close()

    async def stack(self, task: int) -> object:
        """Return the stack of a task; None if it has ended.

        :raises TargetError: the program does not answer
        """
        with ExitStack() as connection:
            look = partial(self._ask_anew, connection)
            snapshot = await run_sync(look, abandon_on_cancel=True)
            return stack_of(task, snapshot.tasks)

    async def _message(self) -> Message:
        try:
            snapshot = await run_sync(self._ask, abandon_on_cancel=True)
        except TargetError as exc:
            self._connection.close()
            self._target = None
            if not is_alive(self.pid):
                return {"t": time(), "end": "The program has ended."}
            return {"t": time(), "silent": str(exc)}
        return self._changes.next(snapshot, full=self._history.wants_full(snapshot.time))

    def _ask(self) -> Snapshot:
        if self._target is None:
            self._target = self._connection.enter_context(connect(self.pid))
        return self._target.snapshot()

    def _ask_anew(self, connection: ExitStack) -> Snapshot:
        return connection.enter_context(connect(self.pid)).snapshot(stacks=True)
