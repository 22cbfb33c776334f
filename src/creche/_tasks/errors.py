"""Errors that explain: what an exception group of ours says, and which task an error came from.

Owns the exception groups that task groups raise, and the notes on errors that leave a task. Knows no event
loop and no task group.

Rules
-----
* An exception group looks like Python's own: its name is `ExceptionGroup` or `BaseExceptionGroup`, and its
  `message` is what it always was. If there is one error in it, its text ends with that error.
* An error gets one note, from the first task that it leaves. What it says is made when it fails, never when
  the task is started. While the drop-in is on it gets none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from .. import _labels
from .._advice import note_advice
from .._tracebacks import without_machinery

if TYPE_CHECKING:
    from .scope import CancelScope

MESSAGE = "unhandled errors in a TaskGroup"
LONGEST = 200
"""Characters of an error that are quoted in another."""

heard_failures: list[Callable[[CancelScope, BaseException], None]] = []
"""Who hears of each error of a task that cancels its group: runners of tests."""

# ── Groups ───────────────────────────────────────────────────────────────────────────────────────


def group_of(message: str, errors: Sequence[BaseException]) -> BaseExceptionGroup[BaseException]:
    """Make an exception group that says more when there is one error in it."""
    plain = [exc for exc in errors if isinstance(exc, Exception)]
    if len(plain) == len(errors):
        return _ExceptionGroup(message, plain)
    return _BaseExceptionGroup(message, errors)


class _Explaining:
    """What both kinds of groups have."""

    __slots__ = ()

    def __str__(self: Any) -> str:
        text: str = super().__str__()
        if len(self.exceptions) == 1:
            text = f"{text.removesuffix(')')}: {quoted(only_leaf(self))})"
        return text

    def derive(self: Any, errors: Sequence[BaseException], /) -> BaseExceptionGroup[BaseException]:
        return group_of(self.message, errors)

    def __reduce__(self: Any) -> tuple[Any, ...]:
        return group_of, (self.message, self.exceptions), self.__dict__ or None


class _BaseExceptionGroup(_Explaining, BaseExceptionGroup[BaseException]):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleMethodOverride]  # generic
    pass


class _ExceptionGroup(_Explaining, ExceptionGroup[Exception]):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleMethodOverride]  # generic
    pass


for _kind in (_BaseExceptionGroup, _ExceptionGroup):
    # What everybody knows, and what tracebacks of Python's own groups say.
    _kind.__name__ = _kind.__qualname__ = _kind.__name__.removeprefix("_")
    _kind.__module__ = "builtins"


def only_leaf(exc: BaseException) -> BaseException:
    """Go down into groups of one error, as far as that goes."""
    only: Any = exc
    while isinstance(only, BaseExceptionGroup) and len(only.exceptions) == 1:
        only = only.exceptions[0]
    found: BaseException = only
    return found


def leaves(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in a tree of groups, the first one first."""
    pending = [exc]
    while pending:
        first = pending.pop()
        if isinstance(first, BaseExceptionGroup):
            pending.extend(reversed(first.exceptions))
        else:
            yield first


def take_frames_out(exc: BaseException, cancelled: type[BaseException]) -> None:
    """Take our own frames out of what has left a task: they would keep its handle.

    Of a cancellation only the outermost one, for it may go on through any number of tasks, and each
    would look through the frames of all those before.
    """
    traceback = exc.__traceback__
    if not isinstance(exc, cancelled):
        exc.__traceback__ = without_machinery(traceback)
    elif traceback is not None:
        exc.__traceback__ = traceback.tb_next


def sole_error(
    errors: Sequence[BaseException], cancelled: type[BaseException]
) -> BaseException | None:
    """Return the error if there is exactly one besides cancellations."""
    found: BaseException | None = None
    for error in errors:
        for leaf in leaves(error):
            if isinstance(leaf, cancelled):
                continue
            if found is not None:
                return None
            found = leaf
    return found


def may_hold_cancellations(exc: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    """Tell whether to look for cancellations in what was raised.

    An ExceptionGroup cannot hold any, so a deep tree of errors is not taken apart at each level.
    """
    return isinstance(exc, BaseExceptionGroup) and not isinstance(exc, ExceptionGroup)


def without_cancellations(
    errors: Sequence[BaseException], cancelled: type[BaseException]
) -> tuple[list[BaseException], bool]:
    """Take the cancellations out of groups that tasks raised, and tell whether there were any."""
    rest: list[BaseException] = []
    found = False
    for exc in errors:
        left: BaseException | None = exc
        if may_hold_cancellations(exc):
            caught, left = exc.split(cancelled)
            found = found or caught is not None
        if left is not None:
            rest.append(left)
    return rest, found


def raise_as_it_was(exc: BaseException) -> NoReturn:
    """Raise an error that happened elsewhere, with the cause and context that it had there."""
    cause, context, suppress = exc.__cause__, exc.__context__, exc.__suppress_context__
    try:
        raise exc
    finally:
        exc.__cause__, exc.__context__, exc.__suppress_context__ = cause, context, suppress
        del exc, cause, context


def leave_bare(sole: BaseException, body: BaseException | None) -> bool:
    """Let the only error leave a group: as it is where it came from the block, else by raising it."""
    if sole is not body:
        raise_as_it_was(sole)
    return False


def quoted(exc: BaseException) -> str:
    """Say an error in one line: `ValueError: bad row`."""
    try:
        text = str(exc)
    except Exception:
        text = "<str() of it failed>"
    text = text.partition("\n")[0]
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    name = type(exc).__qualname__
    return f"{name}: {text}" if text else name


def shortly(exc: BaseException) -> str:
    """Return the `repr` of an error, or what is short of it: `ValueError('bad row')`."""
    if isinstance(exc, BaseExceptionGroup):  # Not what is in it: that may be a deep tree.
        count = len(exc.exceptions)
        return f"{type(exc).__qualname__}({exc.message!r}, {count} inside)"
    try:
        text = repr(exc)
    except Exception:
        return type(exc).__qualname__
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


# ── Notes ────────────────────────────────────────────────────────────────────────────────────────

NOTE = "in task "


def note_task(exc: BaseException, name: str, place: str | None) -> None:
    """Note on an error which task it has left, if no other has been noted, and what was meant."""
    if _labels.library != "creche":  # pytest matches notes too, and AnyIO's programs expect none.
        return
    if any(note.startswith(NOTE) for note in getattr(exc, "__notes__", ())):
        return
    try:
        note_advice(exc)
        exc.add_note(f"{NOTE}{name!r}" + (f", started at {place}" if place else ""))
    except Exception:
        pass  # an exception that takes no notes is still an exception
