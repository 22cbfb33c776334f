"""`Failures`: why the tests in a runner are cancelled from outside: by which scope, by which error.

The groups that fixtures have open are left after the test, and only then raise what went wrong in
them. So a test that such a group cancels shows the error itself.

Knows the main task of one loop, and hears of errors that cancel groups of that task.
"""

# A scope keeps its data private from users.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._tasks.errors import heard_failures

if TYPE_CHECKING:
    from .._kernel.contract import Task
    from .._kernel.scope import Scope


class Failures:
    """The errors and reasons that have cancelled the open scopes of a task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._noted: list[tuple[Scope, BaseException]] = []
        heard_failures.append(self._note)

    def only_cancelled(self, exc: BaseException) -> bool:
        """Tell whether an error is nothing but a cancellation."""
        cancelled_class = self._task.kernel.cancelled_class
        return all(isinstance(leaf, cancelled_class) for leaf in leaves(exc))

    def close(self) -> None:
        """Stop listening."""
        heard_failures.remove(self._note)
        self._noted.clear()

    def _note(self, scope: Scope, exc: BaseException) -> None:
        if scope._host is self._task:
            self._noted = [each for each in self._noted if each[0]._host is not None]
            self._noted.append((scope, exc))

    def reason(self) -> tuple[str, BaseException | None]:
        """Return what has cancelled the task where it is now, in words, and the error behind it.

        Called in the task.
        """
        scope: Any = self._task.scope
        while scope is not None:
            if scope.cancel_called:
                error = next((exc for noted, exc in self._noted if noted is scope), None)
                return scope._reason or self._unsaid(scope), error
            scope = scope._parent
        return "", None

    def _unsaid(self, scope: Scope) -> str:
        """Say what has cancelled a scope that has no reason."""
        if scope._deadline <= self._task.kernel.now():
            return scope._expiry()
        return f"by a cancel of {scope._spoken()}"


def leaves(exc: BaseException) -> Iterator[BaseException]:
    """Walk over the exceptions in groups, at any depth, that are not groups themselves."""
    if isinstance(exc, BaseExceptionGroup):
        inner: BaseException
        for inner in exc.exceptions:
            yield from leaves(inner)
    else:
        yield exc
