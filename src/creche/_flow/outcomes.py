"""What a call has come to, and how several errors become one. Knows no task and no loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)


class Outcome(Generic[R_co]):
    """What a call has returned or raised."""

    __slots__ = ("_value", "error")

    error: Exception | None
    """What the call raised, None if it returned."""

    _value: R_co
    """Unset if the call raised."""

    @classmethod
    def of_value(cls, value: R_co) -> Outcome[R_co]:  # type: ignore[misc]  # makes one, changes none  # pyright: ignore[reportGeneralTypeIssues]
        """Make the outcome of a call that returned `value`."""
        outcome: Outcome[R_co] = cls()
        outcome._value = value
        outcome.error = None
        return outcome

    @classmethod
    def of_error(cls, error: Exception) -> Outcome[R_co]:
        """Make the outcome of a call that raised `error`."""
        outcome: Outcome[R_co] = cls()
        outcome.error = error
        return outcome

    @property
    def value(self) -> R_co:
        """What the call returned. Raises what it raised instead, if it did."""
        if self.error is not None:
            raise self.error
        return self._value

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<{type(self).__name__} raised {self.error!r}>"
        return f"<{type(self).__name__} returned {self._value!r}>"


def without_cancellation(
    exc: BaseException, cancelled: type[BaseException]
) -> BaseException | None:
    """Return what is left of an exception if cancellations are taken out, None if that is all."""
    if isinstance(exc, BaseExceptionGroup):
        rest: BaseException | None = exc.split(cancelled)[1]
        return rest
    return None if isinstance(exc, cancelled) else exc


def collapsed(message: str, errors: Sequence[Exception]) -> Exception:
    """Return the only error as it is, or one group of several."""
    return errors[0] if len(errors) == 1 else ExceptionGroup(message, errors)
