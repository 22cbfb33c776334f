"""Runs a program on plain Trio and on both kernels of ours, and says what came out otherwise.

Does not know what the statements of a program mean.
"""

from __future__ import annotations

from typing import Any

from _interpreter import Run, Seen
from _libraries import library, run
from _programs import Block


def outcome(kind: str, program: Block, names: Any = None, seed: int | None = None) -> Seen:
    """Run a program in virtual time; return what it saw. `kind`: oracle, trio or asyncio.

    :param names: what to take in place of the library itself
    :param seed: of the order in which our kernels step what is ready at one time; None for their own
    """
    running = Run(library(kind) if names is None else names)
    run(kind, running.main, program, seed=seed)
    return running.seen


def differences(program: Block) -> list[str]:
    """Say on which of our two kernels a program does otherwise than on plain Trio.

    Trio steps tasks that are ready at one time in random order. What comes out differently on Trio
    itself is nobody's promise, so Trio is asked again before a difference counts.
    """
    oracle = [outcome("oracle", program)]
    found: list[str] = []
    for kind in ("trio", "asyncio"):
        ours = outcome(kind, program)
        if ours not in oracle:
            oracle += [outcome("oracle", program) for _ in range(30)]
            if ours not in oracle and all(other == oracle[0] for other in oracle):
                found.append(f"{kind}: {told(ours, oracle[0])}")
    return found


def disagreement(program: Block) -> str:
    """Say what our two kernels do differently, where Trio has no word for the program.

    What comes out otherwise where the tasks that are ready at one time step in another order is nobody's
    promise, so both are asked again, in random orders, before a difference counts.
    """
    ours = outcome("asyncio", program)
    seen = [outcome("trio", program)]
    if ours in seen:
        return ""
    for kind in ("trio", "asyncio"):
        seen += [outcome(kind, program, seed=seed) for seed in range(20)]
    steady = all(other == seen[0] for other in seen[:21]) and all(
        other == ours for other in seen[21:]
    )
    return told(ours, seen[0]) if steady else ""


def told(ours: Seen, oracle: Seen) -> str:
    """Say what two runs saw otherwise."""
    lines: list[str] = []
    for name, mine in vars(ours).items():
        theirs = getattr(oracle, name)
        if mine == theirs:
            continue
        if isinstance(mine, dict):
            lines += [
                f"{name} at {path}: {mine.get(path)}, Trio {theirs.get(path)}"
                for path in sorted({*mine, *theirs}, key=repr)
                if mine.get(path) != theirs.get(path)
            ]
        else:
            lines.append(f"{name}: {mine}, Trio {theirs}")
    return "\n".join(lines)
