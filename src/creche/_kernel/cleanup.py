"""Clean-up that has time: what `cleanup=` means, on every loop.

Trio's rule is that a cancelled task is interrupted at each of its awaits, also while it cleans up.
Where `cleanup=` says so, a task is let be for some seconds after it was interrupted once:

1. A scope has the clean-up time that was given to it, else that of the scope around it, else none.
2. When a cancellation is first raised in a task, a `CleanupShield` is put inside all scopes that
   the task is in then. What the task enters from there on is inside the shield, and works as ever.
3. The shield holds until the first end among the cancelled scopes around it: for each the moment of
   the raise, or of its own cancel if that is later, plus its clean-up time. So a scope without any,
   when it is cancelled, ends each clean-up inside it at once, and an outer one may be stricter than an
   inner one, never more generous.
4. Then the cancellation is level-triggered again. No second shield is put inside one that is over.
5. A task that leaves a scope takes the shield along, as long as a cancellation passes with it.

        none --first raise--> holding --its end--> over
          `------- the task leaves the cancelled scopes ------'

Owns these rules, and the chain of scopes that they are read from. When a cancellation is raised, and
what makes a shield hold, is each kernel's.

Nothing here runs in a process that never gives a scope any clean-up time: a kernel looks at `used`, and
only where it cancels.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from math import inf
from typing import Any

from .contract import Kernel, Task
from .scope import Scope, around

used = False
"""Whether this process has ever given a scope any clean-up time."""


class Terms:
    """What is known of a scope's clean-up time."""

    __slots__ = ("given", "since", "time")

    def __init__(self) -> None:
        self.given: float | None = None
        """Seconds that were given to the scope itself."""
        self.time: float | None = None
        """Seconds that it has, once somebody has asked."""
        self.since = -inf
        """When it was cancelled, if it was cancelled after it was entered."""


class CleanupShield(Scope):
    """A shield around what a task does from its first interruption on."""

    __slots__ = ("start", "sure", "until")
    _floats = True

    def __init__(self, task: Task, inside: Scope | None, start: float) -> None:
        super().__init__(inf, True)
        self._entered = "lost"  # Whoever looks for the innermost scope passes over it.
        self._host = task
        self._parent = inside
        self.start = start
        self.until = inf
        """When it ends, also once it is over."""
        self.sure = False
        """Whether its task was interrupted, so that its time has begun."""
        if inside is not None and hasattr(inside, "_code"):
            self._code, self._instruction = inside._code, inside._instruction

    def hold(self, until: float) -> None:
        self.until = self._deadline = until
        self.sure = True

    def _moved(self) -> None:
        if self.sure and self._host is not None:
            renew(self, self._host.kernel)


class Cleanups:
    """The clean-ups that go on in one loop."""

    __slots__ = ("latest", "shields")

    def __init__(self) -> None:
        self.shields: dict[CleanupShield, None] = {}
        """In the order in which they began, so outer ones first."""
        self.latest = -inf
        """No one of them ends later."""

    def add(self, shield: CleanupShield) -> None:
        self.shields[shield] = None
        self.latest = max(self.latest, shield.until)

    def discard(self, shield: CleanupShield) -> None:
        self.shields.pop(shield, None)
        if not self.shields:
            self.latest = -inf


def checked(seconds: Any) -> float:
    """Return clean-up seconds that were given to a function.

    :raises TypeError: it is not a number
    :raises ValueError: it is negative or NaN
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(
            f"cleanup must be a number of seconds, not {type(seconds).__name__} {seconds!r}: give "
            f"the time that clean-up may take, or leave it out"
        )
    if not seconds >= 0:
        raise ValueError(f"cleanup must be 0 or more seconds, not {seconds!r}")
    return float(seconds)


def give(scope: Scope, seconds: float) -> None:
    """Give a scope its own clean-up time, before it is entered."""
    global used  # noqa: PLW0603  # set once for the process
    _terms(scope).given = checked(seconds)
    used = used or seconds > 0


def given(scope: Scope) -> float | None:
    """Return the clean-up time that was given to a scope itself."""
    terms: Terms | None = getattr(scope, "_terms", None)
    return None if terms is None else terms.given


def time_of(scope: Scope) -> float:
    """Return the clean-up time of a scope. What is between it and whoever gives it, is told as well."""
    asked: list[Terms] = []
    link: Scope | None = scope
    time = 0.0
    while link is not None:
        terms = _terms(link)
        known = terms.given if terms.time is None else terms.time
        if known is not None:
            time = known
            break
        asked.append(terms)
        link = around(link)
    for terms in asked:
        terms.time = time
    return time


def end_of(link: Scope | None, start: float) -> float:
    """Return when a clean-up inside `link` has to end that began at `start`."""
    end = inf
    while link is not None:
        if isinstance(link, CleanupShield):
            return min(end, link.until)
        since = _terms(link).since if link._cancelled else link._deadline
        if since < inf:
            end = min(end, max(start, since) + time_of(link))
        if link._shield:
            break
        link = around(link)
    return end


def changed(scope: Scope) -> None:
    """Hear of an entered scope that was cancelled, or whose deadline moved: clean-ups may end sooner."""
    host = scope._host
    if host is None or scope._floats:
        return
    kernel = host.kernel
    now = kernel.now()
    if scope._cancelled:
        note_cancelled(scope, now)
    cleanups = kernel.cleanups
    # Most often it gives as much time as those around it: then none of them ends sooner.
    if not cleanups.shields or (scope._cancelled and now + time_of(scope) >= cleanups.latest):
        return
    for shield in list(cleanups.shields):
        if shield.sure and _is_inside(shield, scope):
            renew(shield, kernel)


def note_cancelled(scope: Scope, now: float) -> None:
    """Note when an entered scope was cancelled, which its kernel sees `now`, or maybe has seen before."""
    scope._cancelled = True
    terms = _terms(scope)
    if terms.since == -inf:
        terms.since = min(now, scope._deadline)  # Its kernel may not have looked at the clock yet.


def renew(shield: CleanupShield, kernel: Kernel) -> None:
    """Work out anew when a clean-up has to end, and have the kernel carry that out."""
    until = end_of(around(shield), shield.start)
    if until != shield.until and shield._shield:
        shield.hold(until)
        kernel.cleanups.add(shield)
        kernel.update_scope(shield)


def _terms(scope: Scope) -> Terms:
    terms: Terms | None = getattr(scope, "_terms", None)
    if terms is None:
        terms = scope._terms = Terms()
    return terms


def _is_inside(shield: Scope, scope: Scope) -> bool:
    link: Scope | None = shield
    while link is not None and link is not scope:
        link = around(link)
    return link is scope
