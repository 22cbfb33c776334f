"""Suites of rules: how a contract is checked, and what is reported when it is not kept.

Owns the running of rules and the words for what went wrong. Knows no streams and no locks. A rule is an
async function that gets what it checks, new each time, and raises if the rule is broken; its name is the
name of the rule.

    a rule   kept | broken: it raised, or did not end in time
    a suite  returns the names of its rules if all are kept, else raises one ContractError for all
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterator,
)
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from inspect import isawaitable
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from ..._abc.resources import AsyncResource, aclose_forcefully
from ..._kernel import current_task
from ..._kernel.probing import CheckpointsSeen
from ..._sync import Event
from ..._tasks.group import TaskGroup, create_task_group
from ..._tasks.info import wait_all_tasks_blocked
from ..._tasks.scope import CancelScope
from ..._tasks.timeouts import fail_after

T = TypeVar("T")
B = TypeVar("B")

Made: TypeAlias = T | Awaitable[T] | AbstractAsyncContextManager[T]
"""What a maker may return: the thing itself, or an awaitable or async context manager that gives it."""


class BrokenRule(NamedTuple):
    """One rule that something does not keep."""

    rule: str
    what: str
    """What happened instead."""


class ContractError(AssertionError):
    """Something does not keep the contract that it was checked against."""

    broken: tuple[BrokenRule, ...] = ()
    """The rules that it breaks."""


Rule: TypeAlias = Callable[[B], Coroutine[Any, Any, None]]


class Suite(Generic[B]):
    """The rules of one contract, in order.

    :param contract: what keeps the contract, such as "a byte stream"
    """

    def __init__(self, contract: str) -> None:
        self.contract = contract
        self.rules: dict[str, Rule[B]] = {}

    def rule(self, function: Rule[B]) -> Rule[B]:
        """Make a function one of the rules."""
        self.rules[getattr(function, "__name__", "")] = function
        return function

    async def check(
        self,
        bench: Callable[[], AbstractAsyncContextManager[B]],
        without: Collection[str],
        seconds: float,
        where: str = "",
    ) -> tuple[tuple[str, ...], list[tuple[BrokenRule, Exception]]]:
        """Check every rule on what `bench()` gives; return the names of the kept, and the broken."""
        kept: list[str] = []
        broken: list[tuple[BrokenRule, Exception]] = []
        for name, rule in self.rules.items():
            if name in without:
                continue
            async with bench() as given:
                error = await _error_of(rule, given, seconds)
            if error is None:
                kept.append(name)
            else:
                broken.append((BrokenRule(name, where + _words(error, seconds)), error))
        return tuple(kept), broken


async def _error_of(rule: Rule[B], given: B, seconds: float) -> Exception | None:
    try:
        with fail_after(seconds):
            await rule(given)
    except Exception as exc:
        return exc
    return None


def _words(error: BaseException, seconds: float) -> str:
    first = next(_leaves(error))
    if isinstance(first, AssertionError):
        return str(first)
    if isinstance(first, TimeoutError):
        return f"not over after {seconds:g} seconds: a task waits for something that never happens"
    return f"{type(first).__name__}: {first}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def conclude(subject: str, contract: str, broken: list[tuple[BrokenRule, Exception]]) -> None:
    """Raise one error for all the rules that are broken, if any is."""
    if not broken:
        return
    number = "1 rule" if len(broken) == 1 else f"{len(broken)} rules"
    lines = "".join(f"\n  {rule}: {what}" for (rule, what), _ in broken)
    error = ContractError(f"{subject} breaks {number} of {contract}:{lines}")
    error.broken = tuple(rule for rule, _ in broken)
    raise error from broken[0][1]


def check_names(without: Collection[str], *suites: Suite[Any]) -> None:
    """Raise if a rule that is to be left out does not exist, before anything is made."""
    known = [name for suite in suites for name in suite.rules]
    if isinstance(without, str):
        raise TypeError(
            f"without must be a collection of names, not a str: write without=({without!r},)"
        )
    for name in without:
        if name not in known:
            raise ValueError(
                f"without names {name!r}, which is not a rule. The rules are: {', '.join(known)}"
            )


@asynccontextmanager
async def opened(make: Callable[[], Made[T]]) -> AsyncGenerator[T]:
    """Make the thing, and close it or its parts at the end, whatever state they are in."""
    async with AsyncExitStack() as stack:
        made: Any = make()
        if isawaitable(made):
            made = await made
        if hasattr(made, "__aenter__") and not isinstance(made, AsyncResource):
            made = await stack.enter_async_context(made)
        parts = cast("tuple[object, ...]", made if isinstance(made, tuple) else (made,))
        for part in parts:
            if isinstance(part, AsyncResource):
                stack.push_async_callback(_clear_away, part)
        thing: T = cast("Any", made)
        yield thing


async def _clear_away(part: AsyncResource) -> None:
    """Close what a rule may have closed already. The rules check whether it closes well."""
    with suppress(Exception):
        await aclose_forcefully(part)


# Parts for writing rules


def expect(condition: object, otherwise: str) -> None:
    """Raise an error that says `otherwise`, unless the condition holds."""
    if not condition:
        raise AssertionError(otherwise)


async def must_raise(
    kinds: type[Exception] | tuple[type[Exception], ...], call: Awaitable[object], what: str
) -> None:
    """Await a call; raise unless it raises one of the given kinds."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    names = " or ".join(kind.__name__ for kind in kinds)
    try:
        result = await call
    except kinds:
        return
    except Exception as exc:
        raise AssertionError(f"{what} raised {exc!r}, not {names}") from exc
    raise AssertionError(f"{what} returned {short(result)} and raised no {names}")


