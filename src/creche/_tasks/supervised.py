"""The supervisors that are open in this process, for those who look from outside.

Owns the list, and what is told of a service. Knows no supervisor: each adds itself, and is forgotten with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Task


class ServiceRecord(NamedTuple):
    """What is told of one service."""

    name: str
    state: str
    restarts: int
    last_error: BaseException | None
    task: Task | None
    """The task of its present life, None if it has none."""


class Supervisor(Protocol):
    """What looks like a supervisor from outside."""

    def _describe_services(self) -> tuple[Kernel, Task | None, list[ServiceRecord]]:
        """Return its loop, the task of its block, and its services. Called from any thread."""
        ...


open_supervisors: WeakSet[Supervisor] = WeakSet()
