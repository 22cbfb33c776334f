"""The services of a loop's supervisors, and the stops whose grace was too short, as data.

Knows no supervisor: each has put itself into `_tasks/supervised.py`.
"""

# Supervisors keep to themselves what they know: it is asked for here and nowhere else.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .._tasks.errors import shortly
from .._tasks.stop import stop_reports
from .._tasks.supervised import Supervisor, open_supervisors
from .model import Service, Stop

if TYPE_CHECKING:
    from .._kernel.contract import Kernel


def services(kernel: Kernel, number_of: Callable[[object], int | None]) -> Iterator[Service]:
    """Yield the services of a loop; `number_of` gives the number of a task."""
    for supervisor in _supervisors():
        where, host, records = supervisor._describe_services()
        if where is not kernel:
            continue
        for record in records:
            error = record.last_error
            yield Service(
                record.name,
                record.state,
                record.restarts,
                None if error is None else shortly(error).partition("\n")[0],
                number_of(host),
                number_of(record.task),
            )


def stops() -> Iterator[Stop]:
    for report in stop_reports():
        overran = tuple(f"{name!r} at {place}" for name, place in report.overran)
        yield Stop(report.reason, report.grace, report.tasks, overran)


def _supervisors() -> list[Supervisor]:
    """Return the open supervisors, which other threads may open and leave meanwhile."""
    for _ in range(100):
        try:
            return list(open_supervisors)
        except RuntimeError:  # it changed its size
            time.sleep(0)
    return []
