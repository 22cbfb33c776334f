"""`Supervisor`: services that are started in order, restarted when they end, and stopped in reverse.

Owns the block and what a program may call. What an end of a service means is decided by `Keeper`. The models
are OTP's supervisors: their strategies, restart kinds and restart intensity.

    new --enter--> open --stop, cancel, an error, too many restarts--> closing --> closed
"""

# A supervisor and its services are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from math import inf
from types import TracebackType
from typing import Any, Self, get_args

from .._kernel import current_kernel
from .._misuse import check_callback, check_seconds, explain_call
from .._tasks import stop as _stop
from .._tasks.supervised import open_supervisors
from .backoff import Delays, Intensity
from .enclosure import Enclosure
from .handle import ServiceHandle
from .keeper import Keeper, OnError, Strategy
from .service import Restart, Service

STOP_GRACE = 5.0
"""Seconds that a service has for stopping if nothing else is said, as in OTP."""


class Supervisor(Keeper):
    """Keeps services alive. Made by `create_supervisor()`, entered with `async with`.

    The block is left when all services have ended for good; a stop that is asked of it stops them.
    """

    __slots__ = ()

    # ── The block ────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        if self._enclosure is not None:
            raise RuntimeError(
                "this Supervisor has already been entered: make a new one with "
                "create_supervisor() for each block"
            )
        self._enclosure = Enclosure("Supervisor")
        await self._enclosure.enter()
        open_supervisors.add(self)
        _stop.listen(current_kernel(), self, self._enclosure.tasks.cancel_scope, self._told)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        enclosure = self._open()
        enclosure.leave_body(exc_val)
        self._body_left = True
        if enclosure.errors or enclosure.stopped is not None:
            self._close()
        self._step()
        await self._wait_all_down(enclosure)
        _stop.ignore(enclosure.kernel, self)
        self._closing = True
        open_supervisors.discard(self)
        await enclosure.finish()
        self._errors.clear()
        return enclosure.conclude(exc_val)

    async def _wait_all_down(self, enclosure: Enclosure) -> None:
        try:
            await self._all_down.wait()
        except enclosure.kernel.cancelled_class as exc:
            enclosure.stopped = exc
            self._close()
            self._step()
            await enclosure.wait_for(self._all_down)

    def stop(self, reason: str | None = None, *, grace: float = inf) -> None:
        """Stop the services, the last one first, and ask the block to stop.

        Each service has its `stop_grace`, and not more than what is left of `grace`.

        :param reason: a text for reports
        :param grace: seconds until all that is left is cancelled
        """
        self._open().tasks.cancel_scope.stop(reason, grace=grace)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the services and the block."""
        self._open().tasks.cancel(reason)

    @property
    def services(self) -> list[ServiceHandle]:
        """The services that have not ended for good, in the order in which they were started."""
        return list(self._services)

    async def start(
        self,
        service: Callable[..., Coroutine[Any, Any, object]],
        *args: object,
        name: str | None = None,
        restart: Restart = "always",
        backoff: Iterable[float] | None = None,
        stop_grace: float = STOP_GRACE,
    ) -> ServiceHandle:
        """Start `service(*args, task_status=...)`, wait until it has called `started()`, keep it alive.

        What keeps the first start from that is raised here, bare, as by `TaskGroup.start()`; the
        service is then not kept. A restart that fails to start counts as a failure. Each start has a
        copy of the context of this call. A checkpoint.

        :param service: an async function with a keyword argument `task_status`
        :param args: positional arguments for it
        :param name: what it is called in reports; the function's name if omitted
        :param restart: `"always"`, `"on_failure"` for one that may return, or `"never"`
        :param backoff: seconds to wait before each restart in a row, as from `exponential()`; the last
            one is used again, and the series begins anew after a run that was longer than `within`
        :param stop_grace: seconds that it has for stopping before it is cancelled
        :return: the service's handle; `start_value` is what it gave to `started()`
        :raises ClosedResourceError: the supervisor is closing
        :raises RuntimeError: the service returned without calling `started()`, or the supervisor was
            not entered
        :raises TypeError: `service` is no async function, `backoff` no iterable or `stop_grace` no number
        :raises ValueError: `restart` or `stop_grace` is not one of those
        """
        enclosure = self._enclosure or self._open()
        if restart not in ("always", "on_failure", "never"):
            raise ValueError(f"restart must be 'always', 'on_failure' or 'never', not {restart!r}")
        if type(stop_grace) is not float:
            check_seconds("start", "stop_grace", stop_grace)
        if not stop_grace >= 0:
            raise ValueError(f"stop_grace must be a number of seconds, not {stop_grace!r}")
        given: object = service  # anything may be
        if not callable(given):
            explain_call("start", given)
            raise TypeError(f"start() takes an async function, not {given!r}")
        delays = None if backoff is None else Delays(backoff)
        if self._closing:
            raise self._closed()
        if name is None:
            name = getattr(service, "__qualname__", None) or repr(service)
        name = str(name)
        handle = Service(self, service, args, name, restart, delays, stop_grace)
        await enclosure.tasks.start(handle._live, name=name)
        return handle


def create_supervisor(
    strategy: Strategy = "one_for_one",
    *,
    max_restarts: float = 3,
    within: float = 5.0,
    on_error: OnError | None = None,
) -> Supervisor:
    """Make a supervisor, to be entered with `async with`.

    ```python
    import creche
    from creche.services import create_supervisor

    runs = 0


    async def service(*, task_status):
        global runs
        runs += 1
        task_status.started()
        if runs < 3:
            raise ConnectionError("lost")
        print("run", runs)


    async def main() -> None:
        async with create_supervisor(on_error=lambda *_: None) as sv:
            await sv.start(service, restart="on_failure")


    creche.run(main)
    ```

    :param strategy: what is restarted when a service fails: that one (`"one_for_one"`), all of them
        (`"one_for_all"`), or it and those that were started after it (`"rest_for_one"`)
    :param max_restarts: more restarts than these within `within` seconds are too many: the others are
        stopped in reverse order, and the block raises RestartsExhausted. `math.inf` for no limit
    :param within: seconds
    :param on_error: called with the handle and the error of each service that fails; without it a
        warning is logged
    :raises TypeError: `on_error` is no function, or an async one, or a number is none
    :raises ValueError: there is no such strategy, or a number is out of its range
    """
    if on_error is not None:
        check_callback("create_supervisor", "on_error", on_error)
    if strategy not in get_args(Strategy):
        raise ValueError(
            f"strategy must be 'one_for_one', 'one_for_all' or 'rest_for_one', not {strategy!r}"
        )
    return Supervisor(strategy, Intensity(max_restarts, within), on_error)
