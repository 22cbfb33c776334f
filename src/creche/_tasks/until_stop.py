"""`until_stop`: a block that ends when a stop is asked of it, and loops that drain before they end.

Knows no event loop. Waits in such a block are ordinary waits; the stop ends the block as a cancel
would, so a grant made at the same moment is kept.

    entered --stop--> ending --no loop of it is draining--> cancelled --> left

A receiver that is iterated in the block takes the stop over: while its loop drains what is buffered, the
block is not cancelled, so no item that was taken is lost half done. The loop ends when nothing is
buffered; then the block ends at its next checkpoint.
"""

# The data of scopes is this package's own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from sys import _getframe
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._exceptions import EndOfStream, WouldBlock
from .._kernel import current_task
from .._kernel.scope import around, link
from . import stop as _stop
from .checkpoint import ready_checkpoint
from .scope import CancelScope

if TYPE_CHECKING:
    from typing import Protocol, Self

    from .._kernel.contract import Task

T_co = TypeVar("T_co", covariant=True)

if TYPE_CHECKING:

    class Source(Protocol[T_co]):
        """What can be drained: an item that is there, or a wait for one."""

        def receive_nowait(self) -> T_co: ...
        async def receive(self) -> T_co: ...


class UntilStop(CancelScope):
    """The scope that `until_stop()` gives."""

    __slots__ = ("_draining", "_waits", "_stop_asked")

    def __init__(self) -> None:
        super().__init__()
        self._stop_asked = False
        self._draining = 0
        self._waits: set[CancelScope] = set()

    def __enter__(self) -> Self:
        task = current_task()
        kernel = task.kernel
        link(self, task, _getframe(1))
        kernel.enter_scope(self, task)
        # Not cancelled at once where the stop was asked before: a loop that begins here may drain.
        _stop.used = True
        if _stop.asked(self) is not None:
            self._stop_asked = True
            kernel.spawn_detached(self._end_soon(), "end of until_stop")
        else:
            _stop.listen(kernel, self, self, self._told)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        host = self._host
        if host is not None:
            _stop.ignore(host.kernel, self)
        return super().__exit__(exc_type, exc_val, exc_tb)

    def _count_from_entry(self, seconds: float | None) -> None:
        if seconds is not None:
            raise RuntimeError(
                "until_stop() has no deadline that counts from its entry: set it when the block has begun, "
                "or put the block into a move_on_after()"
            )

    def _told(self, state: _stop.Stop) -> None:
        self._stop_asked = True
        for wait in list(self._waits):
            wait.cancel()
        self._end()

    async def _end_soon(self) -> None:
        self._end()

    def _end(self) -> None:
        left = self._entered and self._host is None
        if self._stop_asked and self._draining == 0 and not left:
            self.cancel("a stop was asked for")


class Draining(Generic[T_co]):
    """Iterates over a receiver inside an `until_stop` block.

    It is dropped when its loop ends, by `break` or an error as well, and the block hears of that.
    """

    __slots__ = ("_block", "_ended", "_source")

    def __init__(self, source: Source[T_co], block: UntilStop) -> None:
        self._source = source
        self._block = block
        self._ended = False
        block._draining += 1

    def __aiter__(self) -> Draining[T_co]:
        return self

    async def __anext__(self) -> T_co:
        await ready_checkpoint()
        block = self._block
        try:
            try:
                return self._source.receive_nowait()
            except WouldBlock:
                pass
            if not block._stop_asked:
                with CancelScope() as wait:
                    waits: Any = block._waits
                    waits.add(wait)
                    try:
                        return await self._source.receive()
                    finally:
                        waits.discard(wait)
        except EndOfStream:
            pass
        self._end()
        raise StopAsyncIteration

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            block: Any = self._block
            block._draining -= 1
            block._end()

    def __del__(self) -> None:
        self._end()


def until_stop() -> UntilStop:
    """Make a scope that ends when a stop is asked of what is around it.

    As with a cancel of the scope, its block raises at the next checkpoint and goes on after the block;
    what was granted in the same moment, such as a connection or an item, is kept. `async for` over the
    receiving end of a memory stream first drains what is buffered.

    ```python
    import creche
    from creche.services import stop_requested, until_stop


    async def main() -> None:
        async with creche.create_task_group() as tg:
            tg.start_soon(work)
            await creche.sleep(0.01)
            tg.stop()


    async def work() -> None:
        while not stop_requested():
            with until_stop():
                await creche.sleep(60)
        print("finished")


    creche.run(main)
    ```

    :return: the scope, to be used in a with-statement
    """
    return UntilStop()


def block_around(task: Task) -> UntilStop | None:
    """Return the innermost `until_stop` block that the task is in, shields considered."""
    scope = _stop.innermost(task)
    while scope is not None:
        if isinstance(scope, UntilStop):
            return scope
        if scope._shield:
            return None
        scope = around(scope)
    return None
