"""Running blocking functions in worker threads.

Publishes what is in the private package `_threads`, and does nothing itself.
"""

from ._threads.calls import current_default_thread_limiter as current_default_thread_limiter
from ._threads.calls import run_sync as run_sync
