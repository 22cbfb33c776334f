"""`replay`: runs the schedule of a token again, and adds notes to a failing run.

Knows a run by `simulate`, and a token by what it says (`_tokens.py`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Any

from ._run import EXPLORED_LIMIT, Outcome, SpinningError, bare, simulate
from ._schedules import Given
from ._tokens import Token


class ReplayDivergedError(RuntimeError):
    """The program did not come to the same choices again: it, or what it uses, has changed."""


def replay(
    main: Callable[..., Any],
    token: str,
    *args: Any,
    recording: str | os.PathLike[str] | None = None,
) -> Any:
    """Run `main(*args)` once more, exactly as in the run that printed `token`.

    The run is on the token's backend, in this process or any other. What the failing run raised is
    raised again, with its interleaving.

    :param main: the async function, or the test that `explore` was put on
    :param token: what the failure printed
    :param args: the arguments that the run had
    :param recording: a file to write the run to as a recording, for `creche web` and `creche export`
    :return: what `main` returns, if it does not raise this time
    :raises ValueError: `token` is not one
    :raises ReplayDivergedError: the program has come to other choices, so this was another run
    """
    outcome = replayed(bare(main), Token.parse(token), args)
    if recording is not None:
        record(outcome, recording)
    if outcome.error is not None:
        annotate(outcome, f"replayed on {outcome.backend}")
    return outcome.unwrap()


def record(outcome: Outcome, path: str | os.PathLike[str]) -> None:
    """Write a run that was traced as a recording."""
    from ._recorded import write

    assert outcome.trace is not None, "a run that is had again is traced"
    why = "" if outcome.error is None else f"{type(outcome.error).__name__}: {outcome.error}"
    write(outcome.trace, path, why)


def annotate(outcome: Outcome, found: str, node: str | None = None) -> None:
    """Add notes to what a run has raised: how it was found and is had again, and its interleaving.

    `node` is what pytest calls the test, where pytest runs it.
    """
    assert outcome.error is not None, "only of a run that failed"
    if node is None:
        again = f"creche.testing.replay(test, {str(outcome.token)!r})"
    else:
        again = f"pytest {shlex.quote(node)} --creche-replay={outcome.token.of_test(node)}"
    outcome.error.add_note(f"{found}\nreplay with: {again}")
    if outcome.trace is not None:
        outcome.error.add_note(str(outcome.trace))


def replayed(main: Callable[..., Any], token: Token, args: tuple[Any, ...]) -> Outcome:
    """Make the run of a token; see that it was the same one."""
    given = Given(token.choices)
    outcome = simulate(main, args, token.backend, given, traces=True, limit=EXPLORED_LIMIT)
    if isinstance(outcome.error, SpinningError) and outcome.check != token.check:
        given = Given(token.choices)  # Not of an exploration: then it was given more time.
        outcome = simulate(main, args, token.backend, given, traces=True)
    if given.diverged or len(given.sizes) != len(token.choices) or outcome.check != token.check:
        raise ReplayDivergedError(
            f"this was not the run of {token}: the program, or something it uses, has changed "
            f"since, or depends on more than the schedule. Explore it again"
        ) from outcome.error
    return outcome
