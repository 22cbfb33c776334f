"""Bugs that were planted are found, shrunk and shown; the programs without them pass."""

from __future__ import annotations

import re

import pytest
from _bugs import (
    Main,
    act_at_once,
    awaited_notify,
    check_then_act,
    depth_three,
    depth_three_one_by_one,
    inversion,
    kept_update,
    lost_update,
    missed_notify,
    one_order,
    race,
)

from _harness import on_each_simulated_loop
from creche import testing
from creche.testing._run import simulate
from creche.testing._schedules import make, strategy

both = on_each_simulated_loop
BUGS = {
    lost_update: AssertionError,
    inversion: testing.DeadlockError,
    missed_notify: testing.DeadlockError,
    check_then_act: ExceptionGroup,
}
CORRECT = (kept_update, one_order, awaited_notify, act_at_once, depth_three_one_by_one)


def token_in(error: BaseException) -> str:
    return error.__notes__[0].rpartition("'")[0].rpartition("'")[2]


def runs_until_found(main: Main, kind: str, loop: str, most: int) -> int | None:
    plan = strategy(kind, 1)
    for number in range(most):
        schedule = plan.schedule(number)
        assert schedule is not None
        outcome = simulate(main, (), loop, schedule)
        if outcome.error is not None:
            return number + 1
        plan.learn(outcome.choices)
    return None


@both
def test_three_hundred_random_schedules_show_all_outcomes_of_a_race(loop: str) -> None:
    seen = {simulate(race, (), loop, make("random", number, 0)).result for number in range(300)}
    assert seen == {1, 2, 3}


@both
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_shrunk_and_shown(bug: Main, loop: str) -> None:
    with pytest.raises(BUGS[bug]) as caught:
        testing.explore(backends=[loop])(bug)()
    token, interleaving = token_in(caught.value), caught.value.__notes__[1]
    assert len(token) < 40
    assert "_bugs.py:" in interleaving
    with pytest.raises(BUGS[bug]):
        testing.replay(bug, token)


@both
def test_the_interleaving_tells_the_whole_story(loop: str) -> None:
    with pytest.raises(AssertionError) as caught:
        testing.explore(backends=[loop])(lost_update)()
    lines = [
        re.sub(r"\S*_bugs.py:\d+", "here", line)
        for line in str(caught.value.__notes__[1]).splitlines()
    ]
    assert [line.split(maxsplit=1)[1] for line in lines[1:]] == [
        "lost_update  here  waits for the end of add, add #2, add #3",
        "add          here  gives way",
        "add #2       here  gives way",
        "add #3       here  gives way",
        "add          -                          has ended",
        "add #2       -                          has ended",
        "add #3       -                          has ended",
        "lost_update  here  raises AssertionError",
    ]


@both
def test_the_interleaving_says_who_holds_what_a_task_waits_for(loop: str) -> None:
    with pytest.raises(testing.DeadlockError) as caught:
        testing.explore(backends=[loop])(inversion)()
    *_, one, other = caught.value.__notes__[1].splitlines()
    assert one.endswith("waits for Lock 'cache', which transfer #2 holds")
    assert other.endswith("waits for Lock 'db', which transfer holds")


@both
@pytest.mark.parametrize("kind", ["random", "pct:3", "dfs"])
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_every_strategy_that_changes_the_order_finds_it(bug: Main, kind: str, loop: str) -> None:
    assert runs_until_found(bug, kind, loop, 200) is not None


@both
def test_the_order_of_the_loop_alone_does_not_show_the_inversion(loop: str) -> None:
    assert runs_until_found(inversion, "fifo", loop, 1) is None


def test_pct_finds_a_bug_of_depth_three_and_plain_random_rarely_does() -> None:
    def found(kind: str) -> int:
        plan, count = strategy(kind, 1), 0
        for number in range(1000):
            schedule = plan.schedule(number)
            assert schedule is not None
            outcome = simulate(depth_three, (), "asyncio", schedule)
            plan.learn(outcome.choices)
            count += outcome.error is not None
        return count

    assert found("pct:3") > 3 * found("random") + 1


@both
def test_pct_finds_the_bug_of_depth_three_on_each_backend(loop: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        testing.explore(runs=500, strategy="pct:3", backends=[loop])(depth_three)()
    assert re.search(r"alone +tests/testing/_bugs.py:\d+ +raises Asser", caught.value.__notes__[1])


@both
@pytest.mark.parametrize("kind", ["auto", "random", "dfs:2"])
@pytest.mark.parametrize("correct", CORRECT, ids=lambda correct: correct.__name__)
def test_a_correct_program_passes(correct: Main, kind: str, loop: str) -> None:
    testing.explore(runs=100, strategy=kind, backends=[loop])(correct)()


@pytest.mark.soak
@pytest.mark.time_limit(600)
@both
@pytest.mark.parametrize("correct", CORRECT, ids=lambda correct: correct.__name__)
def test_a_correct_program_passes_five_thousand_schedules(correct: Main, loop: str) -> None:
    testing.explore(runs=5000, backends=[loop])(correct)()
