"""`Service`: one service of a supervisor, its state, and the task of its present life.

Owns what a service is (a function and how it is to be restarted) and how one life of it runs. What an
end means is decided by the supervisor.

    starting ──▸ running ──▸ finished | failed       it ended, and is not restarted
        ▴           │ ╰────▸ stopping ──▸ stopped    somebody stopped it
        │           ▾            ▾
        ╰──────── waiting ◂──────╯                   for its backoff, or for its turn

`stopped`, `finished` and `failed` are left by `restart()` only.
"""

# A service and its supervisor are one thing in two files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._kernel import current_task
from .._tasks.beginnings import checked_coroutine
from .._tasks.scope import CancelScope
from .._tasks.start import Starting
from .._tasks.stop import BARRIER
from .backoff import Delays
from .handle import FINAL, ServiceHandle, State

if TYPE_CHECKING:
    from .cycle import Cycle
    from .keeper import Keeper

Restart: TypeAlias = Literal["always", "on_failure", "never"]
ALIVE = frozenset(("starting", "running", "stopping"))


class Service(ServiceHandle):
    """What a supervisor knows of a service; to the program it is a `ServiceHandle`."""

    _scope: CancelScope | None
    """That of its present life."""

    __slots__ = (
        "_args",
        "_context",
        "_func",
        "_scope",
        "_cycle",
        "_delays",
        "_order",
        "_restart_when",
        "_since",
        "_stop_grace",
        "_wanted",
    )

    def __init__(
        self,
        supervisor: Keeper,
        func: Callable[..., Coroutine[Any, Any, object]],
        args: tuple[object, ...],
        name: str,
        restart: Restart,
        delays: Delays | None,
        stop_grace: float,
    ) -> None:
        # As `ServiceHandle.__init__`, without the call.
        self._supervisor = supervisor
        self.name = name
        self.state = "starting"
        self.restarts = 0
        self.last_error = self.start_value = self._changed = None
        self._func = func
        self._args = args
        self._restart_when = restart
        self._stop_grace = stop_grace
        self._order = 0
        """Its place among the services, by when it was started."""
        self._wanted = True
        """Whether it is to run, or to run again."""
        self._cycle: Cycle | None = None
        """The restart that it is part of."""
        self._delays = delays
        self._since = 0.0
        """When its present life has started."""
        self._context = copy_context()
        # As `_new_scope`, without the call (`supervised-start` in benchmarks).
        scope = self._scope = CancelScope()
        scope._stopping = BARRIER

    @property
    def _alive(self) -> bool:
        """Whether a task of it runs."""
        return self.state in ALIVE

    @property
    def _is_final(self) -> bool:
        """Whether it is stopped, finished or failed, and is not started again by itself."""
        return self.state in FINAL

    def _become(self, state: State) -> None:
        """Change the state, and wake whoever waits for that."""
        self.state = state
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    # ── One life ─────────────────────────────────────────────────────────────────────────────────

    def _fresh_context(self) -> Context:
        """Return a copy of the context of the call of `start()`: no life sees what one before it set."""
        return self._context.copy()

    def _new_scope(self) -> None:
        """Make the scope of the next life, which may be stopped before the task has begun."""
        scope = self._scope = CancelScope()
        scope._stopping = BARRIER  # the supervisor passes a stop on when it is this service's turn

    def _ask_to_stop(self) -> None:
        scope = self._scope
        assert scope is not None, "it is alive"
        scope.stop(f"its supervisor stops {self.name!r}", grace=self._stop_grace)

    async def _live(self, *, task_status: Starting | None = None) -> None:
        """Run one life. The first one is a part of the caller of `start()` until it has started."""
        ready = _Ready(self, task_status)
        error: BaseException | None = None
        scope = self._scope
        assert scope is not None, "made before the task"
        try:
            with scope:
                coro: Any = self._func(*self._args, task_status=ready)
                if CoroutineType is not type(coro):
                    coro = checked_coroutine(self._func, coro)
                await coro
        except BaseException as exc:
            if isinstance(exc, current_task().kernel.cancelled_class):
                if ready.known:
                    self._supervisor._ended(self, None, cancelled=True)
                raise
            if not ready.known:
                raise  # out of `start()`, bare
            error = exc
        if not ready.known:
            self._become("finished")  # It returned as the caller of `start()` was cancelled.
        else:
            if not ready.called and error is None and self.state != "stopping":
                error = RuntimeError(
                    f"the service {self.name!r} ended without calling task_status.started(): it "
                    f"has to call it once it is ready"
                )
            self._supervisor._ended(self, error, cancelled=False)


class _Ready:  # a TaskStatus; to inherit from a protocol takes time
    """The task status of one life: waiting -> started."""

    __slots__ = ("_first", "_service", "called", "known")

    def __init__(self, service: Service, first: Starting | None) -> None:
        self._service = service
        self._first = first
        self.called = False
        self.known = first is None
        """Whether the supervisor knows this life: the first one not before it has started."""

    def started(self, value: Any = None) -> None:
        service, first = self._service, self._first
        if self.called:
            raise RuntimeError(
                "called 'started' twice on the same task status: call it once, when the task is "
                "ready"
            )
        if first is not None:
            first.started(value)
            if not first._started:
                return  # the caller of start() was cancelled first
            self.known = True
            service._supervisor._keep(service)
        self.called = True
        service.start_value = value
        service._supervisor._up(service)
