"""What the tests of insight have in common: no test sees what another has left for a snapshot."""

from __future__ import annotations

import pytest

from creche._tasks import stop


@pytest.fixture(autouse=True)
def no_older_stops() -> None:
    """Forget the stops of earlier tests whose grace was too short: snapshots show the last of them."""
    stop._reports.clear()
