"""Running functions on executors: process pools, and what other packages make in their image.

Publishes what is in the private package `_remote`, and does nothing itself.
"""

from ._remote.executors import run_sync as run_sync
