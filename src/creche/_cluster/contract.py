"""The engine contract: all that Creche asks of what places calls on machines, and its rules.

An engine knows where there is a free slot, and carries messages. It decides nothing about a call: what may
start, and when it has ended, is for `call.py`. Dask's is in `dask/`; the tests have one that runs in
simulated time; another one would be one more package beside them.

The rules
---------
Verbs       place, grant, stop, refuse, forget. They never block and never raise; what comes of them arrives
            at the `Listener`, in the caller's event loop, outside all tasks.
Placing     A placed lease asks (`asked`) when it has a slot somewhere, under a new offer each time. An
            engine may let a lease ask any number of times, in several places, also long after it was
            forgotten. It carries no code: nothing runs until `grant`.
Granting    An engine delivers a grant to the place that has asked under this offer, or never. It delivers
            it at most once, and the place runs it at most once.
Ending      `answered` comes at most once for an offer, after the function has ended and its process group
            is reaped. If it can never come, `worker_left` does, or `silent`, or `cluster_lost`.
Silence     `silent` says that a worker was not heard of for the ttl; it may be alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a call may run, and how.

    - workers: addresses or names of workers, as `cluster.workers` lists them; empty for any
    - resources: what the worker must have to spare, as its command line named it: `{"GPU": 1}`
    - priority: calls with a higher one are placed first
    - threads: run the function in a thread of the worker itself instead of a child process. That is
      faster; but it cannot be killed. The call ends when the function returns, or asks
      `from_thread.check_cancelled()`
    """

    workers: Sequence[str] = ()
    resources: Mapping[str, float] = field(default_factory=dict[str, float])
    priority: int = 0
    threads: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.workers, str):
            raise TypeError(
                f"workers must be a list of addresses or names: write [{self.workers!r}]"
            )


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker of a cluster.

    - address: unique in the cluster
    - name: as it was started
    - host: the name of its machine
    - python: the version it runs, as in `(3, 13, 0)`
    - slots: how many calls it makes at a time
    """

    address: str
    name: str
    host: str
    python: tuple[int, ...]
    slots: int


class Options(NamedTuple):
    """How a granted call is made."""

    remaining: float
    """Seconds until the caller's deadline, inf if it has none."""
    backend: str
    """The event loop for an async function, empty for a plain one."""
    threads: bool
    reuse: bool
    output: bool
    """Whether what it prints and logs is wanted."""


class Answer(NamedTuple):
    """What came of a call: a kind (`remote/perform.py`, `remote/leases.py`) and bytes."""

    kind: bytes
    data: bytes
    exit_code: int | None = None


class Listener(Protocol):
    """Who hears what happens. Called in the caller's event loop; must not raise or block."""

    def asked(self, lease: str, offer: str, worker: str) -> None:
        """A lease has a slot, and asks whether to run."""
        ...

    def answered(self, lease: str, offer: str, answer: Answer) -> None:
        """A granted call has ended, and nothing is left of it."""
        ...

    def lost(self, lease: str, reason: str) -> None:
        """The engine has given up a lease: it will not ask any more. What was granted goes on."""
        ...

    def worker_came(self, worker: WorkerInfo) -> None: ...

    def worker_left(self, address: str) -> None:
        """A worker's connection is gone. What it ran for us it ends, if it is alive."""
        ...

    def silent(self, address: str) -> None:
        """A worker was not heard of for the ttl."""
        ...

    def cluster_lost(self, reason: str) -> None:
        """The engine has lost the cluster. Nothing else comes after this."""
        ...

    def printed(self, lease: str, data: bytes) -> None:
        """A call has printed something."""
        ...

    def logged(self, lease: str, data: bytes) -> None:
        """A call has logged something: a pickle of plain values (`remote/child_logs.py`)."""
        ...


class Engine(Protocol):
    """What places calls on machines."""

    async def open(self, listener: Listener) -> None:
        """Connect. Returns when `listener` has heard of the workers that are there."""
        ...

    async def close(self) -> None:
        """Disconnect, and leave nothing. Not interrupted by a cancellation. May be called twice."""
        ...

    def place(self, lease: str, name: str, placement: Placement) -> None:
        """Have `lease` ask for its call from wherever a slot is free. `name` is shown to people."""
        ...

    def grant(self, lease: str, offer: str, options: Options, data: bytes) -> None:
        """Run the call in `data` where the offer came from."""
        ...

    def stop(self, lease: str, offer: str, grace: tuple[float, float]) -> None:
        """End a granted call: ask, after the first grace terminate, after the second kill."""
        ...

    def refuse(self, lease: str, offer: str) -> None:
        """Turn down an offer: its slot is free for others."""
        ...

    def forget(self, lease: str) -> None:
        """Withdraw a lease that was not granted, or let go of one that has ended."""
        ...
