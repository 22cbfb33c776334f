"""Context managers made of one method: what they do, and what is said about the usual mistakes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from creche import AsyncContextManagerMixin, ContextManagerMixin, create_task_group
from creche.lowlevel import checkpoint


class Playground(ContextManagerMixin):
    def __init__(self) -> None:
        self.log: list[str] = []

    @contextmanager
    def __contextmanager__(self) -> Generator[str]:
        self.log.append("open")
        try:
            yield "value"
        except ValueError:
            self.log.append("handled")
        finally:
            self.log.append("closed")


class Nursery(AsyncContextManagerMixin):
    def __init__(self) -> None:
        self.log: list[str] = []

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[str]:
        await checkpoint()
        self.log.append("open")
        try:
            yield "value"
        except ValueError:
            self.log.append("handled")
        finally:
            self.log.append("closed")


# Synchronous


def test_the_block_runs_where_the_method_yields() -> None:
    ground = Playground()
    with ground as value:
        assert value == "value"
        ground.log.append("block")
    assert ground.log == ["open", "block", "closed"]


def test_the_method_may_handle_what_the_block_raises() -> None:
    ground = Playground()
    with ground:
        raise ValueError
    assert ground.log == ["open", "handled", "closed"]  # type: ignore[unreachable]  # it is not
    with pytest.raises(KeyError), ground:
        raise KeyError


def test_it_can_be_entered_again_after_it_was_left() -> None:
    ground = Playground()
    for _ in range(2):
        with ground:
            pass
    assert ground.log == ["open", "closed"] * 2


def test_entering_while_inside_is_an_error() -> None:
    ground = Playground()
    with ground:
        with pytest.raises(RuntimeError, match="this Playground has already been entered"):
            ground.__enter__()
    assert ground.log == ["open", "closed"]


def test_leaving_what_was_not_entered_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="this Playground has not been entered yet"):
        Playground().__exit__(None, None, None)


def test_entering_that_fails_leaves_it_as_it_was() -> None:
    class Closed(ContextManagerMixin):
        @contextmanager
        def __contextmanager__(self) -> Generator[None]:
            raise OSError("no")
            yield  # type: ignore[unreachable]  # makes it a generator

    ground = Closed()
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            ground.__enter__()
    with pytest.raises(RuntimeError, match="has not been entered yet"):
        ground.__exit__(None, None, None)


def test_a_subclass_extends_the_method_of_its_base() -> None:
    class Larger(Playground):
        @contextmanager
        def __contextmanager__(self) -> Generator[str]:
            with super().__contextmanager__() as value:
                self.log.append("larger")
                yield value + "s"

    with Larger() as value:
        assert value == "values"


def returning(name: str, mixin: type, value: Any) -> Any:
    return type("Wrong", (mixin,), {name: lambda self: self if value is ... else value()})


async def coroutine() -> None: ...


def generator() -> Generator[int]:
    yield 1


async def async_generator() -> AsyncGenerator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (int, "did not return a context manager object, but <class 'int'>"),
        (coroutine, "did not return a context manager object, but <class 'coroutine'>"),
        (generator, "returned a generator object instead of .* the @contextmanager decorator"),
        (..., r"Wrong\.__contextmanager__\(\) returned self\. Did you forget"),
    ],
)
def test_a_method_that_returns_no_context_manager_is_explained(value: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        returning("__contextmanager__", ContextManagerMixin, value)().__enter__()


def test_a_class_without_the_method_is_explained() -> None:
    class Empty(ContextManagerMixin):
        pass

    with pytest.raises(TypeError, match="did not return a context manager: class Empty does not"):
        Empty().__enter__()


# Asynchronous


async def test_the_async_block_runs_where_the_method_yields() -> None:
    nursery = Nursery()
    async with nursery as value:
        assert value == "value"
        nursery.log.append("block")
    assert nursery.log == ["open", "block", "closed"]


async def test_the_async_method_may_handle_what_the_block_raises() -> None:
    nursery = Nursery()
    async with nursery:
        raise ValueError
    assert nursery.log == ["open", "handled", "closed"]  # type: ignore[unreachable]  # it is not
    with pytest.raises(KeyError):
        async with nursery:
            raise KeyError


async def test_entering_while_inside_is_an_error_also_from_another_task() -> None:
    nursery = Nursery()
    outcomes: list[str] = []

    async def enter() -> None:
        try:
            async with nursery:
                outcomes.append("entered")
        except RuntimeError as exc:
            outcomes.append(str(exc))

    async with create_task_group() as group:
        group.start_soon(enter)
        group.start_soon(enter)
    assert sorted(outcome[:40] for outcome in outcomes) == [
        "entered",
        "this Nursery has already been entered: l",
    ]


async def test_leaving_an_async_one_that_was_not_entered_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="this Nursery has not been entered yet"):
        await Nursery().__aexit__(None, None, None)


async def test_a_task_group_may_be_open_across_the_yield() -> None:
    class Team(AsyncContextManagerMixin):
        @asynccontextmanager
        async def __asynccontextmanager__(self) -> AsyncGenerator[Team]:
            async with create_task_group() as self.group:
                yield self

    async with Team() as team:
        handle = team.group.start_soon(checkpoint)
    assert handle.return_value is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (int, "did not return an async context manager, but <class 'int'>"),
        (generator, "did not return an async context manager, but <class 'generator'>"),
        (async_generator, "returned an async generator instead of .* @asynccontextmanager"),
        (coroutine, "returned a coroutine object instead of .* and a 'yield' statement"),
        (..., r"Wrong\.__asynccontextmanager__\(\) returned self\. Did you forget"),
    ],
)
async def test_a_method_that_returns_no_async_context_manager_is_explained(
    value: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        await returning("__asynccontextmanager__", AsyncContextManagerMixin, value)().__aenter__()


async def test_a_class_without_the_async_method_is_explained() -> None:
    class Empty(AsyncContextManagerMixin):
        pass

    with pytest.raises(TypeError, match="did not return an async context manager: class Empty"):
        await Empty().__aenter__()
