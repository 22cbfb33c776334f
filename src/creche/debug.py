"""Looking into a running program.

Publishes what private modules have, and does nothing itself.
"""

from ._introspection.deadlocks import Deadlock as Deadlock
from ._introspection.deadlocks import WaitingTask as WaitingTask
from ._introspection.deadlocks import find_deadlocks as find_deadlocks
from ._wait_description import WaitDescription as WaitDescription
