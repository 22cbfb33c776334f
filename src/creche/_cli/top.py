"""`creche top`: a running program in the terminal, live.

Owns what is checked before the screen is taken. The rest is `_insight_view/terminal.py`'s.
"""

from __future__ import annotations

import argparse
import sys

from .screen import Mistake
from .web import check_installed, check_target


def show_top(options: argparse.Namespace) -> int:
    """Show it until `q` or Ctrl-C."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Mistake("'creche top' needs a terminal; 'creche tree PID' writes to a file or a pipe")
    check_installed("creche top", ("rich",))
    check_target(options.pid)
    from .._insight_view.terminal import show_top as show

    show(options.pid)
    return 0
