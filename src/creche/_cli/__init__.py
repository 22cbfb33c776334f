"""The command line: what may be typed, and which room answers it.

Owns the parsers and the exit statuses. Knows nothing of how a program is found or run (`run.py`),
nor of the examples (`demo.py`). Both are imported only when they are asked for.

    0    it did what was asked           1    the program raised, or an example went wrong
    2    a mistake in what was typed     130  Ctrl-C
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from creche._cli.screen import Mistake

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports a program that Ctrl-C ended

RUN_TEXT = """\
TARGET is one of
  module:function      a coroutine function of a module that can be imported from here
  script.py            the `main` of a file
  script.py:function   another coroutine function of it

What comes after -- is left to the program, in sys.argv.
Ctrl-C cancels the program and waits for it to clean up; a second one ends it at once.
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
            usage="creche run [options] TARGET [-- ARGUMENT ...]",
            epilog=RUN_TEXT,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    return parser


def add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help="only these, as in: tasks")
    parser.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help="only on this one: asyncio, uvloop or trio; may be repeated",
    )
    parser.add_argument(
        "--folder", metavar="PATH", help="run the programs of this folder, which has an expected/"
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="module:function or script.py")
    parser.add_argument("--backend", default="asyncio", metavar="NAME", help="asyncio or trio")
    parser.add_argument("--uvloop", action="store_true", help="asyncio on uvloop's event loop")
    parser.add_argument("--debug", action="store_true", help="asyncio's debug mode")


def version() -> str:
    try:
        return importlib.metadata.version("creche")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


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
    typed, rest = split_at_dashes(arguments)
    parser = make_parser()
    options = parser.parse_args(typed)
    if options.command == "run":
        from creche._cli.run import run_program

        return run_program(
            options.target, options.backend, rest, use_uvloop=options.uvloop, debug=options.debug
        )
    if rest:
        raise Mistake("only 'creche run' takes arguments after --")
    if options.command == "demo":
        return show_demo(options)
    parser.print_help()
    return 0


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part the arguments of the command from those of the program that it runs."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def show_demo(options: argparse.Namespace) -> int:
    from creche._cli.demo import run_demo

    try:
        return run_demo(options.examples, options.backend or [], options.folder)
    except BrokenPipeError:  # `creche demo | head`
        # Python flushes stdout once more as it exits: into nowhere, so that it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
