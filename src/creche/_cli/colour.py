"""Colours for `creche tree`: on a terminal, where rich is installed. Elsewhere the same text is plain.

Knows what a tree looks like, and nothing of what it tells.
"""

from __future__ import annotations

import importlib.util
import os
import sys

from .screen import wants_colour

PARTS = {
    r"(?m)^[│├└─ ]+": "dim",
    r"(?m)\S+\.py:\d+.*$": "dim",
    r"Deadlock: .*|Not complete: .*": "bold red",
    r"\b(?:cancelled|shielded)\b": "yellow",
    r"(?m)held by .*?(?=  |, |$)": "cyan",
}
"""What is painted, as regular expressions, and how rich calls it."""


def write_tree(text: str) -> None:
    """Write a tree to standard output."""
    if not wants_colour(sys.stdout, os.environ) or importlib.util.find_spec("rich") is None:
        sys.stdout.write(text)
        return
    from rich.console import Console
    from rich.text import Text

    painted = Text(text)
    for part, style in PARTS.items():
        painted.highlight_regex(part, style)
    console = Console(file=sys.stdout, force_terminal=True, highlight=False)
    console.print(painted, end="", soft_wrap=True)
