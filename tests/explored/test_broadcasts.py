"""Broadcasts and watched values under many schedules: all see all, and nobody sees what is old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import CancelScope, Event, create_task_group
from creche.flow import Lagged, Watched, create_broadcast
from creche.lowlevel import checkpoint
from creche.testing import explore, settle

modes = pytest.mark.parametrize("on_lag", ["raise", "wait", "drop_oldest"])


class Audience:
    """Readers of one broadcast: what each has read, and how many items it was told to have missed."""

    def __init__(self, number: int) -> None:
        self.read: list[list[Any]] = [[] for _ in range(number)]
        self.missed = [0] * number
        self.scopes = [CancelScope() for _ in range(number)]

    async def listen(self, number: int, stream: Any) -> None:
        scope = self.scopes[number]
        with stream:
            while True:
                with scope:
                    try:
                        async for item in stream:
                            self.read[number].append(item)
                        return
                    except Lagged as exc:
                        self.missed[number] += exc.missed
                # Cancelled, perhaps: goes on, and is to have lost nothing by it.
                scope = CancelScope()


async def broadcast(make: Callable[..., Any], on_lag: str) -> None:
    """Two senders and three readers with room for two; one of each is cancelled."""
    audience = Audience(3)
    sent: list[Any] = []
    refused: list[Any] = []
    scope = CancelScope()

    async def publish(stream: Any, items: list[Any], scope: CancelScope) -> None:
        with scope, stream:
            for item in items:
                try:
                    await stream.send(item)
                except BaseException:
                    refused.append(item)
                    raise
                sent.append(item)

    send = make(2, on_lag)
    async with create_task_group() as group:
        for number in range(3):
            group.start_soon(audience.listen, number, send.subscribe())
        group.start_soon(publish, send.clone(), ["a", "b", "c"], scope)
        group.start_soon(publish, send, ["d", "e", "f"], CancelScope())
        group.start_soon(cancel_one_by_one, scope, audience.scopes[0])
    for read, missed in zip(audience.read, audience.missed, strict=True):
        assert len(set(read)) == len(read), "an item came twice"
        assert not set(read) & set(refused), "an item came whose send had raised"
        for sender in ("abc", "def"):
            mine = [item for item in read if item in sender]
            assert mine == sorted(mine), "out of order"
        if on_lag == "wait":
            assert len(read) == len(sent), "an item was lost"
        elif on_lag == "raise":
            assert len(read) + missed == len(sent), "an item was lost, and nobody told"
    if on_lag == "wait":
        assert audience.read[0] == audience.read[1] == audience.read[2], "in another order"


@modes
@explore()
async def test_everybody_sees_everything_once_and_in_the_same_order(on_lag: str) -> None:
    await broadcast(create_broadcast, on_lag)


class Wrapped:
    """A broadcast with one thing wrong in its subscriptions."""

    def __init__(self, send: Any, reader: type[WrongReader]) -> None:
        self._send = send
        self._reader = reader
        self.send = send.send

    def clone(self) -> Wrapped:
        return Wrapped(self._send.clone(), self._reader)

    def subscribe(self) -> WrongReader:
        return self._reader(self._send.subscribe())

    def __enter__(self) -> None:
        self._send.__enter__()

    def __exit__(self, *exc: object) -> None:
        self._send.__exit__(*exc)


class WrongReader:
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __aiter__(self) -> WrongReader:
        return self

    async def __anext__(self) -> Any:
        return await anext(self.stream)

    def __enter__(self) -> None:
        self.stream.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.stream.__exit__(*exc)


class Losing(WrongReader):
    """May be cancelled when it has the item already."""

    async def __anext__(self) -> Any:
        item = await anext(self.stream)
        await checkpoint()
        return item


class Doubling(WrongReader):
    """Gives the last item once more if it was cancelled."""

    last: Any = None
    again = False

    async def __anext__(self) -> Any:
        if self.again and self.last is not None:
            self.again = False
            return self.last
        try:
            self.last = await anext(self.stream)
        except StopAsyncIteration:
            raise
        except BaseException:
            self.again = True
            raise
        return self.last


class Unpaced(Wrapped):
    """Never waits for the slow, whatever it was told."""

    def __init__(self, send: Any, reader: type[WrongReader]) -> None:
        super().__init__(send, reader)
        send._state._paced = False


@pytest.mark.parametrize("reader", [Losing, Doubling])
def test_a_broadcast_that_loses_or_doubles_is_found_out(reader: type[WrongReader]) -> None:
    def make(capacity: int, on_lag: Any) -> Any:
        return Wrapped(create_broadcast[str](capacity, on_lag), reader)

    assert_found(lambda: broadcast(make, "wait"))


def test_a_broadcast_that_does_not_wait_for_the_slow_is_found_out() -> None:
    def make(capacity: int, on_lag: Any) -> Any:
        return Unpaced(create_broadcast[str](capacity, on_lag), WrongReader)

    assert_found(lambda: broadcast(make, "wait"))


@pytest.mark.parametrize("on_lag", ["wait", "drop_oldest"])
@explore(runs=100)
async def test_a_reader_that_leaves_holds_nobody_up(on_lag: Any) -> None:
    send = create_broadcast[int](1, on_lag)
    scopes = [CancelScope(), CancelScope()]

    async def leave(stream: Any, scope: CancelScope) -> None:
        with scope, stream:
            await stream.receive()

    async def publish() -> None:
        with send:
            for number in range(4):
                await send.send(number)

    async with create_task_group() as group:
        for scope in scopes:
            group.start_soon(leave, send.subscribe(), scope)
        group.start_soon(publish)
        group.start_soon(cancel_one_by_one, scopes[0])
    assert send.statistics()[2:] == (0, 0, 0, 0)


# Watched values


async def watched(make: Callable[[int], Any]) -> None:
    """Two set values that rise; a follower sees them rise, and in the end the last one."""
    value = make(0)
    scope = CancelScope()
    seen: list[list[int]] = [[], []]
    newest = 0

    async def follow(number: int) -> None:
        changes = value.changes()
        with scope if number else CancelScope():
            async for current in changes:
                assert current == newest, "it was old when it came"
                seen[number].append(current)
                if current == 6:
                    return

    async def set_values() -> None:
        nonlocal newest
        for _ in range(3):
            await checkpoint()
            newest += 1
            value.set(newest)

    async with create_task_group() as group:
        group.start_soon(follow, 0)
        group.start_soon(follow, 1)
        group.start_soon(set_values)
        group.start_soon(set_values)
        group.start_soon(cancel_one_by_one, scope)
    assert seen[0][-1] == 6
    for values in seen:
        assert values == sorted(set(values)), "an old one, or one twice"


@explore()
async def test_a_follower_sees_the_newest_and_never_an_old_one() -> None:
    await watched(Watched)


class Stale(Watched[int]):
    """Followers look at the value before a checkpoint, and give it after."""

    def changes(self, *, initial: bool = True) -> Any:
        return Looking(self, look_first=True)


class Forgetful(Watched[int]):
    """Followers miss a change that comes before they wait."""

    def changes(self, *, initial: bool = True) -> Any:
        return Looking(self, look_first=False)


class Looking:
    def __init__(self, watched: Watched[int], look_first: bool) -> None:
        self.watched = watched
        self.look_first = look_first
        self.seen = -1

    def __aiter__(self) -> Looking:
        return self

    async def __anext__(self) -> int:
        if self.look_first:
            self.seen = await self.watched.wait_for(lambda value: value != self.seen)
            await checkpoint()
            return self.seen
        if self.seen >= 0:
            await checkpoint()
            before = self.watched.get()
            await self.watched.wait_for(lambda value: value != before)
        self.seen = self.watched.get()
        return self.seen


@pytest.mark.parametrize("broken", [Stale, Forgetful])
def test_a_value_whose_changes_are_stale_or_missed_is_found_out(
    broken: Callable[[int], Any],
) -> None:
    assert_found(lambda: watched(broken))


async def waited_for(make: Callable[[int], Any]) -> None:
    """Somebody waits for a value that is there for a moment only; somebody who waits is cancelled."""
    value = make(0)
    scope = CancelScope()
    got: list[int] = []
    waiting = Event()

    async def wait(scope: CancelScope) -> None:
        with scope:
            waiting.set()
            got.append(await value.wait_for(lambda current: current == 2))

    async def set_values() -> None:
        await waiting.wait()
        await settle()
        for number in (1, 2, 3):
            value.set(number)
            await checkpoint()

    async with create_task_group() as group:
        group.start_soon(wait, CancelScope())
        group.start_soon(wait, scope)
        group.start_soon(set_values)
        group.start_soon(cancel_one_by_one, scope)
    assert got in ([2], [2, 2])


@explore(runs=100)
async def test_a_value_that_somebody_waits_for_is_not_missed() -> None:
    await waited_for(Watched)


class Polling(Watched[int]):
    """A value whose waiters ask for themselves, when they step."""

    async def wait_for(self, predicate: Callable[[int], object]) -> int:
        changes = self.changes()
        while True:
            current = await anext(changes)
            if predicate(current):
                return current


def test_a_value_that_is_looked_at_too_late_is_found_out() -> None:
    assert_found(lambda: waited_for(Polling))
