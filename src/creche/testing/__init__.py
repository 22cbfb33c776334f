"""Testing concurrent code: virtual time, replayable schedules, deadlocks by name.

Publishes what the modules of this package have, and does nothing itself:

    _run.py           one simulated run; `settle`, `virtual_time`
    _schedules.py     which task steps next: the strategies. Pure
    _explore.py       many runs, shrinking
    _tokens.py        one run, written down
    _replay.py        the run of a token
    _trace.py         which task stepped when
    _recorded.py      the same as a recording
    _deadlock.py      nothing can run any more
    _boundary.py      the doors that lead out of a run

    _probes.py        is this block a checkpoint?
    _sequencer.py     blocks of several tasks in one order
    _cancelling.py    an operation, cancelled at each of its points
    _leftovers.py     what it has left behind then
    contracts/        what a stream, a listener, a lock has to keep
"""

from .._introspection.deadlocks import WaitingTask as WaitingTask
from .._kernel.simulation import EscapedSimulationError as EscapedSimulationError
from ._cancelling import CancellationReport as CancellationReport
from ._cancelling import cancel_at_each_checkpoint as cancel_at_each_checkpoint
from ._deadlock import DeadlockError as DeadlockError
from ._explore import explore as explore
from ._probes import assert_checkpoints as assert_checkpoints
from ._probes import assert_no_checkpoints as assert_no_checkpoints
from ._replay import ReplayDivergedError as ReplayDivergedError
from ._replay import replay as replay
from ._run import SpinningError as SpinningError
from ._run import run as run
from ._run import settle as settle
from ._run import virtual_time as virtual_time
from ._sequencer import Sequencer as Sequencer
