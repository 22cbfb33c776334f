"""Tokens: one run, written down so that it can be had again.

    <letter>-<choices>-<check>

`letter` is the kernel's, by its record: `a` on asyncio, `t` on Trio.
`choices` are the indexes that the schedule chose, packed: pairs of (zeros skipped, choice), then the
zeros at the end, as variable-length integers in base64. `check` is a sum over all that there was to
choose from; a run that does not come to the same sum is another one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import _registry
from .run import EXPLORED_LIMIT, Outcome, SpinningError, bare, simulate
from .schedules import Given


class ReplayDivergedError(RuntimeError):
    """The program did not come to the same choices again: it, or what it uses, has changed."""


class Token(NamedTuple):
    """What a token says."""

    backend: str
    choices: tuple[int, ...]
    check: int

    def __str__(self) -> str:
        packed = base64.urlsafe_b64encode(_pack(self.choices)).decode().rstrip("=")
        return f"{_letter(self.backend)}-{packed}-{self.check:08x}"

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token.

        :raises ValueError: it is none
        """
        match = re.fullmatch(r"(\w+?)-([\w-]*)-([0-9a-f]{8})", text.strip())
        try:
            if match is None:
                raise ValueError(text)
            letter, packed, check = match.groups()
            backend = _backend(letter)
            choices = _unpack(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        except (ValueError, IndexError, binascii.Error) as exc:
            raise ValueError(
                f"{text!r} is not a token of a run: copy it whole, as the failure printed it"
            ) from exc
        return cls(backend, choices, int(check, 16))


def _letter(backend: str) -> str:
    simulated = _registry.find(backend).simulated
    assert simulated is not None, "only simulated runs have tokens"
    return simulated.letter


def _backend(letter: str) -> str:
    for name, record in _registry.KERNELS.items():
        if record.simulated is not None and record.simulated.letter == letter:
            return name
    raise ValueError(f"no backend has the letter {letter!r}")


def token_of(outcome: Outcome) -> Token:
    """Return the token of a run."""
    return Token(outcome.backend, tuple(outcome.choices), outcome.check)


def _pack(choices: Sequence[int]) -> bytes:
    numbers: list[int] = []
    zeros = 0
    for choice in choices:
        if choice:
            numbers += (zeros, choice)
            zeros = 0
        else:
            zeros += 1
    numbers.append(zeros)
    packed = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
    return bytes(packed)


def _unpack(packed: bytes) -> tuple[int, ...]:
    numbers: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    if shift or not len(numbers) % 2 or sum(numbers[::2]) > 10_000_000:
        raise ValueError("cut off")
    choices: list[int] = []
    for zeros, choice in zip(numbers[:-1:2], numbers[1::2], strict=True):
        choices += [0] * zeros
        choices.append(choice)
    return (*choices, *[0] * numbers[-1])


def replay(main: Callable[..., Any], token: str, *args: Any) -> Any:
    """Run `main(*args)` once more, exactly as in the run that printed `token`.

    The run is on the token's backend, in this process or any other. What the failing run raised is
    raised again, with its interleaving.

    :param main: the async function, or the test that `explore` was put on
    :param token: what the failure printed
    :param args: the arguments that the run had
    :return: what `main` returns, if it does not raise this time
    :raises ValueError: `token` is not one
    :raises ReplayDivergedError: the program has come to other choices, so this was another run
    """
    outcome = replayed(bare(main), Token.parse(token), args)
    if outcome.error is not None:
        annotate(outcome, f"replayed on {outcome.backend}")
    return outcome.unwrap()


def annotate(outcome: Outcome, found: str) -> None:
    """Add notes to what a run has raised: how it was found and is had again, and its interleaving."""
    assert outcome.error is not None, "only of a run that failed"
    token = token_of(outcome)
    outcome.error.add_note(f"{found}\nreplay with: creche.testing.replay(test, {str(token)!r})")
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
            f"since, or does not depend on the schedule alone. Explore it anew"
        ) from outcome.error
    return outcome
