"""The fence: what may start, and when a call has ended. Decides purely; knows no engine and no loop.

Owns the state of one attempt at a call. A call with `retries=` is several attempts, each with a lease of
its own.

An attempt:

    placed --unplaced--> ended (lost)
    placed --asked--> granted --answered--> ended
       |                 |`--lost, its worker left or is silent--> ended (lost)
       |                 `--cancel--> stopping --answered--> ended
       |                                 `--lost, silent, or time is up--> ended (lost)
       `--cancel--> withdrawn

Rules
-----
* `granted` is entered once, and only from `placed`. So a lease that an engine runs again, or runs late, is
  refused: a call starts at most once (`tests/explored/test_cluster_fence.py`).
* What was withdrawn has never started, whatever is on its way: to start it would take a grant.
* An attempt that was granted ends by an answer to that very offer, or by a loss. Nothing else counts.
"""

from __future__ import annotations

from enum import Enum

from .contract import Answer


class State(Enum):
    """Where an attempt is; the values are what people are shown."""

    PLACED = "waiting for a slot"
    GRANTED = "running"
    STOPPING = "being stopped"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


class Verdict(Enum):
    """What is to be done about an event."""

    NOTHING = "nothing"
    GRANT = "grant"
    REFUSE = "refuse"
    STOP = "stop"
    FORGET = "forget"
    WAKE = "wake"


class Attempt:
    """One attempt at a call."""

    __slots__ = ("answer", "loss", "offer", "state", "worker")

    def __init__(self) -> None:
        self.state = State.PLACED
        self.offer: str | None = None
        self.worker: str | None = None
        self.answer: Answer | None = None
        self.loss: Exception | None = None

    def asked(self, offer: str, worker: str) -> Verdict:
        """Decide on a lease that asks."""
        if self.state is not State.PLACED:
            return Verdict.REFUSE
        self.state = State.GRANTED
        self.offer = offer
        self.worker = worker
        return Verdict.GRANT

    def answered(self, offer: str, answer: Answer) -> Verdict:
        """Take the answer to the offer that was granted."""
        if not self.running or offer != self.offer:
            return Verdict.NOTHING
        self.state = State.ENDED
        self.answer = answer
        return Verdict.WAKE

    def lost(self, loss: Exception) -> Verdict:
        """End an attempt that was granted, and of which nothing more will be heard."""
        if not self.running:
            return Verdict.NOTHING
        return self.fail(loss)

    def unplaced(self, loss: Exception) -> Verdict:
        """End an attempt that will never ask. One that was granted needs its lease no more."""
        if self.state is not State.PLACED:
            return Verdict.NOTHING
        return self.fail(loss)

    def fail(self, loss: Exception) -> Verdict:
        """End an attempt that cannot go on, granted or not."""
        if self.over:
            return Verdict.NOTHING
        self.state = State.ENDED
        self.loss = loss
        return Verdict.WAKE

    def cancel(self) -> Verdict:
        """Decide what a cancelled caller has to do."""
        if self.state is State.PLACED:
            self.state = State.WITHDRAWN
            return Verdict.FORGET
        if self.state is State.GRANTED:
            self.state = State.STOPPING
            return Verdict.STOP
        return Verdict.NOTHING

    @property
    def running(self) -> bool:
        """Whether the function may be running."""
        return self.state is State.GRANTED or self.state is State.STOPPING

    @property
    def over(self) -> bool:
        """Whether nothing can come of it any more."""
        return self.state is State.ENDED or self.state is State.WITHDRAWN
