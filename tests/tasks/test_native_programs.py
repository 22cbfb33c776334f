"""Random programs that mix Creche's scopes, groups and streams with asyncio's own, in virtual time.

What must hold for each of them is told in ``_native_programs.py``. A program that breaks it becomes a
named test in ``test_native_exact.py`` with its fix.
"""

from __future__ import annotations

import pytest
from _native_programs import faults_of

PART = 250


@pytest.mark.parametrize("part", range(5000 // PART))
def test_native_cancels_stay_exact_in_random_programs(part: int) -> None:
    for seed in range(part * PART, (part + 1) * PART):
        faults = faults_of(seed)
        assert not faults, f"seed {seed}: " + "; ".join(faults)


@pytest.mark.soak
@pytest.mark.time_limit(600)
@pytest.mark.parametrize("part", range(10))
def test_native_cancels_stay_exact_in_fifty_thousand_random_programs(part: int) -> None:
    for seed in range(5000 * (part + 1), 5000 * (part + 2)):
        faults = faults_of(seed)
        assert not faults, f"seed {seed}: " + "; ".join(faults)
