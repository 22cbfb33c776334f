"""What there is once for each event loop: the values of `RunVar`, and what the library keeps itself.

The kernel keeps both, and lets go of them when its loop ends.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, final, overload

from .._kernel import current_kernel

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

T = TypeVar("T")
D = TypeVar("D")


def one_for(kernel: Kernel, make: Callable[[Kernel], T]) -> T:
    """Return what `make` has made for a loop: made when it is first asked for. In that loop."""
    try:
        found: T = kernel.run_vars[make]
    except KeyError:
        found = kernel.run_vars[make] = make(kernel)
    return found


class _NoValueSet(enum.Enum):
    NO_VALUE_SET = enum.auto()


@final
class RunvarToken(Generic[T]):
    """What `RunVar.set` returns: undoes that call, with `reset` or at the end of a with-block.

    fresh --reset--> used
    """

    __slots__ = ("old_value", "used", "var")

    var: RunVar[T]
    """The variable that was set."""
    old_value: T | Literal[_NoValueSet.NO_VALUE_SET]
    """Its value until then, `RunVar.NO_VALUE_SET` if it had none."""
    used: bool
    """Whether the set was undone already."""

    def __init__(self, var: RunVar[T], value: T | Literal[_NoValueSet.NO_VALUE_SET]) -> None:
        self.var = var
        self.old_value = value
        self.used = False

    def __enter__(self) -> RunvarToken[T]:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.var.reset(self)


@final
class RunVar(Generic[T]):
    """A variable with one value for each event loop, the same for all its tasks.

    ```python
    import creche
    from creche.lowlevel import RunVar

    connections: RunVar[int] = RunVar("connections", 0)


    async def main() -> None:
        with connections.set(1):
            print(connections.get())


    creche.run(main)
    ```

    :param name: what to call it in messages
    :param default: its value in a loop where it was not set
    """

    NO_VALUE_SET: Literal[_NoValueSet.NO_VALUE_SET] = _NoValueSet.NO_VALUE_SET

    __slots__ = ("__weakref__", "_default", "_name")

    @overload  # two, so that RunVar("name", 1) is a RunVar[int], not a RunVar[Literal[1]]
    def __init__(
        self,
        name: str,
        default: Literal[_NoValueSet.NO_VALUE_SET] = _NoValueSet.NO_VALUE_SET,
    ) -> None: ...

    @overload
    def __init__(self, name: str, default: T) -> None: ...

    def __init__(
        self,
        name: str,
        default: T | Literal[_NoValueSet.NO_VALUE_SET] = _NoValueSet.NO_VALUE_SET,
    ) -> None:
        self._name = name
        self._default = default

    def get(
        self, default: D | Literal[_NoValueSet.NO_VALUE_SET] = _NoValueSet.NO_VALUE_SET
    ) -> T | D:
        """Return the value in the running event loop, else `default`, else the variable's own.

        :raises LookupError: there is no value and no default
        :raises NoEventLoopError: no event loop runs in this thread
        """
        values: dict[Any, Any] = current_kernel().run_vars
        found: T | Literal[_NoValueSet.NO_VALUE_SET] = values.get(self, _NoValueSet.NO_VALUE_SET)
        if found is not _NoValueSet.NO_VALUE_SET:
            return found
        if default is not _NoValueSet.NO_VALUE_SET:
            return default
        if self._default is not _NoValueSet.NO_VALUE_SET:
            return self._default
        raise LookupError(
            f'Run variable "{self._name}" has no value and no default set: '
            "set() it in this event loop first, or pass a default to get()"
        )

    def set(self, value: T) -> RunvarToken[T]:
        """Set the value in the running event loop; return a token that undoes this.

        :raises NoEventLoopError: no event loop runs in this thread
        """
        values: dict[Any, Any] = current_kernel().run_vars
        token = RunvarToken(self, values.get(self, _NoValueSet.NO_VALUE_SET))
        values[self] = value
        return token

    def reset(self, token: RunvarToken[T]) -> None:
        """Bring back the value from old_value the `set` that returned `token`.

        :raises ValueError: the token was used already, or came from another variable
        :raises NoEventLoopError: no event loop runs in this thread
        """
        if token.var is not self:
            raise ValueError(
                f"This token does not belong to this RunVar: it came from {token.var!r}, "
                f"this is {self!r}"
            )
        if token.used:
            raise ValueError(f"This token has already been used: set {self!r} again for a new one")
        token.used = True
        values: dict[Any, Any] = current_kernel().run_vars
        if token.old_value is _NoValueSet.NO_VALUE_SET:
            values.pop(self, None)
        else:
            values[self] = token.old_value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self._name!r}>"
