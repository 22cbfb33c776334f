"""`creche demo`: runs the example programs on every installed backend, and checks what they print.

Owns the running of one example on one loop, and the report. Knows nothing of what the examples do:
each is a file with an `async def main() -> None`, whose docstring's first line is its title, and whose
output must be the text of `expected/NAME.txt`. The loops are those of the registry.

A run is `right` (it printed that, and raised nothing) or `wrong`; an example that imports a package
which is not installed is `left out`, and the report says what to install. The exit status is 0 if
something ran and nothing was wrong.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib.util
import io
import platform
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import NamedTuple

from .._loop.run import run
from .._loop.time import sleep
from .._registry import Variant, variants
from .._tasks.timeouts import fail_after
from .screen import Mistake, Screen
from .suggest import did_you_mean
from .version import version

ORDER = (
    "tasks",
    "start_service",
    "start_port_taken",
    "start_never",
    "errors_except_star",
    "errors_catch",
    "context",
    "versus_asyncio",
)
"""The order in which a reader should meet them. Others follow by name."""

PATIENCE = 30
"""Seconds after which an example that hangs is cancelled, and wrong."""


class Example(NamedTuple):
    name: str
    title: str
    path: Path
    expected: str


@dataclass(frozen=True)
class Outcome:
    """What one example did on one loop."""

    loop: str
    seconds: float
    printed: str
    error: str  # a traceback, or nothing
    right: bool


def run_demo(
    names: Sequence[str], loop_names: Sequence[str], folder: str | None, *, only_list: bool = False
) -> int:
    """Run the named examples, or all, on the named loops, or all that are installed."""
    found = find_examples(Path(folder) if folder else examples_folder())
    examples = choose_examples(found, names)
    screen = Screen()
    if only_list:
        list_examples(screen, found, examples)
        return 0
    loops = choose_loops(loop_names)
    introduce(screen, examples, loops, tell_missing=not loop_names)
    for loop in loops:  # so that the first example is not charged for importing the loop
        run_main(loop, sleep, 0)
    started = perf_counter()
    outcomes: list[Outcome] = []
    left_out = 0
    numbers = {example.name: number for number, example in enumerate(found, 1)}
    for example in examples:
        results = present(screen, numbers[example.name], example, loops)
        outcomes += results
        left_out += not results
    return conclude(screen, outcomes, left_out, perf_counter() - started)


# ── What to run, and on what ─────────────────────────────────────────────────────────────────────


def examples_folder() -> Path:
    """Return where the examples are: in the installed package, else in the project around it."""
    package = Path(__file__).parent.parent
    for folder in (package / "_examples", package.parent.parent / "examples"):
        if folder.is_dir():
            return folder
    raise Mistake("this installation has no examples; name their folder with --folder")


def find_examples(folder: Path) -> list[Example]:
    paths = sorted(folder.glob("*.py"), key=place_in_report)
    if not paths:
        raise Mistake(f"there is no example in {str(folder)!r}")
    return [Example(path.stem, title_of(path), path, expected_of(path)) for path in paths]


def place_in_report(path: Path) -> tuple[int, str]:
    return ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.stem


def title_of(path: Path) -> str:
    """Return the first line of the docstring, without importing what may need what is missing."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return (docstring or path.stem).splitlines()[0].rstrip(".")


def expected_of(path: Path) -> str:
    text = path.parent / "expected" / f"{path.stem}.txt"
    if not text.is_file():
        raise Mistake(f"{str(path)!r} has no expected output: write it to {str(text)!r}")
    return text.read_text(encoding="utf-8")


def choose_examples(found: list[Example], names: Sequence[str]) -> list[Example]:
    known = [example.name for example in found]
    wanted = [name_of(word, known) for word in names]
    return [example for example in found if not wanted or example.name in wanted]


def name_of(word: str, known: list[str]) -> str:
    """Return the example that a name or a number stands for."""
    if word.isdecimal():
        if not 1 <= int(word) <= len(known):
            raise Mistake(f"there is no example {word}: they are numbered from 1 to {len(known)}")
        return known[int(word) - 1]
    name = word.removesuffix(".py")
    if name not in known:
        question = did_you_mean(name, known)
        raise Mistake(f"there is no example {name!r}; {question or all_of(known)}")
    return name


def all_of(known: Iterable[str]) -> str:
    return f"there are {', '.join(known)}"


def choose_loops(names: Sequence[str]) -> list[Variant]:
    known = {loop.name: loop for loop in variants()}
    for name in names:
        if name not in known:
            raise Mistake(f"no such backend: {name!r}; {all_of(known)}")
        if not known[name].installed():
            raise Mistake(f"{name} is not installed; {advice(known[name])}")
    return [loop for loop in known.values() if (loop.name in names if names else loop.installed())]


