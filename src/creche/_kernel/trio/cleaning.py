"""Clean-ups that have time, on Trio: when one begins, and what holds it.

The rules are in `_kernel/cleanup.py`. Trio tells nobody that it raises a cancellation. So from the first
scope on that is entered with `cleanup=`, an instrument looks at each step before it is taken. If it
begins with a cancellation, and there is time for a clean-up, a shielded Trio scope is put around all that the task
does inside its innermost scope of ours. Its deadline cancels it, which is when the time is over.

* A cancelled scope that Trio's own code has entered gives no time: it knows nothing of clean-ups. The one that
  Trio's checkpoints enter to be cancelled is not meant.
* Trio wants its scopes left in order, so the shield is taken out before a scope of ours is left, and put
  back inside the next one.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import trio

from ..cleanup import CleanupShield, changed, end_of, given, note_cancelled
from ..scope import Scope
from ..scope import around as outside_of
from . import private
from .tasks import Task, states

if TYPE_CHECKING:
    from .introspection import RunKernel


class Interruptions(trio.abc.Instrument):
    """Sees each cancellation that is raised in a task of a run."""

    def __init__(self, kernel: RunKernel) -> None:
        self._kernel = kernel

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if isinstance(private.raised_in(task), trio.Cancelled):
            begin(task, self._kernel)


def watch(scope: Scope, kernel: RunKernel) -> None:
    """Hear of a scope that is entered: from the first with clean-up time on, steps are looked at."""
    if not kernel.watches_steps and given(scope):
        kernel.watches_steps = True
        trio.lowlevel.add_instrument(Interruptions(kernel))


def begin(native: trio.lowlevel.Task, kernel: RunKernel) -> None:
    """Shield what a task does after the cancellation that is raised in it now, if it has time."""
    state = states.get(id(native))
    inside = state.scope if state is not None else None
    now = kernel.now()
    if state is None:
        state = Task(native, kernel)
    around = inside if inside is not None else state.enclosing_scope()
    cancelled = private.cancelled_natives(native)
    if not cancelled:
        return
    checkpoint = None
    for each in cancelled:
        ours = _ours(each, around)
        if ours is not None:
            # Trio has looked at the clock, or has passed the cancellation on to a nursery's scope.
            if not ours._cancelled and not ours._floats:
                note_cancelled(ours, now)
        elif each is cancelled[0] and each.deadline == -inf:
            checkpoint = each
        else:
            return
    until = end_of(around, now)
    if until <= now:
        return
    states[id(native)] = state
    if checkpoint is not None:
        private.let_out(checkpoint)
    shield = CleanupShield(state, inside, now)
    state.scope = shield
    shield.hold(until)
    put(shield, state)


def hang_around(native: trio.lowlevel.Task, around: trio.CancelScope, kernel: RunKernel) -> None:
    """Hear that one child of a group is about to be cancelled, by a scope around all that it does."""
    state = states.get(id(native))
    if state is None:
        state = states[id(native)] = Task(native, kernel)
    own = Scope()
    own._host, own._native, own._cancelled = state, around, True
    if state.scope is None:
        state.scope = own
    else:
        link = state.scope
        while link._parent is not None:
            link = link._parent
        link._parent = own
    state.stack.insert(0, own)
    changed(own)


def put(shield: CleanupShield, state: Task) -> None:
    """Make a shield hold, inside the innermost scope of ours."""
    native: Any = state.native
    around = state.stack[-1]._native if state.stack else native.parent_nursery
    shield._native = held = trio.CancelScope(shield=True)
    private.put_scope_inside(native, around, held)
    held.deadline = shield.until
    if shield.until <= state.kernel.now():
        held.cancel()
    state.kernel.cleanups.add(shield)


def take(state: Task, leaving: Scope | None = None) -> CleanupShield | None:
    """Take out the shield that is innermost in a task, before it leaves a scope; return it.

    :param leaving: a scope that is off the chain already, whose shields have moved outwards
    """
    shield = state.scope
    if not isinstance(shield, CleanupShield) or shield._host is not state:
        return None
    if leaving is not None and shield is leaving._parent:  # It is around the scope.
        return None
    shield._native.deadline = inf
    private.take_off(shield._native)
    return shield


def put_back(shield: CleanupShield | None, state: Task, *, goes_on: bool) -> None:
    """Put a shield inside the next scope; or drop it, where no cancellation goes on out there."""
    if shield is None or state.scope is not shield:
        return
    outside = shield._parent
    native = state.native
    state.kernel.cleanups.discard(shield)
    nested = outside is not None and outside._floats
    if goes_on and not nested and native is not None and private.is_cancelled(native):
        around = outside if outside is not None else state.enclosing_scope()
        shield.hold(end_of(around, shield.start))
        put(shield, state)
        return
    state.scope = outside
    shield._host = None


def forget(state: Task) -> None:
    """Drop what an ended task has left."""
    while True:
        shield = take(state)
        if shield is None:
            return
        put_back(shield, state, goes_on=False)


def _ours(native: trio.CancelScope, link: Scope | None) -> Scope | None:
    """Return the scope of ours that a Trio scope belongs to, `link` or one around it."""
    while link is not None and link._native is not native:
        link = outside_of(link)
    return link
