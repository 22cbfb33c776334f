"""The leases of a worker, with children that are made up: what the fork server is told, and when."""

from __future__ import annotations

from typing import Any

import pytest

from creche._cluster.remote.leases import Leases


class Children:
    """See `creche._cluster.remote.children.Children`."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def renew(self, seconds: float) -> None:
        self.told.append(seconds)

    def end_idle(self, limit: float = 60) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def children() -> Children:
    return Children()


def test_the_fork_server_knows_the_ttl_before_anything_can_be_granted(children: Children) -> None:
    sent: list[Any] = []
    leases = Leases(lambda *message: sent.append(message), children)  # type: ignore[arg-type]
    try:
        leases.heard("a caller", ["alive", 2.0])
        assert children.told[-1:] == [2.0]
        assert sent == [("a caller", ["alive"])]
        leases.heard("a caller in a hurry", ["alive", 1.0])
        assert children.told[-1] == 1.0
        leases.caller_lost("a caller in a hurry")
        leases.heard("a caller", ["alive", 2.0])
        assert children.told[-1] == 2.0
    finally:
        leases.close()
