"""`ResourceGroup`: context managers that are entered in one task and left in another.

Owns the list of resources that are open, and the order in which they are closed. How one of them lives
is `Owner`'s.

    new --enter--> open --leave, aclose, a resource fails--> closing --> closed

A group is entered with `async with`, and then ends in its block as a task group does; or it is opened
with `ResourceGroup.open()`, and then a detached task holds it until `aclose()` or the end of the loop.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from math import inf
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from .._exceptions import ClosedResourceError
from .._kernel import current_kernel, current_task
from .._misuse import check_callback, check_seconds
from .._sync.event import Event
from .._tasks.errors import raise_as_it_was
from .._tasks.scope import CancelScope
from .enclosure import Enclosure
from .owner import Owner

T = TypeVar("T")
OnFailure: TypeAlias = Callable[[Any, BaseException], object]

CLOSE_TIMEOUT = 10.0
"""Seconds that a resource has for closing if nothing else is said."""


class ResourceGroup:
    """Holds context managers, each in a task of its own. Made by `create_resource_group()`."""

    __slots__ = (
        "__weakref__",
        "_close_asked",
        "_close_timeout",
        "_closed",
        "_closing",
        "_enclosure",
        "_on_failure",
        "_found",
        "_outcome",
        "_owners",
        "_ready",
    )

    def __init__(self, close_timeout: float, on_failure: OnFailure | None) -> None:
        self._close_timeout = close_timeout
        self._on_failure = on_failure
        self._enclosure: Enclosure | None = None
        self._owners: dict[Owner, None] = {}
        self._found: dict[int, list[Owner]] = {}
        """The open ones by the identity of their value and of their context manager."""
        self._closing = False
        # Only of a group that a detached task holds:
        self._ready = self._close_asked = self._closed = None
        self._outcome: BaseException | None = None

    _ready: Event | None
    _close_asked: Event | None
    _closed: Event | None

    # ── With a block ─────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        if self._enclosure is not None:
            raise RuntimeError(
                "this ResourceGroup has already been entered: make a new one with "
                "create_resource_group() for each block"
            )
        self._enclosure = Enclosure("ResourceGroup")
        await self._enclosure.enter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        enclosure = self._enclosure
        assert enclosure is not None, "entered before it is left"
        enclosure.leave_body(exc_val)
        await self._close_all()
        await enclosure.finish()
        return enclosure.conclude(exc_val)

    # ── Without one ──────────────────────────────────────────────────────────────────────────────

    @classmethod
    async def open(
        cls, *, close_timeout: float = CLOSE_TIMEOUT, on_failure: OnFailure | None = None
    ) -> Self:
        """Open a group that no block holds, to be closed with `aclose()` from any task.

        For frameworks whose start and stop hooks run in different tasks. If it is never closed, the
        end of the event loop closes it. A checkpoint.

        :param close_timeout: seconds that each resource has for closing
        :param on_failure: see `create_resource_group`
        """
        group = cls(_checked(close_timeout, on_failure), on_failure)
        await current_task().checkpoint_if_cancelled()
        group._ready, group._close_asked, group._closed = Event(), Event(), Event()
        current_kernel().spawn_detached(group._hold(), "creche.ResourceGroup")
        try:
            with CancelScope(shield=True):
                await group._ready.wait()
        except BaseException:  # a native cancel: nobody gets the group, so nobody would close it
            group._close_asked.set()
            raise
        return group

    async def aclose(self) -> None:
        """Leave what is left, the last one first, and close the group. A checkpoint.

        Raises, once, what closing the resources or the failure of one has raised. In a group that a
        block holds the block goes on, and raises that when it is left.

        :raises RuntimeError: a task of one of the resources calls this, or one of another event loop
        """
        self._check_here()
        for owner in self._owners:
            owner.check_outside()
        if self._close_asked is None or self._closed is None:
            self._closing = True
            for owner in reversed(list(self._owners)):
                owner.close()
                await owner.done.wait()
            return
        self._close_asked.set()
        with CancelScope(shield=True):
            await self._closed.wait()
        outcome, self._outcome = self._outcome, None
        try:
            if outcome is not None:
                raise_as_it_was(outcome)
        finally:
            del outcome
        await current_task().checkpoint_if_cancelled()

    async def _hold(self) -> None:
        """Be the block of a group that has none. Raises nothing: it is a detached task."""
        assert self._ready is not None
        assert self._close_asked is not None
        assert self._closed is not None
        try:
            async with self:
                self._ready.set()
                await self._close_asked.wait()
        except BaseException as exc:
            if not isinstance(exc, current_kernel().cancelled_class):
                self._outcome = exc
        finally:
            self._ready.set()
            self._closed.set()
        if not self._close_asked.is_set() and self._outcome is None:
            _warn_unclosed(self)

    # ── Resources ────────────────────────────────────────────────────────────────────────────────

    async def enter(self, cm: AbstractAsyncContextManager[T, Any]) -> T:
        """Enter a context manager in a task of its own, and return what it gives. A checkpoint.

        What `__aenter__` raises is raised here. If this is cancelled, the context manager is unwound
        before the cancellation goes on. From any task of the group's event loop.

        :param cm: an async context manager that was not entered yet
        :raises TypeError: `cm` is no async context manager
        :raises ClosedResourceError: the group is closed, or was closed meanwhile
        :raises RuntimeError: the group was not entered, or belongs to another event loop
        """
        if not hasattr(type(cm), "__aenter__") or not hasattr(type(cm), "__aexit__"):
            raise TypeError(_no_manager(cm))
        enclosure = self._check_here()
        if self._closing:
            raise ClosedResourceError(f"{self!r} is closed: enter resources while it is open")
        owner = Owner(cm, self._close_timeout, self._ended)
        self._owners[owner] = None
        enclosure.tasks.start_soon(owner.run, name=owner.name)
        await owner.opened()
        if owner.was_open:
            if owner.state == "open":
                for thing in (owner.value, cm):
                    self._found.setdefault(id(thing), []).append(owner)
            return owner.value  # type: ignore[no-any-return]  # what the context manager gave
        owner.raise_error()
        raise ClosedResourceError(f"{self!r} was closed while {owner.name} was being entered")

    async def leave(self, value: object) -> None:
        """Leave the context manager that gave `value`, or is `value`; wait until it is closed.

        Raises what closing has raised, once. A value that is not held, for it was left already, does
        nothing. If this is cancelled the resource is closed all the same, and the group waits for it.
        A checkpoint.

        :param value: what `enter` has returned, or the context manager that it was given
        :raises RuntimeError: a task of the resource itself calls this, or one of another event loop
        """
        self._check_here()
        owner = self._find(value)
        if owner is None:
            await current_task().checkpoint()
            return
        owner.check_outside()
        try:
            await owner.closed()
        finally:
            if owner.done.is_set():
                self._keep(owner.take_error())

    def _find(self, value: object) -> Owner | None:
        owners = self._found.get(id(value))
        return owners[-1] if owners else None

    def _ended(self, owner: Owner) -> None:
        """Hear from an owner that its resource is closed."""
        self._owners.pop(owner, None)
        if owner.was_open:
            for thing in (owner.value, owner.cm):
                self._forget(thing, owner)
        if owner.timed_out:
            _warn_of(owner, self._close_timeout)
        if not owner.was_open or owner.takers:
            return  # `enter` or `leave` raises what there is
        error = owner.take_error()
        if error is not None and not owner.asked_to_close:
            self._failed(owner, error)
        else:
            self._keep(error)

    def _forget(self, thing: object, owner: Owner) -> None:
        owners = self._found.get(id(thing))
        if owners is not None and owner in owners:
            owners.remove(owner)
            if not owners:
                del self._found[id(thing)]

    def _keep(self, error: BaseException | None) -> None:
        """Keep an error that nobody waits for, to be raised when the group is left."""
        if error is not None and self._enclosure is not None:
            self._enclosure.errors.append(error)

    def _failed(self, owner: Owner, error: BaseException) -> None:
        if self._on_failure is not None:
            try:
                self._on_failure(owner.value, error)
                return
            except Exception as exc:
                error = exc
        assert self._enclosure is not None
        self._keep(error)
        self._closing = True
        self._enclosure.body.cancel(f"the resource {owner.name} failed: {error!r}")

    async def _close_all(self) -> None:
        assert self._enclosure is not None
        self._closing = True
        for owner in reversed(list(self._owners)):
            owner.close()
            await self._enclosure.wait_for(owner.done)

    def _check_here(self) -> Enclosure:
        enclosure = self._enclosure
        if enclosure is None:
            raise RuntimeError(
                "this ResourceGroup was not entered: use it in an 'async with' block, or make it "
                "with 'await ResourceGroup.open()'"
            )
        if enclosure.kernel is not current_kernel():
            raise RuntimeError(
                f"{self!r} belongs to another event loop: make one in each loop that needs one"
            )
        return enclosure

    def __repr__(self) -> str:
        state = "new" if self._enclosure is None else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {state}, {len(self._owners)} resources>"


def create_resource_group(
    *, close_timeout: float = CLOSE_TIMEOUT, on_failure: OnFailure | None = None
) -> ResourceGroup:
    """Make a group of resources, to be entered with `async with`.

    From any task of the loop, `enter` opens a context manager and `leave` closes it. Each has a task of
    its own, so a task group or a cancel scope inside it is left by the task that entered it. Context
    variables that it sets stay in that task. Leaving the block leaves what is left, the last one first.

    ```python
    from contextlib import asynccontextmanager

    import creche
    from creche.services import create_resource_group


    @asynccontextmanager
    async def client():
        async with creche.create_task_group() as tg:
            yield "client"
            tg.cancel()


    async def main() -> None:
        async with create_resource_group() as resources:
            async with creche.create_task_group() as tg:
                handle = tg.start_soon(resources.enter, client())
            print(handle.return_value)
            await resources.leave(handle.return_value)


    creche.run(main)
    ```

    :param close_timeout: seconds that each resource has for closing, shielded from cancellation; then it
        is cancelled, and a warning is logged
    :param on_failure: called with a resource's value and its error when it fails while it is open, and
        the resource counts as left. Without it the group's block is cancelled and raises the error
    :raises TypeError: `close_timeout` is no number, or `on_failure` no function, or an async one
    :raises ValueError: `close_timeout` is negative or NaN
    """
    return ResourceGroup(_checked(close_timeout, on_failure), on_failure)


def _checked(close_timeout: float, on_failure: OnFailure | None) -> float:
    check_seconds("create_resource_group", "close_timeout", close_timeout)
    if on_failure is not None:
        check_callback("create_resource_group", "on_failure", on_failure)
    if not 0 <= close_timeout <= inf:
        raise ValueError(f"close_timeout must be a number of seconds, not {close_timeout!r}")
    return close_timeout


def _no_manager(cm: object) -> str:
    kind = type(cm).__name__
    if hasattr(type(cm), "__enter__"):
        return f"{kind} is a synchronous context manager: enter it with a plain 'with'"
    if callable(cm):
        return f"expected an async context manager, not the function {cm!r}: call it"
    return f"expected an async context manager, got {kind}"


def _warn_unclosed(group: ResourceGroup) -> None:
    try:
        warnings.warn(
            f"{group!r} was not closed before the event loop ended: call its aclose()",
            ResourceWarning,
            stacklevel=1,
            source=group,
        )
    except ResourceWarning:
        pass  # where warnings are errors; a detached task raises nothing


def _warn_of(owner: Owner, seconds: float) -> None:
    from logging import getLogger  # heavy, and hardly ever needed

    getLogger("creche").warning(
        "the resource %s was not closed within %s s, and was cancelled", owner.name, seconds
    )
