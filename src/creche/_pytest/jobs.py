"""`Job`: one coroutine that synchronous code wants run, and its outcome.

    waiting --run--> done, with a value or an error

Owns what is raised on the synchronous side. No code there could catch a cancellation, so one that ends a
job becomes an error of its own. An outcome of a test, or an exit, that is alone in its groups is taken
out of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

from .._advice import note_advice_in
from .contexts import Mirror
from .failures import Failures, leaves

EXITS = (KeyboardInterrupt, SystemExit)


class JobCancelledError(RuntimeError):
    """A test or a fixture was cancelled from outside."""


class Job:
    """`func()`, to be awaited in the loop as if it were called here."""

    __slots__ = ("_cancelled", "_cause", "_error", "_func", "_value", "context", "done")

    def __init__(self, func: Callable[[], Awaitable[Any]]) -> None:
        self._func: Callable[[], Awaitable[Any]] | None = func
        self.context: Context = copy_context()
        self.done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._cancelled: JobCancelledError | None = None
        """The message about an error that is nothing but a cancellation."""
        self._cause: BaseException | None = None
        """The error behind that cancellation."""

    async def run(self, mirror: Mirror, failures: Failures) -> None:
        """Run it, in the task that `failures` watches. Never raises."""
        __tracebackhide__ = True
        func, self._func = self._func, None  # It has the values of fixtures.
        assert func is not None, "a job is done once"
        mirror.show(self.context)
        try:
            self._value = await func()
        except BaseException as exc:
            self._error = exc
            note_advice_in(exc)
            if failures.only_cancelled(exc):
                reason, self._cause = failures.reason()
                self._cancelled = _cancelled(reason)
        self.context = copy_context()
        self.done = True

    def unwrap(self, reports: list[BaseException]) -> Any:
        """Return its value, or raise its error.

        :param reports: what was raised meanwhile where no code could catch it
        """
        __tracebackhide__ = True
        error = self._error
        self._error = None  # Its traceback leads to this object.
        if error is None:
            if reports:
                raise gathered(reports)
            return self._value
        for report in reports:
            error.add_note(f"Meanwhile, in a callback of the event loop: {report!r}")
        alone = sole(error)
        if alone is not None:
            error = alone
        elif self._cancelled is not None:
            # pytest shows the cause first, and then where the test was, with this message.
            raise self._cancelled.with_traceback(error.__traceback__) from self._cause
        try:
            raise error
        finally:
            del error, alone


def _cancelled(reason: str) -> JobCancelledError:
    if reason:
        return JobCancelledError(
            f"cancelled from outside: {reason}. A fixture has that task group or cancel scope open"
        )
    return JobCancelledError(
        "cancelled from outside: by a task group or cancel scope that a fixture has open, and then "
        "the error at that fixture's teardown says why; or by a task that was cancelled natively"
    )


def gathered(errors: list[BaseException]) -> BaseException:
    """Return one exception for those that were raised where no code could catch them."""
    if len(errors) == 1:
        return errors[0]
    return BaseExceptionGroup("Multiple exceptions occurred in callbacks of the event loop", errors)


def sole(exc: BaseException) -> BaseException | None:
    """Return what is to be raised in place of a group: an exit in it, or its only outcome."""
    if not isinstance(exc, BaseExceptionGroup):
        return None
    found = list(leaves(exc))
    for leaf in found:
        if isinstance(leaf, EXITS):
            return leaf
    return found[0] if len({type(leaf) for leaf in found}) == 1 and _tells(found[0]) else None


def _tells(exc: BaseException) -> bool:
    """Tell whether this is an outcome of a test: `pytest.skip`, `pytest.exit`..."""
    return any(base.__module__ == "_pytest.outcomes" for base in type(exc).__mro__)
