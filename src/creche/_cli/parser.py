"""What may be typed after `creche`: the commands, their options, and what their help says.

Owns the parsers. Knows nothing of what a command does.

`creche run` reads its options up to the program, as `python` does: what comes after the program is the
program's own. `-m` and `-c` name a program as well, so they take all that is left.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import NoReturn

from .._registry import KERNELS, Option, default, variants
from .screen import Mistake
from .suggest import did_you_mean
from .version import version

BACKEND = default().name
SHELLS = ("bash", "fish", "tcsh", "zsh")

REST = argparse.REMAINDER

FILE = {
    "bash": "_shtab_compgen_files",
    "zsh": "_files",
    "tcsh": "f",
    "fish": "(__fish_complete_path (commandline -ct))",
}
"""What marks an argument as a file, for `creche completion`: `shtab.FILE`, which may not be installed."""

RUN_TEXT = """\
PROGRAM is one of
  script.py            the `main` of a file, a coroutine function
  script.py:function   another coroutine function of it
  module:function      a coroutine function of a module that can be imported from here
  -m MODULE            the `main` of a module, or of the __main__.py of a package
  -c CODE              this code, which may await
  -                    the code that is read from standard input, which may await

What comes after it is left to the program, in sys.argv.

Ctrl-C cancels the program and waits for it to clean up; a second one ends it at once.

With --as-anyio, where 'import anyio' means Creche, a program may also be one that is not written for
'creche run': a script, a folder, or -m MODULE is run as Python runs it.
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse prints its whole usage before it."""

    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message} (see '{self.prog} --help')")


def make_parser() -> Parser:
    parser = Parser(prog="creche", description="Structured concurrency on asyncio and Trio.")
    parser.add_argument("-V", "--version", action="version", version=f"creche {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (text, add) in COMMANDS.items():
        usage = RUN_USAGE if name == "run" else None
        epilog = RUN_TEXT if name == "run" else None
        add(
            commands.add_parser(
                name,
                help=text,
                usage=usage,
                epilog=epilog,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser


def check_command(arguments: list[str]) -> None:
    """Refuse a command that there is not, with the one that may have been meant."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        word = arguments[0]
        raise Mistake(
            f"there is no command {word!r}; {did_you_mean(word, COMMANDS) or 'see creche --help'}"
        )


# ── Each command ─────────────────────────────────────────────────────────────────────────────────

RUN_USAGE = """\
creche run [options] PROGRAM [ARGUMENT ...]
       creche run [options] -m MODULE [ARGUMENT ...]
       creche run [options] -c CODE [ARGUMENT ...]"""


def add_run(parser: argparse.ArgumentParser) -> None:
    program = parser.add_argument("program", metavar="PROGRAM", nargs=REST, help="see below")
    vars(program)["complete"] = FILE
    parser.add_argument("-m", dest="module", metavar="MODULE", nargs=REST, help="run a module")
    parser.add_argument("-c", dest="code", metavar="CODE", nargs=REST, help="run this code")
    add_backend(parser)
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
    parser.add_argument(
        "--reload",
        action="store_true",
        help="run the program again whenever a Python file below this folder changes",
    )
    parser.add_argument("--as-anyio", action="store_true", help="make 'import anyio' import Creche")


def add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "examples",
        nargs="*",
        metavar="EXAMPLE",
        help="run only these, by name or number, such as: tasks 3",
    )
    parser.add_argument("--list", action="store_true", help="list the examples, and run none")
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


def add_repl(parser: argparse.ArgumentParser) -> None:
    add_backend(parser)


def add_tree(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pid", metavar="PID", type=int, help="the number of its process")
    parser.add_argument("--json", action="store_true", help="the whole snapshot, as JSON")
    parser.add_argument("--stacks", action="store_true", help="with the stack of each task")
    parser.add_argument(
        "--filter", metavar="TEXT", help="only tasks with this in their name, wait or place"
    )


def add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument(
        "--perfetto",
        action="store_true",
        required=True,
        help="for ui.perfetto.dev and chrome://tracing (the only format so far)",
    )
    parser.add_argument(
        "--output", metavar="PATH", help="where to write (default: FILE with .json after it)"
    )


def add_pid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pid", metavar="PID", type=int, help="the number of its process")


def add_cancel(parser: argparse.ArgumentParser) -> None:
    add_pid(parser)
    parser.add_argument("task", metavar="TASK", help="its name, or its number in the JSON")
    parser.add_argument("--reason", metavar="TEXT", help="a text for the program's log")


def add_stop(parser: argparse.ArgumentParser) -> None:
    add_pid(parser)
    parser.add_argument(
        "--grace", type=seconds, default=10.0, metavar="SECONDS",
        help="how long that may take before it is cancelled (default: 10)",
    )  # fmt: skip
    parser.add_argument("--reason", metavar="TEXT", help="a text for the program's log")


def add_web(parser: argparse.ArgumentParser) -> None:
    target = parser.add_argument(
        "target", metavar="PID|FILE", help="the number of a process, or a recording"
    )
    vars(target)["complete"] = FILE
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=one_of(SHELLS))


def add_help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="COMMAND", nargs="?", help="one of the commands")


def add_nothing(parser: argparse.ArgumentParser) -> None:
    pass


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("run an async program of yours", add_run),
    "repl": ("type Python that may await", add_repl),
    "demo": ("run the examples on every installed backend", add_demo),
    "tree": ("show what the tasks of a running program do", add_tree),
    "top": ("show the same in the terminal, live", add_pid),
    "web": ("show a running program or a recording in the browser", add_web),
    "cancel": ("cancel one task of a program that allows it", add_cancel),
    "stop": ("ask a program that allows it to stop gracefully", add_stop),
    "export": ("convert a recording for other tools", add_export),
    "ps": ("list your programs that can be asked what their tasks do", add_nothing),
    "doctor": ("show what is installed, and what 'import anyio' means here", add_nothing),
    "completion": ("print what makes a shell complete these commands", add_completion),
    "help": ("show the help of a command", add_help),
}
"""What each command is for, and what adds its arguments."""


# ── What several share ───────────────────────────────────────────────────────────────────────────


def add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", default=BACKEND, metavar="NAME", help=one_of(loop.name for loop in variants())
    )


def options_by_flag() -> dict[str, Option]:
    """Return the backend options that can be chosen on the command line."""
    options = (option for record in KERNELS.values() for option in record.options)
    return {option.flag: option for option in options if option.flag is not None}


def seconds(text: str) -> float:
    """Read a number of seconds, for argparse."""
    value = float(text)
    if not value >= 0:
        raise ValueError(text)
    return value


def one_of(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"
