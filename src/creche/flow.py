"""Flow between tasks: bounded maps, safe generators, races, broadcasts, watched values, and select.

What is often built by hand on top of task groups. None of these names is AnyIO's.
"""

from ._flow.broadcast import BroadcastReceiveStream as BroadcastReceiveStream
from ._flow.broadcast import BroadcastSendStream as BroadcastSendStream
from ._flow.broadcast import create_broadcast as create_broadcast
from ._flow.broadcast_log import BroadcastStatistics as BroadcastStatistics
from ._flow.broadcast_log import Lagged as Lagged
from ._flow.mapped import Mapped as Mapped
from ._flow.mapped import as_mapped as as_mapped
from ._flow.mapped import for_each as for_each
from ._flow.mapped import map_bounded as map_bounded
from ._flow.operations import catching as catching
from ._flow.operations import deadline_after as deadline_after
from ._flow.operations import deadline_at as deadline_at
from ._flow.outcomes import Outcome as Outcome
from ._flow.race import race as race
from ._flow.rates import RateLimiter as RateLimiter
from ._flow.rates import RateLimiterStatistics as RateLimiterStatistics
from ._flow.safe_context import SafeContextManager as SafeContextManager
from ._flow.safe_context import safe_contextmanager as safe_contextmanager
from ._flow.safe_stream import SafeStream as SafeStream
from ._flow.safe_stream import as_safe_stream as as_safe_stream
from ._flow.selecting import select as select
from ._flow.watched import Changes as Changes
from ._flow.watched import Watched as Watched
from ._sync.operation import Operation as Operation
from ._sync.operation import Waiter as Waiter
