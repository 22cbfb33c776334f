"""Testing concurrent code: virtual time, replayable schedules, deadlocks by name.

Publishes what the rooms of this package have, and does nothing itself:

    run.py        one simulated run; `settle`, `virtual_time`
    schedules.py  which task steps next: the strategies. Pure
    explore.py    many runs, shrinking
    replay.py     tokens, and the run of one
    trace.py      who stepped when
    deadlock.py   nothing can run any more
    boundary.py   the doors that lead out of a run
"""

from .._deadlocks import WaitingTask as WaitingTask
from .._kernel.simulation import EscapedSimulationError as EscapedSimulationError
from .deadlock import DeadlockError as DeadlockError
from .explore import explore as explore
from .replay import ReplayDivergedError as ReplayDivergedError
from .replay import replay as replay
from .run import SpinningError as SpinningError
from .run import run as run
from .run import settle as settle
from .run import virtual_time as virtual_time
