"""Random programs do the same on plain Trio and, through Creche, on Trio and on asyncio.

Same results, same exception trees, same scopes that caught, same virtual times.
"""

from __future__ import annotations

import pytest
from _random_programs import differences


@pytest.mark.parametrize("hundred", range(4))
def test_random_programs_do_as_on_trio(hundred: int) -> None:
    found = [
        text for seed in range(hundred * 100, hundred * 100 + 100) for text in differences(seed)
    ]
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.time_limit(3600)
@pytest.mark.parametrize("thousand", range(1, 21))
def test_twenty_thousand_random_programs_do_as_on_trio(thousand: int) -> None:
    found = [
        text
        for seed in range(thousand * 1000, thousand * 1000 + 1000)
        for text in differences(seed)
    ]
    assert not found, "\n".join(found)
