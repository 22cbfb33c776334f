"""`TestRunner`: what runs the coroutines of tests and fixtures from synchronous code.

Knows neither pytest nor an event loop.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class TestRunner(metaclass=ABCMeta):
    """An event loop for tests: all that is run through it runs in one task of one loop.

    A context manager: the loop ends when it is left.
    """

    __test__ = False  # It is not a class of tests, though its name begins like one.

    def __enter__(self) -> Self:
        """Return the runner itself."""
        return self

    @abstractmethod
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        """End the loop, with all that is left in it."""

    @abstractmethod
    def is_running(self) -> bool:
        """Tell whether it is running a coroutine now."""

    @abstractmethod
    def run_asyncgen_fixture(
        self, fixture_func: Callable[..., AsyncGenerator[T, Any]], kwargs: dict[str, Any]
    ) -> Iterable[T]:
        """Run an async generator fixture: to its `yield`, and to its end when one iterates on.

        :param fixture_func: the async generator function
        :param kwargs: its arguments
        :return: an iterator over the one value that it yields
        :raises RuntimeError: it yields not once
        """

    @abstractmethod
    def run_fixture(
        self, fixture_func: Callable[..., Coroutine[Any, Any, T]], kwargs: dict[str, Any]
    ) -> T:
        """Run a coroutine function that is a fixture, and return what it returns.

        :param fixture_func: the coroutine function
        :param kwargs: its arguments
        """

    @abstractmethod
    def run_test(
        self, test_func: Callable[..., Coroutine[Any, Any, Any]], kwargs: dict[str, Any]
    ) -> None:
        """Run a coroutine function that is a test.

        :param test_func: the coroutine function
        :param kwargs: its arguments
        """
