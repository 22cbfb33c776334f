"""Mix-in classes that make a context manager of a class from one generator method.

Owns the calling of `__contextmanager__` and `__asynccontextmanager__`, and the messages for the
usual mistakes in writing them. Knows no event loop.

    outside --enter--> inside --exit--> outside       entering while inside is an error

Subclasses extend the method of their base with `with super().__contextmanager__(): ...`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from inspect import iscoroutine
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, Protocol, TypeVar, final

T_co = TypeVar("T_co", covariant=True)
ExitT_co = TypeVar("ExitT_co", covariant=True, bound="bool | None")


class _SupportsCtxMgr(Protocol[T_co, ExitT_co]):
    def __contextmanager__(self) -> AbstractContextManager[T_co, ExitT_co]: ...


class _SupportsAsyncCtxMgr(Protocol[T_co, ExitT_co]):
    def __asynccontextmanager__(self) -> AbstractAsyncContextManager[T_co, ExitT_co]: ...


class ContextManagerMixin:
    """Makes a class a context manager by its method `__contextmanager__`.

    An instance can be entered again once it was left, but not while it is entered.

    ```python
    from collections.abc import Generator
    from contextlib import contextmanager

    from creche import ContextManagerMixin


    class Playground(ContextManagerMixin):
        @contextmanager
        def __contextmanager__(self) -> Generator["Playground", None, None]:
            print("open")
            try:
                yield self
            finally:
                print("closed")


    with Playground():
        print("playing")
    ```
    """

    __cm: AbstractContextManager[object, bool | None] | None = None

    @final
    def __enter__(self: _SupportsCtxMgr[T_co, bool | None]) -> T_co:
        assert isinstance(self, ContextManagerMixin)
        if self.__cm is not None:
            raise _entered_already(self)
        cm: Any = self.__contextmanager__()
        _check(self, cm, _SYNC)
        self.__cm = cm
        try:
            value: T_co = cm.__enter__()
        except BaseException:
            self.__cm = None
            raise
        return value

    @final
    def __exit__(
        self: _SupportsCtxMgr[object, ExitT_co],
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> ExitT_co:
        assert isinstance(self, ContextManagerMixin)
        cm: Any = self.__cm
        if cm is None:
            raise _not_entered(self)
        try:
            handled: ExitT_co = cm.__exit__(exc_type, exc_val, exc_tb)
        finally:
            self.__cm = None
        return handled

    def __contextmanager__(self) -> AbstractContextManager[object, bool | None]:
        """Return the context manager that `with` is to use: override this.

        Decorate it with `contextlib.contextmanager`. Its `yield` raises what the with-block
        raises, so clean up in a `finally` block.
        """
        raise TypeError(
            f"__contextmanager__() did not return a context manager: "
            f"class {type(self).__name__} does not define it"
        )


class AsyncContextManagerMixin:
    """Makes a class an async context manager by its method `__asynccontextmanager__`.

    An instance can be entered again once it was left, but not while it is entered.

    ```python
    from collections.abc import AsyncGenerator
    from contextlib import asynccontextmanager

    import creche
    from creche import AsyncContextManagerMixin, create_task_group


    class Nursery(AsyncContextManagerMixin):
        @asynccontextmanager
        async def __asynccontextmanager__(self) -> AsyncGenerator["Nursery", None]:
            async with create_task_group() as self.tasks:
                yield self


    async def main() -> None:
        async with Nursery() as nursery:
            nursery.tasks.start_soon(creche.sleep, 0.01)


    creche.run(main)
    ```
    """

    __cm: AbstractAsyncContextManager[object, bool | None] | None = None

    @final
    async def __aenter__(self: _SupportsAsyncCtxMgr[T_co, bool | None]) -> T_co:
        assert isinstance(self, AsyncContextManagerMixin)
        if self.__cm is not None:
            raise _entered_already(self)
        cm: Any = self.__asynccontextmanager__()
        _check(self, cm, _ASYNC)
        self.__cm = cm
        try:
            value: T_co = await cm.__aenter__()
        except BaseException:
            self.__cm = None
            raise
        return value

    @final
    async def __aexit__(
        self: _SupportsAsyncCtxMgr[object, ExitT_co],
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> ExitT_co:
        assert isinstance(self, AsyncContextManagerMixin)
        cm: Any = self.__cm
        if cm is None:
            raise _not_entered(self)
        try:
            handled: ExitT_co = await cm.__aexit__(exc_type, exc_val, exc_tb)
        finally:
            self.__cm = None
        return handled

    def __asynccontextmanager__(self) -> AbstractAsyncContextManager[object, bool | None]:
        """Return the async context manager that `async with` is to use: override this.

        Decorate it with `contextlib.asynccontextmanager`. Its `yield` raises what the block
        raises, so clean up in a `finally` block.
        """
        raise TypeError(
            f"__asynccontextmanager__() did not return an async context manager: "
            f"class {type(self).__name__} does not define it"
        )


def _entered_already(mixin: object) -> RuntimeError:
    return RuntimeError(
        f"this {type(mixin).__name__} has already been entered: leave it first, or make another"
    )


def _not_entered(mixin: object) -> RuntimeError:
    return RuntimeError(f"this {type(mixin).__name__} has not been entered yet: use it in a `with`")


_SYNC, _ASYNC = "contextmanager", "asynccontextmanager"
_WANTED = {_SYNC: AbstractContextManager, _ASYNC: AbstractAsyncContextManager}
_NAMES = {_SYNC: "a context manager", _ASYNC: "an async context manager"}
_SLIPS: dict[tuple[str, type[Any]], tuple[str, str]] = {
    (_SYNC, GeneratorType): ("a generator object", ""),
    (_ASYNC, AsyncGeneratorType): ("an async generator", ""),
    (_ASYNC, CoroutineType): ("a coroutine object", " and a 'yield' statement"),
}
"""What a method returns that lacks its decorator, by what the decorator would make of it."""


def _check(mixin: object, found: object, decorator: str) -> None:
    """Raise a TypeError that helps, unless `found` is a context manager, and not the object itself."""
    if found is mixin:
        raise _returned_self(mixin, decorator)
    if isinstance(found, _WANTED[decorator]):
        return
    if iscoroutine(found):
        found.close()
    slip = _SLIPS.get((decorator, type(found)))
    if slip is not None:
        raise TypeError(
            f"__{decorator}__() returned {slip[0]} instead of {_NAMES[decorator]}. "
            f"Did you forget to add the @{decorator} decorator{slip[1]}?"
        )
    kind = " object" if decorator is _SYNC else ""
    raise TypeError(
        f"__{decorator}__() did not return {_NAMES[decorator]}{kind}, but {type(found)}"
    )


def _returned_self(mixin: object, decorator: str) -> TypeError:
    return TypeError(
        f"{type(mixin).__name__}.__{decorator}__() returned self. "
        f"Did you forget to add the @{decorator} decorator and a 'yield' statement?"
    )
