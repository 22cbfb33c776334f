"""Clusters for the tests, and a census after each of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from _machines import Machines
from _watching import SESSION, left_behind

os.environ[SESSION] = str(os.getpid())


@pytest.fixture(autouse=True)
def census() -> Iterator[None]:
    """No fork server and no child outlives the test that it was for."""
    before = {process.pid for process in left_behind()}
    yield
    end = time.monotonic() + 5
    while left := [process for process in left_behind() if process.pid not in before]:
        if time.monotonic() > end:
            pytest.fail(f"processes left: {left}")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A scheduler and two workers with nannies, for tests that break nothing."""
    with Machines() as made:
        made.worker("--nworkers", "2", nanny=True)
        yield made


@pytest.fixture(scope="session")
def one_slot_elsewhere() -> Iterator[Machines]:
    """A scheduler and a worker with one slot, for tests that break no more than their child."""
    with Machines() as made:
        made.worker(slots=1)
        yield made


@pytest.fixture(params=["embedded", pytest.param("elsewhere", marks=pytest.mark.soak)])
def one_slot(request: pytest.FixtureRequest) -> Machines | None:
    """One slot: in this process, which is None, and on a worker of its own."""
    if request.param == "embedded":
        return None
    made: Machines = request.getfixturevalue("one_slot_elsewhere")
    return made
