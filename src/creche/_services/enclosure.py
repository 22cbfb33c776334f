"""`Enclosure`: the block of a resource group or a supervisor, and the tasks that it keeps.

Owns the two scopes of such a block. The tasks are in a task group; only the body is in the scope inside
it, so the body can be cancelled while the tasks are still being closed one after the other.

    new --enter--> open --leave_body--> closing --finish--> closed

Errors leave as they would leave a plain block: one leaves bare, several leave in an exception group.
"""

from __future__ import annotations

from typing import Any

from .._kernel import current_task
from .._sync.event import Event
from .._tasks.errors import group_of, raise_as_it_was
from .._tasks.group import TaskGroup, create_task_group
from .._tasks.scope import CancelScope


class Enclosure:
    """One block with tasks around it. Entered and left by one task, `what` names it in errors."""

    __slots__ = ("body", "errors", "kernel", "stopped", "tasks", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.tasks: TaskGroup = create_task_group()
        self.body = CancelScope()
        self.errors: list[BaseException] = []
        """What went wrong, in this order; the body's own error comes first."""
        self.stopped: BaseException | None = None
        """The cancellation from outside that ended the body."""
        self.kernel: Any = None

    async def enter(self) -> None:
        self.kernel = current_task().kernel
        await self.tasks.__aenter__()
        self.body.__enter__()

    def leave_body(self, exc: BaseException | None) -> None:
        """Leave the body's scope, and sort what ended it into `stopped` and `errors`."""
        try:
            if self.body.__exit__(type(exc) if exc is not None else None, exc, None):
                return
        except BaseExceptionGroup as rest:
            exc = rest
        if exc is None:
            return
        if isinstance(exc, self.kernel.cancelled_class):
            self.stopped = exc
        else:
            self.errors.insert(0, exc)

    async def wait_for(self, event: Event) -> None:
        """Wait for `event` whatever is cancelled meanwhile."""
        self.stopped = await wait_through(event) or self.stopped

    async def finish(self) -> None:
        """Wait for the tasks, which have been told to end, and close their group.

        The group takes out what is its own cancellation, of what ended the body too.
        """
        exc, self.stopped = self.stopped, None
        if exc is None and self.errors and isinstance(self.errors[0], BaseExceptionGroup):
            exc = self.errors.pop(0)
        try:
            if not await self.tasks.__aexit__(type(exc) if exc is not None else None, exc, None):
                self.stopped = exc
        except BaseException as left:
            if isinstance(left, self.kernel.cancelled_class):
                self.stopped = left
            else:
                self.errors[:0] = _apart(left)

    def conclude(self, body: BaseException | None) -> bool:
        """Raise what has to leave the block; return whether the body's exception ends here."""
        errors, self.errors = self.errors, []
        stopped, self.stopped = self.stopped, None
        try:
            if not errors:
                if stopped is not None and stopped is not body:
                    raise stopped
                return stopped is None
            if stopped is None and len(errors) == 1:
                if errors[0] is body:
                    return False
                raise_as_it_was(errors[0])
            if stopped is not None:
                errors.append(stopped)
            raise group_of(f"unhandled errors in a {self.what}", errors) from None
        finally:
            del errors, stopped, body


async def wait_through(event: Event) -> BaseException | None:
    """Wait for `event` whatever is cancelled meanwhile; return the native cancel that came, if any."""
    stopped: BaseException | None = None
    cancelled_class = current_task().kernel.cancelled_class
    with CancelScope(shield=True):
        while not event.is_set():
            try:
                await event.wait()
            except (
                cancelled_class
            ) as exc:  # from around all scopes: whoever waits here sees it later
                stopped = exc
    return stopped


def _apart(exc: BaseException) -> list[BaseException]:
    """Return the errors that a task group has put together."""
    return list(exc.exceptions) if isinstance(exc, BaseExceptionGroup) else [exc]
