"""Testing concurrent code: virtual time, replayable schedules, deadlocks by name.

Publishes what the rooms of this package have, and does nothing itself:

    run.py        one simulated run; `settle`, `virtual_time`
    schedules.py  which task steps next: the strategies. Pure
    explore.py    many runs, shrinking
    replay.py     tokens, and the run of one
    trace.py      who stepped when
    deadlock.py   nothing can run any more
    boundary.py   the doors that lead out of a run

    probes.py      is this block a checkpoint?
    sequencer.py   blocks of several tasks in one order
    cancelling.py  an operation, cancelled at each of its points
    leftovers.py   what it has left behind then
    contracts/     what a stream, a listener, a lock has to keep
"""

from .._introspection.deadlocks import WaitingTask as WaitingTask
from .._kernel.simulation import EscapedSimulationError as EscapedSimulationError
from .cancelling import CancellationReport as CancellationReport
from .cancelling import cancel_at_each_checkpoint as cancel_at_each_checkpoint
from .deadlock import DeadlockError as DeadlockError
from .explore import explore as explore
from .probes import assert_checkpoints as assert_checkpoints
from .probes import assert_no_checkpoints as assert_no_checkpoints
from .replay import ReplayDivergedError as ReplayDivergedError
from .replay import replay as replay
from .run import SpinningError as SpinningError
from .run import run as run
from .run import settle as settle
from .run import virtual_time as virtual_time
from .sequencer import Sequencer as Sequencer
