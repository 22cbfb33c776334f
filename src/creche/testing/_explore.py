"""`explore`: one async test under many schedules, the failing one shrunk and shown.

Owns the loop over the runs, the shrinking, and the words of a failure. Knows schedules, and runs
as functions from a schedule to an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, ParamSpec, overload

from ._replay import annotate, record, replayed
from ._run import EXPLORED_LIMIT, Outcome, check_async, installed, simulate
from ._schedules import Given, strategy
from ._tokens import Token

P = ParamSpec("P")
Main = Callable[[], Coroutine[Any, Any, object]]

SHRINKING = 300
"""Runs that may be spent on making a failing schedule plainer."""
SHRINKING_CHOICES = 200_000
"""Choices that they may make, all together: runs that never end make very many each."""


class Settings:
    """Settings for all explored tests; a test runner makes them."""

    runs: int | None = None
    """The number of runs, in place of what each test says."""
    replay: str | None = None
    """A token: only that run."""
    recording: str | None = None
    """A file to write that run to."""
    node: str | None = None
    """What the runner calls the test that runs now."""


settings = Settings()


@overload
def explore(test: Callable[P, Coroutine[Any, Any, object]], /) -> Callable[P, None]: ...


@overload
def explore(
    *,
    runs: int = 200,
    strategy: str = "auto",
    backends: Sequence[str] | None = None,
    seed: int = 0,
) -> Callable[[Callable[P, Coroutine[Any, Any, object]]], Callable[P, None]]: ...


def explore(
    test: Callable[P, Coroutine[Any, Any, object]] | None = None,
    /,
    *,
    runs: int = 200,
    strategy: str = "auto",
    backends: Sequence[str] | None = None,
    seed: int = 0,
) -> Callable[P, None] | Callable[[Callable[P, Coroutine[Any, Any, object]]], Callable[P, None]]:
    """Make an async test a plain one that runs it under many schedules, in virtual time.

    What a failing run raises gets two notes: a token for `replay`, and which task stepped when. The schedule
    is the plainest that could be found on which the test still fails.

    A decorator, with or without arguments: `@explore` and `@explore(runs=1000)`.

    :param runs: how often to run it, on each backend
    :param strategy: `"auto"`, `"fifo"`, `"random"`, `"pct:d"`, `"dfs"` or `"dfs:d"`. `dfs` ends
        early when it has tried everything
    :param backends: the backends to run on, by default all that can be simulated; one that is not
        installed is left out, if another is
    :param seed: where the random schedules begin. The same seed, the same runs
    :raises ValueError: there is no such strategy, or `runs` is less than 1
    """
    _strategy(strategy, seed)
    if runs < 1:
        raise ValueError(f"runs must be 1 or more, not {runs}")
    chosen = installed(backends)

    def decorate(test: Callable[P, Coroutine[Any, Any, object]]) -> Callable[P, None]:
        check_async(test, "explore")

        @wraps(test)
        def run_test(*args: P.args, **options: P.kwargs) -> None:
            @wraps(test)
            async def main() -> None:
                await test(*args, **options)

            __tracebackhide__ = True  # pytest then begins with the test
            if settings.replay is not None:
                replayed_run(main, settings.replay)
                return
            for backend in chosen:
                explored(main, backend, settings.runs or runs, strategy, seed)

        vars(run_test)["creche_bare"] = test
        vars(run_test)["creche_explored"] = True
        return run_test

    return decorate if test is None else decorate(test)


_strategy = strategy


def replayed_run(main: Main, text: str) -> None:
    """Make the run of a token in place of the exploration."""
    __tracebackhide__ = True
    token = Token.parse(text)
    outcome = replayed(main, token, ())
    if settings.recording is not None:
        record(outcome, settings.recording)
    if outcome.error is not None:
        annotate(outcome, f"replayed on {token.backend}", settings.node)
        outcome.unwrap()


def explored(main: Main, backend: str, runs: int, name: str, seed: int) -> None:
    """Run a test under the schedules of a strategy; raise what the first failing run raises."""
    __tracebackhide__ = True
    plan = _strategy(name, seed)
    for number in range(runs):
        schedule = plan.schedule(number)
        if schedule is None:
            return
        outcome = simulate(main, (), backend, schedule, limit=EXPLORED_LIMIT)
        plan.learn(outcome.choices)
        if outcome.error is not None:
            found = f"run {number + 1} of {runs} on {backend} failed (strategy {name!r})"
            raise_shrunk(main, outcome, found)


def raise_shrunk(main: Main, outcome: Outcome, found: str) -> None:
    """Raise the failure of a run, from the plainest schedule that leads to it."""
    __tracebackhide__ = True
    choices = shrink(main, outcome)
    final = simulate(main, (), outcome.backend, Given(choices), traces=True, limit=EXPLORED_LIMIT)
    if not _same(final, outcome):
        final = outcome  # It does not fail the same way twice: nothing that a schedule decides.
        found += "; it did not fail again on the same schedule, so it depends on something else"
    annotate(final, found, settings.node)
    final.unwrap()


def _same(one: Outcome, other: Outcome) -> bool:
    """Tell whether two runs failed in the same way."""
    return _kind(one.error) == _kind(other.error)


def _kind(error: BaseException | None) -> object:
    if isinstance(error, BaseExceptionGroup):
        return tuple(sorted({str(_kind(inner)) for inner in error.exceptions}))
    return type(error).__name__


def shrink(main: Main, outcome: Outcome) -> list[int]:
    """Return choices that still lead to the failure, with as few other than 0 as can be found.

    Halves and smaller parts are set to 0 in turn, then single choices are made smaller.
    """
    left, choices_left = SHRINKING, SHRINKING_CHOICES
    best = _stripped(outcome.choices)

    def fails(choices: list[int]) -> bool:
        nonlocal left, choices_left, best
        left -= 1
        tried = simulate(main, (), outcome.backend, Given(choices), limit=EXPLORED_LIMIT)
        choices_left -= len(tried.choices)
        left = left if choices_left > 0 else 0
        if not _same(tried, outcome):
            return False
        made = _stripped(tried.choices)
        if _size(made) < _size(best):
            best = made
            return True
        return False

    width = len(best)
    while width and left > 0:
        start = 0
        while start < len(best) and left > 0:
            if any(best[start : start + width]):
                fails([*best[:start], *[0] * width, *best[start + width :]])
            start += width
        width = width // 2
    for place in range(len(best)):
        while place < len(best) and best[place] > 1 and left > 0:
            if not fails([*best[:place], best[place] - 1, *best[place + 1 :]]):
                break
    return best


def _stripped(choices: Sequence[int]) -> list[int]:
    made = list(choices)
    while made and not made[-1]:
        made.pop()
    return made


def _size(choices: Sequence[int]) -> tuple[int, int, int]:
    return sum(map(bool, choices)), len(choices), sum(choices)
