"""`creche run --reload`: runs a program again whenever its source changes.

Owns the command that is repeated. Files are watched, and processes started and ended, by watchfiles.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from .program import Program, split_target
from .python import is_path
from .screen import Mistake


def run_again_and_again(typed: list[str], program: Program) -> int:
    """Run the command without its `--reload` until Ctrl-C; return the exit status."""
    if program.kind in ("code", "stdin"):
        raise Mistake("--reload needs a file or a module to watch; this program has neither")
    try:
        from watchfiles import PythonFilter, run_process
    except ImportError:
        raise Mistake(
            "--reload needs watchfiles, which is not installed: pip install 'creche[cli]'"
        ) from None
    run_process(
        *folders(program),
        target=command_of(typed),
        target_type="command",
        watch_filter=PythonFilter(),
        callback=lambda changes: print(
            f"creche: {', '.join(sorted({Path(path).name for _, path in changes}))} changed; "
            "running again",
            file=sys.stderr,
        ),
    )
    return 0


def folders(program: Program) -> list[str]:
    """Return what is watched: this folder, and that of a script."""
    found = [os.getcwd()]
    place = split_target(program.text)[0]
    if program.kind == "target" and is_path(place):
        beside = str(Path(place).resolve().parent)
        if not Path(beside).is_relative_to(found[0]):
            found.append(beside)
    return found


def command_of(typed: list[str]) -> str:
    """Return the command without its own `--reload`, which stands before the program's arguments."""
    place = typed.index("--reload")
    words = [sys.executable, "-m", "creche", *typed[:place], *typed[place + 1 :]]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
