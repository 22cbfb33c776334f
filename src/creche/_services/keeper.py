"""`Keeper`: the inside of a supervisor: which services there are, and what the end of one means.

After each change `_step` looks at the states and does what can be done. Nothing here waits, and each method
returns at once. The block, and what a program may call, are `Supervisor`'s.

An end of a service that nobody asked for:

    restart=       it returned        it raised            it was cancelled
    ----------     ---------------    -----------------    ----------------
    "always"       starts again       starts again         stopped
    "on_failure"   finished           starts again         stopped
    "never"        finished           failed, reported     stopped
"""

# A supervisor and its services are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from .._exceptions import ClosedResourceError
from .._kernel import current_kernel, current_task
from .._loop.time import sleep
from .._sync.event import Event
from .._tasks import stop as _stop
from .._tasks.info import TaskInfo
from .._tasks.scope import CancelScope
from .._tasks.supervised import ServiceRecord
from .._wait_description import WaitDescription
from .backoff import Intensity
from .cycle import Cycle
from .enclosure import Enclosure
from .handle import ServiceHandle
from .service import Service

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
OnError: TypeAlias = Callable[[ServiceHandle, BaseException], object]

LAST_ERRORS = 10
"""As many of the last errors are kept."""


class RestartsExhausted(Exception):
    """Services failed more often than their supervisor restarts them; the last error is the cause."""

    def __init__(self, message: str, errors: Iterable[BaseException] = ()) -> None:
        super().__init__(message)
        self.errors: tuple[BaseException, ...] = tuple(errors)
        """The last errors of the services, the latest one last."""