async def close_both(one: AsyncResource, other: AsyncResource) -> None:
    """Close two ends at the same time, since one may wait for the other."""
    async with create_task_group() as group:
        group.start_soon(one.aclose)
        group.start_soon(other.aclose)


@contextmanager
def checkpoint_in(what: str) -> Generator[None]:
    """Raise if a call is not a checkpoint."""
    with _watched() as seen:
        yield
    expect(seen[0].whole, f"{what} came to no checkpoint")


@contextmanager
def no_checkpoint_in(what: str) -> Generator[None]:
    """Raise if a call is a checkpoint, or half of one."""
    with _watched() as seen:
        yield
    expect(not seen[0].any_part, f"{what} came to a checkpoint")


@contextmanager
def _watched() -> Generator[list[CheckpointsSeen]]:
    """Watch the running task for checkpoints, and give what was seen at the end of the block."""
    task = current_task()
    seen: list[CheckpointsSeen] = []
    probe = task.kernel.test_probe.watch(task)
    try:
        yield seen
    finally:
        seen.append(probe.end())


def short(value: object) -> str:
    """Return a value's text, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Call(Generic[T]):
    """A call in a task of its own: `running -> ended`, and then it has a result or an error."""

    def __init__(self, func: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> None:
        self._func = func
        self._args = args
        self._ended = Event()
        self.scope = CancelScope()
        self.error: Exception | None = None
        self.results: list[T] = []
        """What it returned, nothing if it has raised or was cancelled."""

    async def run(self) -> None:
        """Make the call; its task runs this."""
        try:
            with self.scope:
                self.results.append(await self._func(*self._args))
        except Exception as exc:
            self.error = exc
        finally:
            self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether it has returned or raised."""
        return self._ended.is_set()

    async def result(self) -> T:
        """Wait for the end, and return or raise what it did."""
        await self._ended.wait()
        if self.error is not None:
            raise self.error
        expect(self.results, "the call was cancelled and raised nothing else")
        return self.results[0]

    async def result_now(self) -> object:
        """Return or raise what it did, if it has ended; cancel it if it has not."""
        if self.ended:
            return await self.result()
        self.scope.cancel()
        return "nothing, because it waits,"

    async def cancel(self) -> None:
        """Cancel it, and wait for the end."""
        self.scope.cancel()
        await self._ended.wait()


def start(group: TaskGroup, func: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Call[T]:
    """Start a call in a task of its own."""
    call: Call[T] = Call(func, args)
    group.start_soon(call.run)
    return call


async def begin(
    group: TaskGroup, func: Callable[..., Coroutine[Any, Any, T]], *args: Any
) -> Call[T]:
    """Start a call in a task of its own, and wait until it waits."""
    call = start(group, func, *args)
    await wait_all_tasks_blocked()
    return call
