"""The errors of `creche.cluster`.

Owns the classes and what each of them tells; who raises them, and when, is in `call.py` and `cluster.py`.
"""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster could not do what was asked. The base of the errors below."""


class ClusterLost(ClusterError):
    """The connection to the cluster is gone, with all calls that were running.

    What ran is ended by the workers, which see the same. A new call needs a new cluster.
    """


class RemoteWorkerLost(ClusterError):
    """The worker, or the process that made the call, ended before the call did.

    The function has begun, perhaps, and is not run again unless `retries=` says so.
    """

    worker: str | None
    """The address of the worker, None if it is not known."""
    host: str | None
    """The name of the machine."""
    exit_code: int | None
    """The exit code of the process that made the call, negative for a signal; None if the worker itself
    is lost."""

    def __init__(
        self,
        message: str,
        worker: str | None = None,
        host: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message, worker, host, exit_code)
        self.worker = worker
        self.host = host
        self.exit_code = exit_code

    def __str__(self) -> str:
        return str(self.args[0])


class WorkerUnreachable(RemoteWorkerLost):
    """The worker was silent for too long, so nobody knows whether the function has ended.

    Also raised in place of a cancellation: the call was to be ended, and that could not be confirmed
    in time. A worker that is alive without a connection ends the call by itself, after `ttl`.
    """


class PayloadError(ClusterError):
    """A function, an argument, a result or an error cannot be sent, since it cannot be pickled."""


class IncompatibleWorker(ClusterError):
    """A function that travels by value cannot run on the Python that the worker has."""
