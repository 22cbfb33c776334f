"""The command line: which module does what is asked, and with what status it ends.

Owns the way from the arguments to an exit status. Knows nothing of what may be typed (`parser.py`), of how a
program is found and run (`program.py`, `run.py`, `python.py`), of the examples (`demo.py`), or of what is
installed (`doctor.py`). Each is imported only when it is asked for.

    0    it did what was asked           1    the program raised, or an example went wrong
    2    a mistake in what was typed     130  Ctrl-C
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from .parser import BACKEND, check_command, make_parser, options_by_flag
from .screen import Mistake

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports a program that Ctrl-C ended


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
    check_command(arguments)
    parser = make_parser()
    options = parse(parser, arguments)
    if options.command == "run":
        return show_run(options, arguments)
    if options.command == "repl":
        from .repl import run_repl

        return run_repl(options.backend)
    return print_what_is_read(partial(show, options, parser))


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Read the arguments; help and version are printed, and end it."""
    try:
        return parser.parse_args(arguments)
    except SystemExit:
        print_what_is_read(lambda: 0)
        raise


def print_what_is_read(show: Callable[[], int]) -> int:
    """Call what prints; who reads it may stop reading (`| head`), and the exit status is 1."""
    try:
        status = show()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more as it exits: into nowhere, so that it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def show(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Do what prints, and may be cut off by `| head`."""
    if options.command == "demo":
        from .demo import run_demo

        return run_demo(
            options.examples, options.backend or [], options.folder, only_list=options.list
        )
    if options.command == "doctor":
        from .doctor import run_doctor

        return run_doctor()
    if options.command in ("tree", "ps"):
        from .look import show_programs, show_tree

        return show_programs() if options.command == "ps" else show_tree(options)
    if options.command == "export":
        from .export import export

        return export(options)
    if options.command == "top":
        from .top import show_top

        return show_top(options)
    if options.command in ("cancel", "stop"):
        from .look import control

        return control(options)
    if options.command == "web":
        from .web import show_page

        return show_page(options)
    if options.command == "completion":
        from .completion import show_completion

        return show_completion(options.shell, parser)
    if options.command == "help" and options.topic is not None:
        check_command([options.topic])
        parse(parser, [options.topic, "--help"])
    parser.print_help()
    return 0


def show_run(options: argparse.Namespace, typed: list[str]) -> int:
    from .program import choose_program
    from .python import is_script

    program, rest = choose_program(options)
    if options.reload:
        from .reload import run_again_and_again

        return run_again_and_again(typed, program)
    if options.as_anyio:
        turn_on_the_drop_in()
        if program.kind == "module" or (program.kind == "target" and is_script(program.text)):
            return show_python(options, program.kind, program.text, rest)
    from .run import run_program  # knows event loops, which a script may do without

    with recording_to(options.record):
        return run_program(
            program, options.backend, rest, options.chosen or [], grace=options.grace
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


def show_python(options: argparse.Namespace, kind: str, name: str, rest: list[str]) -> int:
    from .python import run_module, run_script

    if options.backend != BACKEND or options.chosen or options.grace:
        flags = ", ".join(["--backend", *options_by_flag(), "--grace"])
        raise Mistake(f"{flags} only go with module:function")
    with recording_to(options.record):
        return run_module(name, rest) if kind == "module" else run_script(name, rest)
