"""`ServiceHandle`: what a program may ask of one service of a supervisor, and have done to it.

The states, and what leads from one to the other, are told in `service.py`.
"""

# A service and its supervisor are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._kernel import current_task
from .._sync.event import Event

if TYPE_CHECKING:
    from .keeper import Keeper

State: TypeAlias = Literal[
    "starting", "running", "stopping", "waiting", "stopped", "finished", "failed"
]
FINAL = frozenset(("stopped", "finished", "failed"))


class ServiceHandle:
    """One service of a supervisor: its state, and the ways to stop and restart it."""

    __slots__ = (
        "__weakref__",
        "_changed",
        "_supervisor",
        "last_error",
        "name",
        "restarts",
        "start_value",
        "state",
    )

    name: str
    state: State
    """`"starting"`, `"running"`, `"stopping"`, `"waiting"` for a backoff or its turn, `"stopped"`,
    `"finished"` or `"failed"`."""
    restarts: int
    """How often it was started again because it had failed or ended."""
    last_error: BaseException | None
    """What it last raised, None if it never did."""
    start_value: Any
    """What its present or last life gave to `task_status.started()`."""

    def __init__(self, supervisor: Any, name: str) -> None:
        self._supervisor: Keeper = supervisor
        self.name = name
        self.state = "starting"
        self.restarts = 0
        self.last_error = self.start_value = None
        self._changed: Event | None = None

    async def stop(self) -> None:
        """Stop the service for good, and wait until it has ended. A checkpoint.

        It has its `stop_grace` to finish, and is cancelled then. A pause before a restart ends. Does
        nothing to a service that has ended.

        :raises RuntimeError: the service itself, or a task that it has started, calls this
        """
        self._supervisor._check_outside(self, "stop")
        self._supervisor._stop_one(self)
        while self.state not in FINAL:
            await self._change()
        await current_task().ready_checkpoint()

    async def restart(self) -> None:
        """Stop the service if it runs, start it again, and wait until it runs. A checkpoint.

        Counts as no failure. A pause before a restart ends. If the service fails to start, the
        supervisor goes on as ever.

        :raises ClosedResourceError: the supervisor is closing
        :raises RuntimeError: it was stopped for good meanwhile; or the service itself, or a task that it
            has started, calls this
        """
        self._supervisor._check_outside(self, "restart")
        self._supervisor._restart_one(self)
        while self.state not in FINAL and self.state != "running":
            await self._change()
        if self.state in FINAL:
            raise RuntimeError(
                f"the service {self.name!r} did not come back: it is {self.state}"
            ) from self.last_error
        await current_task().ready_checkpoint()

    async def wait(self) -> None:
        """Wait until the service has ended and is not started again. A checkpoint.

        :raises RuntimeError: the service itself, or a task that it has started, calls this
        """
        self._supervisor._check_outside(self, "wait for")
        await current_task().ready_checkpoint()
        while self.state not in FINAL:
            await self._change()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = Event()
        await self._changed.wait()

    def __repr__(self) -> str:
        return f"<ServiceHandle {self.name!r} {self.state}, {self.restarts} restarts>"
