"""Running functions in worker processes.

Publishes what is in the private room `_workers`, and does nothing itself.
"""

from ._workers.processes import current_default_process_limiter as current_default_process_limiter
from ._workers.processes import run_sync as run_sync
from ._workers.worker_main import process_worker as process_worker