class Keeper:
    """What a supervisor knows of its services."""

    __slots__ = (
        "__weakref__",
        "_all_down",
        "_body_left",
        "_closing",
        "_cycles",
        "_enclosure",
        "_errors",
        "_intensity",
        "_number",
        "_on_error",
        "_services",
        "_strategy",
    )

    def __init__(self, strategy: Strategy, intensity: Intensity, on_error: OnError | None) -> None:
        self._strategy = strategy
        self._intensity = intensity
        self._on_error = on_error
        self._enclosure: Enclosure | None = None
        self._services: dict[Service, None] = {}
        """Those that have not ended for good."""
        self._number = 0
        """That of the last service that was started."""
        self._cycles: dict[Cycle, None] = {}
        self._errors: deque[BaseException] = deque(maxlen=LAST_ERRORS)
        self._all_down = Event()
        self._body_left = self._closing = False

    # ── What happens to services ─────────────────────────────────────────────────────────────────

    def _up(self, service: Service) -> None:
        """Hear from a service that it has started."""
        if service._delays is not None:
            service._since = self._open().kernel.now()
        if service.state == "starting":
            service.state = "running"
            if service._changed is not None:
                service._become("running")
        if self._cycles or self._closing:
            self._step()

    def _ended(self, service: Service, error: BaseException | None, *, cancelled: bool) -> None:
        """Hear from a service that its task does its last step."""
        before = service.state
        service._scope = None
        if error is not None:
            service.last_error = error
        cycle = service._cycle
        expected = before == "stopping" or (cycle is not None and cycle.holds(service))
        done = error is None and before != "stopping" and service._restart_when != "always"
        if self._closing or (cancelled and not expected) or (expected and not done):
            returns = expected and service._wanted and service._cycle is not None
            self._rest(service, "waiting" if returns and not self._closing else "stopped")
            if error is not None:
                self._report(service, error, "while it was being stopped")
        elif done or service._restart_when == "never":
            self._rest(service, "finished" if error is None else "failed")
            if error is not None:
                self._report(service, error, "and is not restarted")
        else:
            self._failed(service, error)
        if self._cycles or self._closing or self._body_left:
            self._step()

    def _keep(self, service: Service) -> None:
        """Put a service behind those that were started before it."""
        service._order = self._number = self._number + 1
        self._services[service] = None

    def _rest(self, service: Service, state: Any) -> None:
        """Note that a service is down; for good, or until its turn comes."""
        if state != "waiting":
            service._wanted = False
            if service._cycle is not None:
                service._cycle.drop(service)
                service._cycle = None
            self._services.pop(service, None)
        service.state = state
        if service._changed is not None:
            service._become(state)

    def _failed(self, service: Service, error: BaseException | None) -> None:
        """A service has to be started again, if there were not too many restarts."""
        now = current_kernel().now()
        if error is not None:
            self._errors.append(error)
        service._become("waiting")
        if self._intensity.too_many(now):
            self._exhausted(service, error)
            return
        service.restarts += 1
        try:
            pause = self._pause_before(service, now)
        except Exception as exc:
            self._give_up(exc)
            return
        if error is not None:
            self._report(service, error, f"and is restarted in {pause:g} s")
        self._begin_cycle(service, pause)

    def _pause_before(self, service: Service, now: float) -> float:
        """Return how long to wait before a service is started again, in seconds."""
        delays = service._delays
        if delays is None:
            return 0.0
        if now - service._since > self._intensity.within:
            delays.begin_again()
        return delays.next()

    def _begin_cycle(self, service: Service, pause: float) -> None:
        affected = [service]
        cycle = service._cycle
        if self._strategy != "one_for_one":
            affected = [
                other
                for other in self._services
                if self._strategy == "one_for_all" or other._order >= service._order
            ]
            for other in affected:
                if other._restart_when == "never":
                    other._wanted = False
            for running in list(self._cycles):  # one at a time: they would stop each other's
                if running is not cycle:
                    affected += running.dissolve()
                    del self._cycles[running]
        if cycle is None or cycle not in self._cycles:
            cycle = Cycle(self)
        self._cycles[cycle] = None
        cycle.begin(affected, pause)

    def _step(self) -> None:
        """Do what can be done now, after anything has changed."""
        if self._closing:
            self._step_closing()
        else:
            for cycle in list(self._cycles):
                if cycle in self._cycles:
                    cycle.step()
        if self._body_left and not self._services:
            self._closing = True  # The block is on its way out: nothing may start any more.
            self._all_down.set()

    # What a cycle has done for it:

    def _begin_stop(self, service: Service) -> None:
        service._become("stopping")
        service._ask_to_stop()

    def _begin_start(self, service: Service) -> None:
        service._become("starting")
        service._new_scope()
        self._open().tasks.create_task(
            service._live(), name=service.name, context=service._fresh_context()
        )

    def _begin_pause(self, cycle: Cycle, seconds: float) -> None:
        cycle.timer = CancelScope()
        name = "pause before a restart"
        self._open().tasks.start_soon(_pause, self, cycle, cycle.timer, seconds, name=name)

    def _cycle_over(self, cycle: Cycle) -> None:
        self._cycles.pop(cycle, None)

    # ── Stopping ─────────────────────────────────────────────────────────────────────────────────

    def _told(self, state: _stop.Stop) -> None:
        self._close()
        self._step()

    def _close(self) -> None:
        """Stop all services, the last one first, and start none any more."""
        self._closing = True
        for cycle in list(self._cycles):
            cycle.dissolve()
        self._cycles.clear()
        for service in list(self._services):
            if not service._alive:
                self._rest(service, "stopped")

    def _step_closing(self) -> None:
        last = next(reversed(self._services), None)
        if last is not None and last.state != "stopping":
            self._begin_stop(last)

    def _exhausted(self, service: Service, error: BaseException | None) -> None:
        limit = self._intensity
        last = f": {error!r}" if error is not None else ", for it returned"
        exhausted = RestartsExhausted(
            f"the service {service.name!r} failed{last}. That is more than {limit.max_restarts} "
            f"restarts within {limit.within:g} s",
            self._errors,
        )
        exhausted.__cause__ = error
        self._rest(service, "failed")
        self._give_up(exhausted)

    def _give_up(self, error: BaseException) -> None:
        enclosure = self._open()
        enclosure.errors.append(error)
        self._close()
        enclosure.body.cancel(f"its supervisor gave up: {error}")

    def _stop_one(self, service: ServiceHandle) -> None:
        assert isinstance(service, Service), "made by `start`"
        if service._is_final:
            return
        service._wanted = False
        cycle = service._cycle
        if service._alive:
            if cycle is not None:
                cycle.drop(service)
            if service.state != "stopping":
                self._begin_stop(service)
        else:
            self._rest(service, "stopped")
        self._step()

    def _restart_one(self, service: ServiceHandle) -> None:
        assert isinstance(service, Service), "made by `start`"
        if self._closing:
            raise self._closed()
        service._wanted = True
        if service._is_final:
            self._keep(service)
            service._become("waiting")
        if service._cycle is not None and not service._alive:
            service._cycle.end_pause()
        elif service._cycle is None or not service._cycle.holds(service):
            cycle = service._cycle if service._cycle in self._cycles else None
            cycle = cycle or Cycle(self)
            self._cycles[cycle] = None
            cycle.begin([service], 0)
        self._step()

    # ── Small parts ──────────────────────────────────────────────────────────────────────────────

    def _report(self, service: Service, error: BaseException, what: str) -> None:
        """Tell of an error that nobody else raises."""
        if self._on_error is not None:
            try:
                self._on_error(service, error)
            except Exception as exc:
                self._give_up(exc)
            return
        from logging import getLogger  # heavy, and hardly ever needed

        getLogger("creche").warning(
            "the service %r failed, %s: %r",
            service.name,
            what,
            error,
            exc_info=error if service._is_final else None,
        )

    def _check_outside(self, service: ServiceHandle, verb: str) -> None:
        """Refuse what a service would have to end for, from inside of it."""
        assert isinstance(service, Service), "made by `start`"
        if service._scope is not None and _stop.is_inside(current_task(), service._scope):
            raise RuntimeError(
                f"the service {service.name!r} cannot {verb} itself, for it would wait for its own "
                f"end: return from it, or leave that to a task outside"
            )

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        """The end of the block waits for the services, as that of a task group does for its tasks."""
        return self._open().tasks._describe_wait(task, None) if self._body_left else inner

    def _describe_services(self) -> tuple[Any, Any, list[ServiceRecord]]:
        enclosure = self._open()
        records: list[ServiceRecord] = []
        for service in list(self._services):
            scope = service._scope
            host = None if scope is None else scope._host
            records.append(
                ServiceRecord(
                    service.name, service.state, service.restarts, service.last_error, host
                )
            )
        return enclosure.kernel, enclosure.tasks._host, records

    def _open(self) -> Enclosure:
        if self._enclosure is None:
            raise RuntimeError("this Supervisor was not entered: use it in an 'async with' block")
        return self._enclosure

    def _closed(self) -> ClosedResourceError:
        return ClosedResourceError(f"{self!r} is closing: start services while it is open")

    def __repr__(self) -> str:
        state = "new" if self._enclosure is None else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {self._strategy} {state}, {len(self._services)} services>"


async def _pause(keeper: Keeper, cycle: Cycle, timer: CancelScope, seconds: float) -> None:
    with timer:
        await sleep(seconds)
        if cycle.timer is timer:
            cycle.timer = None
            cycle.pause_over = True
            keeper._step()
