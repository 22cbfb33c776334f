"""Random programs whose scopes give time for clean-ups do the same on both kernels.

Trio has no such thing, so that the two kernels, which hold a clean-up in quite different ways, are compared
with each other. Without any time given they do as on Trio, also in a process that has given some.
"""

from __future__ import annotations

import pytest
from _comparison import differences, disagreement, outcome
from _programs import Block, Finally, Scope, Sleep, cleanups, programs
from hypothesis import HealthCheck, given, seed, settings

from creche._kernel import cleanup

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
QUICK = settings(
    max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=SLOW
)


@settings(QUICK, max_examples=200)
@given(cleanups())
def test_random_programs_with_time_for_clean_ups_do_the_same_on_both_kernels(
    program: Block,
) -> None:
    found = disagreement(program)
    assert not found, found


@pytest.mark.soak
@pytest.mark.time_limit(600)
@pytest.mark.parametrize("thousand", range(3))
def test_thousands_of_programs_with_time_for_clean_ups_do_the_same_on_both_kernels(
    thousand: int,
) -> None:
    @seed(thousand)
    @settings(QUICK, max_examples=1000, derandomize=False)
    @given(cleanups())
    def compare(program: Block) -> None:
        found = disagreement(program)
        assert not found, found

    compare()


@QUICK
@given(programs())
def test_programs_without_any_do_as_on_trio_where_others_have_some(program: Block) -> None:
    before, cleanup.used = cleanup.used, True
    try:
        found = differences(program)
    finally:
        cleanup.used = before
    assert not found, "\n".join(found)


def test_a_program_of_these_has_its_clean_ups_let_be() -> None:
    """So that equal outcomes are not those of programs that have no clean-up."""
    program: Block = [Scope(1, False, [Finally([Sleep(20)], [Sleep(1)])], 3)]
    for kind in ("trio", "asyncio"):
        seen = outcome(kind, program)
        where = (0, "Scope", 0, "Finally", "finally", 0, "Sleep")
        assert [what for what, _ in seen.log[where]] == ["slept"]