def advice(loop: Variant) -> str:
    return f"pip install 'creche[{loop.extra}]'"


def list_examples(screen: Screen, found: Sequence[Example], examples: Sequence[Example]) -> None:
    """Print the number, name and title of examples; either of the first two can be typed."""
    width = max(len(example.name) for example in found)
    for number, example in enumerate(found, 1):
        if example in examples:
            screen.pair(f"{number:3}  {example.name.ljust(width)}", example.title, "bold")


# ── Running ──────────────────────────────────────────────────────────────────────────────────────


def load(example: Example) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"creche_demo_{example.name}", example.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run_main(loop: Variant, function: Callable[..., Awaitable[object]], *args: object) -> None:
    run(function, *args, backend=loop.kernel, backend_options=dict(loop.options))


def run_on(loop: Variant, example: Example, module: ModuleType) -> Outcome:
    """Run the example's `main` in a new loop, and judge what it did."""

    async def limited() -> None:
        with fail_after(PATIENCE):
            await module.main()

    written = io.StringIO()
    error = ""
    started = perf_counter()
    try:
        with contextlib.redirect_stdout(written):
            run_main(loop, limited)
    except Exception:
        error = traceback.format_exc()
    seconds = perf_counter() - started
    printed = written.getvalue()
    return Outcome(loop.name, seconds, printed, error, not error and printed == example.expected)


# ── The report ───────────────────────────────────────────────────────────────────────────────────


def introduce(
    screen: Screen, examples: Sequence[Example], loops: Iterable[Variant], *, tell_missing: bool
) -> None:
    names = ", ".join(loop.name for loop in loops)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    screen.heading(f"Creche {version()}", f"{python}, {platform.system()}")
    screen.line(f"{count(len(examples), 'program')}, each on {screen.paint(names, 'cyan')}")
    for loop in variants() if tell_missing else ():
        if not loop.installed():
            screen.line(screen.paint(f"not on {loop.name}: {advice(loop)}", "yellow"))


def present(
    screen: Screen, number: int, example: Example, loops: Sequence[Variant]
) -> list[Outcome]:
    """Run one example on each loop and show how it went. An empty list if it was left out."""
    screen.line()
    screen.heading(f"{number}  {example.title}", example.path.name)
    try:
        module = load(example)
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package in ("", "creche"):
            raise
        screen.block(f"left out: it needs {package}; pip install {package}", "yellow")
        return []
    outcomes = [run_on(loop, example, module) for loop in loops]
    if any(outcome.right for outcome in outcomes):
        screen.block(example.expected)  # which all that are right have printed
    for outcome in outcomes:
        if not outcome.right:
            show_wrong(screen, example, outcome)
    cells = [cell(screen, outcome) for outcome in outcomes]
    fits = 2 + (CELL + 3) * len(cells) - 3 <= screen.width
    for row in ["   ".join(cells)] if fits else cells:
        screen.line(f"  {row}")
    return outcomes


CELL = 20
"""The width of one run's result: mark, loop and time."""


def cell(screen: Screen, outcome: Outcome) -> str:
    """Show one run in a width that is the same for each, so that they line up below each other."""
    colour = "green" if outcome.right else "red"
    mark = screen.paint(screen.tick if outcome.right else screen.cross, colour)
    time = screen.paint(f"{outcome.seconds * 1000:7.1f} ms", "dim")
    return f"{mark} {outcome.loop:<7}{time}"


def show_wrong(screen: Screen, example: Example, outcome: Outcome) -> None:
    screen.block(f"its output on {outcome.loop} is not the expected one", "red", "bold")
    difference = difflib.unified_diff(
        example.expected.splitlines(),
        outcome.printed.splitlines(),
        "expected",
        f"printed on {outcome.loop}",
        lineterm="",
    )
    for line in difference:
        screen.block(line, {"-": "green", "+": "red"}.get(line[0], "dim"))
    screen.block(outcome.error, "dim")


def conclude(screen: Screen, outcomes: Sequence[Outcome], left_out: int, seconds: float) -> int:
    wrong = [outcome for outcome in outcomes if not outcome.right]
    screen.line()
    screen.line(screen.paint(screen.rule * screen.width, "dim"))
    runs = f"{count(len(outcomes), 'run')} in {seconds:.1f} s"
    if left_out:
        screen.line(screen.paint(f"{count(left_out, 'program')} left out", "yellow"))
    if wrong or not outcomes:
        what = f"{count(len(wrong), 'run')} failed" if wrong else "nothing was shown"
        screen.line(screen.paint(f"{screen.cross} {runs}: {what}", "red", "bold"))
        return 1
    screen.line(
        screen.paint(f"{screen.tick} {runs}: all printed what they should", "green", "bold")
    )
    return 0


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
