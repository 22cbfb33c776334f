"""Running functions in worker processes.

Publishes what is in the private package `_remote`, and does nothing itself.
"""

from ._remote.processes import current_default_process_limiter as current_default_process_limiter
from ._remote.processes import run_sync as run_sync
from ._remote.worker_main import process_worker as process_worker
