"""`Beside`: one task that lives as long as a block, and what comes of both together.

Owns the task group around the block, which only ever holds that one task. Does not know what the
task does. The task never fails the group: it keeps its errors, and `leave` decides what comes out.

    new --enter--> running --the block ends: `stop` is called--> stopping --the task ends--> left

What comes out of the block, once the task has ended:

    the block     the task kept no error    it kept errors
    ended         nothing                   the error, bare; several in one group
    raised        what it raised            a group of both; what the task raised goes on alone if
                                            the block raised it too, or was cancelled
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .below import TaskGroup, create_task_group, get_cancelled_exc_class
from .outcomes import collapsed


class Beside:
    """One task beside a block.

    :param task: what the task does; raises nothing but cancellations, and what is no `Exception`
    :param stop: called when the block is left, to make the task end
    """

    __slots__ = ("_group", "_stop", "_task")

    def __init__(
        self, task: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], object]
    ) -> None:
        self._task = task
        self._stop = stop
        self._group: TaskGroup | None = None

    async def enter(self, name: str) -> None:
        """Begin the block: start the task."""
        self._group = group = create_task_group()
        await group.__aenter__()
        group.start_soon(self._task, name=name)

    async def leave(
        self, exc: BaseException | None, message: str, kept: Callable[[], Sequence[Exception]]
    ) -> bool:
        """End the block, which has raised `exc` if any: stop the task, wait for it, raise the rest.

        :param message: of the group, where several errors come out together
        :param kept: returns the errors that the task has kept, and nobody has seen
        :return: whether `exc` ends here
        """
        group = self._group
        assert group is not None, "entered before it is left"
        self._stop()
        swallowed = False
        try:
            if isinstance(exc, get_cancelled_exc_class()):
                swallowed = await group.__aexit__(type(exc), exc, exc.__traceback__)
            else:
                await group.__aexit__(None, None, None)
            errors = kept()
            if not errors:
                return swallowed
            if isinstance(exc, Exception) and exc not in errors:
                errors = [exc, *errors]
            raise collapsed(message, errors)
        finally:
            del exc, group
