"""Running functions in subinterpreters, on Python 3.13 and later.

Publishes what is in the private package `_remote`, and does nothing itself.
"""

from ._remote.interpreters import (
    current_default_interpreter_limiter as current_default_interpreter_limiter,
)
from ._remote.interpreters import run_sync as run_sync
