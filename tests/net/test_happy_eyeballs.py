"""Happy eyeballs: the order of addresses, and every outcome of the race, without a socket."""

from __future__ import annotations

from math import inf

import pytest

from _harness import leaves
from creche import (
    CancelScope,
    ConnectionFailed,
    Event,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche._net.eyeballs import all_failed, interleave, race

# The order


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("", ""),
        ("4a", "4a"),
        ("6a 6b 6c", "6a 6b 6c"),
        ("6a 6b 4a 4b", "6a 4a 6b 4b"),
        ("4a 6a 6b 4b", "4a 6a 4b 6b"),
        ("6a 6b 6c 4a", "6a 4a 6b 6c"),
        ("4a 6a 6b 6c", "4a 6a 6b 6c"),
        ("6a 4a 6a 4a 6b", "6a 4a 6b"),
    ],
)
def test_families_take_turns_beginning_with_the_resolver_s_first(given: str, ordered: str) -> None:
    assert interleave(given.split(), family=lambda address: address[0]) == ordered.split()


# The errors


def test_a_single_failure_is_the_cause_itself() -> None:
    failure = OSError(111, "refused, connecting to a")
    error = all_failed("somewhere port 1", [failure])
    assert error.__cause__ is failure
    assert str(error).startswith("All connection attempts failed, to somewhere port 1: ")


def test_several_failures_are_a_group() -> None:
    failures = [OSError(111, "refused, connecting to a"), OSError(113, "no route, to b")]
    error = all_failed("somewhere port 1", failures)
    assert isinstance(error.__cause__, ExceptionGroup)
    assert list(error.__cause__.exceptions) == failures
    assert "connecting to a" in str(error)
    assert "to b" in str(error)


# The race


class End:
    """What an attempt that succeeds results in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Track:
    """Attempts that do what their event says when it is set; records who began and ended how."""

    def __init__(self, *candidates: str) -> None:
        self.go = {name: Event() for name in candidates}
        self.failing: set[str] = set()
        self.log: list[str] = []
        self.ends: list[End] = []

    async def attempt(self, name: str) -> End:
        self.log.append(f"{name} begins")
        try:
            await self.go[name].wait()
        except BaseException:
            self.log.append(f"{name} is cancelled")
            raise
        if name in self.failing:
            self.log.append(f"{name} fails")
            raise OSError(name)
        end = End(name)
        self.ends.append(end)
        return end

    async def race(self, delay: float) -> End:
        return await race(list(self.go), self.attempt, delay, "here")

    def succeed(self, name: str) -> None:
        self.go[name].set()

    def fail(self, name: str) -> None:
        self.failing.add(name)
        self.go[name].set()


@pytest.mark.parametrize("others", ["", "bc"])
async def test_the_first_wins_alone_if_it_is_quick(others: str) -> None:
    track = Track("a", *others)
    track.succeed("a")
    winner = await track.race(delay=inf)
    assert winner.name == "a"
    assert not winner.closed
    assert track.log == ["a begins"]


async def test_the_next_begins_when_the_last_has_failed_whatever_the_delay() -> None:
    track = Track("a", "b", "c")
    track.fail("a")
    track.fail("b")
    track.succeed("c")
    assert (await track.race(delay=inf)).name == "c"
    assert track.log == ["a begins", "a fails", "b begins", "b fails", "c begins"]


async def test_the_next_begins_beside_the_last_after_the_delay() -> None:
    track = Track("a", "b", "c")
    track.succeed("c")
    assert (await track.race(delay=0)).name == "c"
    assert track.log[:3] == ["a begins", "b begins", "c begins"]
    assert sorted(track.log[3:]) == ["a is cancelled", "b is cancelled"]


async def test_an_early_attempt_can_still_win() -> None:
    track = Track("a", "b")
    async with create_task_group() as group:
        handle = group.create_task(track.race(delay=0))
        await wait_all_tasks_blocked()
        track.succeed("a")
    assert handle.return_value.name == "a"
    assert track.log == ["a begins", "b begins", "b is cancelled"]


async def test_who_succeeds_too_late_is_closed() -> None:
    track = Track("a", "b")
    async with create_task_group() as group:
        handle = group.create_task(track.race(delay=0))
        await wait_all_tasks_blocked()
        track.succeed("a")
        track.succeed("b")
    winner = handle.return_value
    assert not winner.closed
    assert len(track.ends) == 2
    assert [end.closed for end in track.ends if end is not winner] == [True]


async def test_the_winner_is_closed_if_the_caller_is_cancelled() -> None:
    track = Track("a", "b")
    with CancelScope() as scope:
        async with create_task_group() as group:
            group.create_task(track.race(delay=inf))
            await wait_all_tasks_blocked()
            track.succeed("a")
            scope.cancel()
    assert [end.closed for end in track.ends] == [True]


async def test_all_failures_are_reported_in_the_order_of_the_candidates() -> None:
    track = Track("a", "b", "c")

    async def run() -> None:
        with pytest.raises(ConnectionFailed, match="to here: a; b; c") as caught:
            await track.race(delay=0)
        group = caught.value.__cause__
        assert isinstance(group, ExceptionGroup)
        assert [str(each) for each in group.exceptions] == ["a", "b", "c"]

    async with create_task_group() as group:
        group.start_soon(run)
        for name in "bca":
            await wait_all_tasks_blocked()
            track.fail(name)


async def test_an_error_that_is_not_the_system_s_ends_the_race() -> None:
    async def attempt(name: str) -> End:
        raise LookupError(name)

    with pytest.raises(ExceptionGroup) as caught:
        await race(["a", "b"], attempt, inf, "here")
    assert [str(leaf) for leaf in leaves(caught.value)] == ["a"]
