"""`shielded`: the exit of a context manager is not interrupted, for so long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf, nan
from typing import Any

import pytest

from creche import get_cancelled_exc_class, move_on_after, shielded, sleep, sleep_forever, testing

BACKENDS = pytest.mark.parametrize("backend_name", ["asyncio", "trio"])


class Connection:
    def __init__(self) -> None:
        self.closed = self.cut = False

    @asynccontextmanager
    async def open(self, seconds: float, enter: float = 0) -> AsyncIterator[Connection]:
        await sleep(enter)
        try:
            yield self
        finally:
            try:
                await sleep(seconds)
                self.closed = True
            except get_cancelled_exc_class():
                self.cut = True
                raise


@BACKENDS
def test_the_exit_is_not_interrupted(backend_name: str) -> None:
    async def main() -> None:
        connection = Connection()
        with move_on_after(1) as scope:
            async with shielded(connection.open(2), grace=5) as value:
                assert value is connection
                await sleep_forever()
        assert connection.closed
        assert scope.cancelled_caught

    testing.run(main, backend=backend_name)


@BACKENDS
def test_an_exit_that_takes_too_long_is_cut_off(backend_name: str) -> None:
    async def main() -> None:
        connection = Connection()
        with pytest.raises(TimeoutError, match="took longer than its grace of 5 s"):
            async with shielded(connection.open(9), grace=5):
                pass
        assert connection.cut
        with pytest.raises(ValueError) as caught:
            async with shielded(Connection().open(9), grace=5):
                raise ValueError
        assert "grace of 5 s" in caught.value.__notes__[0]
        other = Connection()
        with move_on_after(1) as scope:
            async with shielded(other.open(9), grace=5):
                await sleep_forever()
        assert other.cut
        assert scope.cancelled_caught

    testing.run(main, backend=backend_name)


@BACKENDS
def test_the_way_in_is_cancelled_as_ever(backend_name: str) -> None:
    async def main() -> None:
        connection = Connection()
        with move_on_after(1) as scope:
            async with shielded(connection.open(0, enter=5), grace=inf):
                raise AssertionError("never entered")
        assert scope.cancelled_caught

    testing.run(main, backend=backend_name)


@pytest.mark.parametrize(
    ("manager", "grace", "error"),
    [
        (Connection().open(0), -1, ValueError),
        (Connection().open(0), nan, ValueError),
        (Connection().open(0), "5", TypeError),
        (Connection().open(0), True, TypeError),
        (open, 5, TypeError),
        (None, 5, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    manager: Any, grace: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        shielded(manager, grace=grace)
