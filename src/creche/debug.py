"""Looking into a running program.

Publishes what private rooms have, and does nothing itself.
"""

from ._deadlocks import Deadlock as Deadlock
from ._deadlocks import WaitingTask as WaitingTask
from ._deadlocks import find_deadlocks as find_deadlocks
