"""Leaves out the tests that need IPv6 where the machine has none, as missing backends are.

A test that speaks IPv6 is marked with `_ends.needs_ipv6`; one that is run for each family gets its
hosts from `_ends.LOOPBACKS`.
"""

from __future__ import annotations

import pytest
from _ends import HAS_IPV6


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unwanted = [] if HAS_IPV6 else [item for item in items if item.get_closest_marker("ipv6")]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]
