"""The command line: what may be typed, and which module answers it.

Owns the parsers and the exit statuses. Knows nothing of how a program is found or run (`run.py`,
`python.py`), of the examples (`demo.py`), or of what is installed (`doctor.py`). Each is imported only
when it is asked for.

    0    it did what was asked           1    the program raised, or an example went wrong
    2    a mistake in what was typed     130  Ctrl-C
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

from .._registry import KERNELS, Option, default, variants
from .screen import Mistake
from .version import version

BACKEND = default().name
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports a program that Ctrl-C ended

RUN_TEXT = """\
TARGET is one of
  module:function      a coroutine function of a module that can be imported from here
  script.py            the `main` of a file
  script.py:function   another coroutine function of it

What comes after -- is left to the program, in sys.argv.
Ctrl-C cancels the program and waits for it to clean up; a second one ends it at once.

With --as-anyio, where 'import anyio' means Creche, a program may also be one that is not written for
'creche run': a script, a folder, or -m MODULE is run as Python runs it, with all that follows as its
arguments.
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse prints its whole usage before it."""

    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message} (see '{self.prog} --help')")


def make_parser() -> Parser:
    parser = Parser(prog="creche", description="Structured concurrency on asyncio and Trio.")
    parser.add_argument("--version", action="version", version=f"creche {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    add_demo(commands.add_parser("demo", help="run the examples on every installed backend"))
    add_run(
        commands.add_parser(
            "run",
            help="run an async program of yours",
            usage=(
                "creche run [options] TARGET [-- ARGUMENT ...]\n"
                "       creche run --as-anyio (TARGET | -m MODULE) [ARGUMENT ...]"
            ),
            epilog=RUN_TEXT,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    add_tree(commands.add_parser("tree", help="show what the tasks of a running program do"))
    add_web(commands.add_parser("web", help="show a running program or a recording in the browser"))
    commands.add_parser("ps", help="list your programs that can be asked what their tasks do")
    commands.add_parser("doctor", help="show what is installed, and what 'import anyio' means here")
    return parser


def add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "examples", nargs="*", metavar="EXAMPLE", help="run only these, such as: tasks"
    )
    parser.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"run only on this backend: {one_of(loop.name for loop in variants())}; may be repeated",
    )
    parser.add_argument(
        "--folder",
        metavar="PATH",
        help="run the programs in this folder; their outputs are in its folder expected/",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", nargs="?", help="module:function or script.py")
    parser.add_argument("--as-anyio", action="store_true", help="make 'import anyio' import Creche")
    parser.add_argument(
        "-m", dest="module", metavar="MODULE", help="a module to run, with --as-anyio"
    )
    parser.add_argument(
        "--backend", default=BACKEND, metavar="NAME", help=one_of(loop.name for loop in variants())
    )
    for flag, option in options_by_flag().items():
        parser.add_argument(
            flag, dest="chosen", action="append_const", const=option, help=option.help
        )
    parser.add_argument(
        "--grace",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long a stop by SIGTERM or Ctrl-C may take before it cancels (default: 0)",
    )
    parser.add_argument(
        "--record", metavar="FILE", help="write what the tasks do to a file, for 'creche web FILE'"
    )


def seconds(text: str) -> float:
    """Read a number of seconds, for argparse."""
    value = float(text)
    if not value >= 0:
        raise ValueError(text)
    return value


def options_by_flag() -> dict[str, Option]:
    """Return the backend options that can be chosen on the command line."""
    options = (option for record in KERNELS.values() for option in record.options)
    return {option.flag: option for option in options if option.flag is not None}


def one_of(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"


def add_tree(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pid", metavar="PID", type=int, help="the number of its process")
    parser.add_argument("--json", action="store_true", help="the whole snapshot, as JSON")
    parser.add_argument("--stacks", action="store_true", help="with the stack of each task")
    parser.add_argument(
        "--filter", metavar="TEXT", help="only tasks with this in their name, wait or place"
    )


def add_web(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="PID|FILE", help="the number of a process, or a recording"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say (by default those of this process); return the exit status."""
    try:
        return dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except Mistake as mistake:
        print(f"creche: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def dispatch(arguments: list[str]) -> int:
    typed, rest = split(arguments)
    parser = make_parser()
    options = parser.parse_args(typed)
    if options.command == "run":
        return show_run(options, rest)
    if rest:
        raise Mistake("only 'creche run' takes arguments after --")
    if options.command == "demo":
        return show_demo(options)
    if options.command == "doctor":
        from .doctor import run_doctor

        return run_doctor()
    if options.command in ("tree", "ps"):
        from .look import show_programs, show_tree

        return show_programs() if options.command == "ps" else show_tree(options)
    if options.command == "web":
        from .web import show_page

        return show_page(options)
    parser.print_help()
    return 0


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part what is typed for the command from what is left to the program that it runs."""
    if arguments[:1] == ["run"]:
        place = place_of_program(arguments)
        if "--as-anyio" in arguments[:place]:
            return split_after_program(arguments, place)
    return split_at_dashes(arguments)


def place_of_program(arguments: list[str]) -> int:
    """Return where the options of `creche run` end and the program is named."""
    place = 1
    while place < len(arguments) and arguments[place].startswith("--"):
        place += 2 if arguments[place] in ("--backend", "--grace", "--record") else 1
    return place


def split_after_program(arguments: list[str], place: int) -> tuple[list[str], list[str]]:
    """Part the arguments as Python does: all that comes after the program is the program's."""
    place += 2 if arguments[place : place + 1] == ["-m"] else 1
    return arguments[:place], arguments[place:]


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part the arguments of the command from those of the program that it runs."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def show_run(options: argparse.Namespace, rest: list[str]) -> int:
    from .python import is_script

    if options.module is not None and not options.as_anyio:
        raise Mistake("-m MODULE needs --as-anyio; name a function as module:function")
    if options.module is None and options.target is None:
        raise Mistake("the following arguments are required: TARGET (see 'creche run --help')")
    if options.as_anyio:
        turn_on_the_drop_in()
        if options.module is not None or is_script(options.target):
            return show_python(options, rest)
        if rest[:1] == ["--"]:
            del rest[0]
    from .run import run_program  # knows event loops, which a script may do without

    with recording_to(options.record):
        return run_program(
            options.target, options.backend, rest, options.chosen or [], grace=options.grace
        )


def recording_to(path: str | None) -> AbstractContextManager[object]:
    """Record to a file what a program does, if that was asked for."""
    if path is None:
        return nullcontext()
    from .._insight.recorder import record

    try:
        return record(path)
    except (OSError, RuntimeError) as exc:
        raise Mistake(f"--record {path}: {exc}") from None


def turn_on_the_drop_in() -> None:
    from .._dropin.switch import turn_on

    try:
        turn_on()
    except ImportError as exc:
        raise Mistake(str(exc)) from None


def show_python(options: argparse.Namespace, rest: list[str]) -> int:
    from .python import run_module, run_script

    if options.backend != BACKEND or options.chosen or options.grace:
        flags = ", ".join(["--backend", *options_by_flag(), "--grace"])
        raise Mistake(f"{flags} only go with module:function")
    with recording_to(options.record):
        if options.module is not None:
            return run_module(options.module, rest)
        return run_script(options.target, rest)


def show_demo(options: argparse.Namespace) -> int:
    from .demo import run_demo

    try:
        return run_demo(options.examples, options.backend or [], options.folder)
    except BrokenPipeError:  # `creche demo | head`
        # Python flushes stdout once more as it exits: into nowhere, so that it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
