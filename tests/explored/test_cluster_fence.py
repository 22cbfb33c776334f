"""The fence under many schedules: nothing starts twice, and cancelled means ended, whatever is lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from _fake_engine import STEPS, fake_cluster
from _planted import assert_found

from creche import CancelScope, create_task_group
from creche._cluster import calls as calls_module
from creche._cluster.call import Attempt, State, Verdict
from creche._cluster.contract import Answer
from creche.cluster import IncompatibleWorker, RemoteWorkerLost, WorkerInfo
from creche.lowlevel import checkpoint
from creche.testing import explore

ANSWER = Answer(b"R", b"")


# The table


def test_an_attempt_is_granted_once() -> None:
    attempt = Attempt()
    assert attempt.asked("one", "w") is Verdict.GRANT
    assert attempt.asked("two", "w") is Verdict.REFUSE
    assert attempt.answered("two", ANSWER) is Verdict.NOTHING
    assert attempt.answered("one", ANSWER) is Verdict.WAKE
    assert attempt.asked("three", "w") is Verdict.REFUSE
    assert attempt.answered("one", ANSWER) is Verdict.NOTHING


def test_what_is_withdrawn_is_never_granted() -> None:
    attempt = Attempt()
    assert attempt.cancel() is Verdict.FORGET
    assert attempt.asked("one", "w") is Verdict.REFUSE
    assert attempt.over and attempt.fail(RuntimeError()) is Verdict.NOTHING


EVENTS = {
    "asked": lambda attempt: attempt.asked("one", "w"),
    "asked again": lambda attempt: attempt.asked("two", "w"),
    "answered": lambda attempt: attempt.answered("one", ANSWER),
    "lost": lambda attempt: attempt.lost(RuntimeError()),
    "unplaced": lambda attempt: attempt.unplaced(RuntimeError()),
    "failed": lambda attempt: attempt.fail(RuntimeError()),
    "cancel": lambda attempt: attempt.cancel(),
}


def test_every_order_of_events_grants_at_most_once_and_ends_at_most_once() -> None:
    for order in itertools.product(EVENTS, repeat=5):
        attempt, verdicts = Attempt(), []
        for event in order:
            was_over = attempt.over
            verdicts.append(EVENTS[event](attempt))
            assert not was_over or attempt.over, f"{order}: it came back to life"
            assert (attempt.state is State.ENDED) == (
                attempt.answer is not None or attempt.loss is not None
            ), order
        assert verdicts.count(Verdict.GRANT) <= 1, order
        assert verdicts.count(Verdict.WAKE) <= 1, order
        if Verdict.FORGET in verdicts:
            assert Verdict.GRANT not in verdicts, order


# Under many schedules


async def cancelled_calls(faults: Sequence[str] = ()) -> None:
    """Three calls, the later two cancelled at some moment: started at most once, ended when they return."""
    async with fake_cluster(faults) as (cluster, engine):
        scopes = [CancelScope() for _ in range(3)]
        lost: list[int] = []

        async def call(number: int) -> None:
            with scopes[number]:
                try:
                    assert await cluster.run_sync(abs, number) == number
                except RemoteWorkerLost:
                    lost.append(number)
            assert number not in engine.running, f"call {number} has returned, and goes on"
            after = engine.starts[number]
            for _ in range(6):
                await checkpoint()
            assert engine.starts[number] == after, (
                f"call {number} was started after it had returned"
            )

        async with create_task_group() as group:
            for number in range(3):
                group.start_soon(call, number)
            for scope in scopes[1:]:
                for _ in range(2):
                    await checkpoint()
                scope.cancel()
        assert max(engine.starts.values(), default=0) <= 1, "a call was started twice"
        assert cluster.calls() == []
        assert len(lost) <= sum(map(bool, faults))


@explore(runs=150)
async def test_cancelled_means_ended() -> None:
    await cancelled_calls()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_dies_at_each_step_makes_no_call_run_twice(step: str) -> None:
    explore(runs=60)(cancelled_calls)([step, step])


@explore(runs=100)
async def test_retries_run_a_lost_call_again_and_no_other() -> None:
    async with fake_cluster(["running", "granted"]) as (cluster, engine):
        assert await cluster.run_sync(abs, 1, retries=2) == 1
        assert engine.starts[1] <= 2
        assert await cluster.run_sync(abs, 2, retries=2) == 2
        assert engine.starts[2] == 1


# Planted bugs


class Twice(Attempt):
    """Grants whoever asks."""

    __slots__ = ()

    def asked(self, offer: str, worker: str) -> Verdict:
        super().asked(offer, worker)
        return Verdict.GRANT


class Hasty(Attempt):
    """Takes a call for ended as soon as it is told to stop."""

    __slots__ = ()

    def cancel(self) -> Verdict:
        super().cancel()
        return Verdict.NOTHING


@pytest.mark.parametrize("bug", [Twice, Hasty])
def test_a_planted_bug_in_the_fence_is_found(
    bug: type[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "Attempt", bug)
    assert_found(cancelled_calls)


async def test_a_call_by_value_is_not_granted_to_another_python() -> None:
    async with fake_cluster() as (cluster, engine):
        async with create_task_group() as group:

            async def call() -> None:
                with pytest.raises(IncompatibleWorker, match=r"3\.9\.1"):
                    await cluster.run_sync(lambda: 1)

            group.start_soon(call)
            while not cluster.calls():
                await checkpoint()
            lease = cluster.calls()[0].lease
            engine.listener.worker_came(WorkerInfo(f"first-{lease}", "old", "host", (3, 9, 1), 1))
        assert not engine.starts
