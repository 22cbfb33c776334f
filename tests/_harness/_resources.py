"""What one task at a time may hold: tests that say the same of each are parametrised with these."""

from __future__ import annotations

import pytest

from creche import CapacityLimiter, Condition, Lock, Semaphore

Resource = Lock | Semaphore | CapacityLimiter | Condition


def lock() -> Resource:
    return Lock()


def semaphore() -> Resource:
    return Semaphore(1)


def limiter() -> Resource:
    return CapacityLimiter(1)


def condition() -> Resource:
    return Condition()


each_resource = pytest.mark.parametrize("make", [lock, semaphore, limiter, condition])


def assert_free(resource: Resource) -> None:
    """Nobody holds it, and whoever comes gets it at once."""
    resource.acquire_nowait()
    resource.release()
