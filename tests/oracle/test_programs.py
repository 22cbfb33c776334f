"""Random programs do the same on plain Trio and, through Creche, on Trio and on asyncio.

Same results, same exception trees, same scopes that caught, same virtual times, same fate of each
task, each wait and each item. Hypothesis shrinks a program that does not to a few lines; with its fix it
goes to `test_named_programs.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from _comparison import differences, outcome
from _libraries import OnCreche
from _programs import Block, Group, Hold, Receive, Send, Sleep, programs
from hypothesis import HealthCheck, Phase, find, given, seed, settings

import creche

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
QUICK = settings(max_examples=300, derandomize=True, database=None, suppress_health_check=SLOW)
THOUSAND = settings(QUICK, max_examples=1000, derandomize=False)


@QUICK
@given(programs())
def test_random_programs_do_as_on_trio(program: Block) -> None:
    found = differences(program)
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.time_limit(600)
@pytest.mark.parametrize("thousand", range(20))
def test_twenty_thousand_random_programs_do_as_on_trio(thousand: int) -> None:
    @seed(thousand)
    @THOUSAND
    @given(programs())
    def compare(program: Block) -> None:
        found = differences(program)
        assert not found, "\n".join(found)

    compare()


# That these tests can fail: libraries with one thing wrong


class Shieldless(OnCreche):
    """Its shields do not hold."""

    @staticmethod
    def scope(*, deadline: float, shield: bool = False) -> creche.CancelScope:
        return creche.CancelScope(deadline=deadline)


class Late(OnCreche):
    """Its deadlines come a little late."""

    @staticmethod
    def scope(*, deadline: float, shield: bool = False) -> creche.CancelScope:
        return creche.CancelScope(deadline=deadline + 0.001, shield=shield)


class Cruel(OnCreche):
    """Its groups cancel what is left as soon as their body has ended."""

    @staticmethod
    @asynccontextmanager
    async def group() -> AsyncIterator[Any]:
        async with creche.create_task_group() as group:
            yield group
            group.cancel_scope.cancel()


class Roomy(OnCreche):
    """Two tasks at a time can hold its locks."""

    class lock(creche.Semaphore):
        def __init__(self) -> None:
            super().__init__(2)

        def locked(self) -> bool:
            return self.value < 2


@pytest.mark.parametrize(
    "broken", [Shieldless, Late, Cruel, Roomy], ids=lambda broken: broken.__name__
)
def test_a_library_with_one_thing_wrong_is_found_out(broken: type[OnCreche]) -> None:
    def differs(program: Block) -> bool:
        return outcome("asyncio", program, broken) != outcome("asyncio", program)

    hunt = settings(QUICK, max_examples=2000, phases=(Phase.generate,))
    assert find(programs(), differs, settings=hunt)


def test_a_program_runs_to_its_end_and_says_what_it_saw() -> None:
    """So that equal outcomes are not those of programs that did nothing."""
    program: Block = [
        Group(
            [[Send("handover", 0, 8)], [Receive("handover", 0, 8)], [Hold("lock", 0, [], 1)]],
            [Sleep(3)],
        )
    ]
    for kind in ("oracle", "trio", "asyncio"):
        seen = outcome(kind, program)
        assert seen.result == "ok"
        assert 3 <= seen.end < 4
        assert set(seen.tasks.values()) == {"FINISHED"}
        came = [what for notes in seen.log.values() for (what, *_) in notes if type(what) is tuple]
        sent = (0, "Group", "child", 0, 0, "Send")
        assert sorted(came, key=repr) == [("came", sent), ("came", None), ("came", None)]
