"""Running blocking functions in worker threads.

Publishes what is in the private room `_workers`, and does nothing itself.
"""

from ._workers.threads import current_default_thread_limiter as current_default_thread_limiter
from ._workers.threads import run_sync as run_sync
