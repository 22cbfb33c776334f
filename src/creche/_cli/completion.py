"""`creche completion`: prints what makes a shell complete the commands.

Owns nothing but the call: the shells' languages are spoken by shtab, and `parser.py` marks what is a file.
"""

from __future__ import annotations

import argparse

from .screen import Mistake


def show_completion(shell: str, parser: argparse.ArgumentParser) -> int:
    """Print the script for a shell; the help of `creche completion` says where it goes."""
    try:
        import shtab
    except ImportError:
        raise Mistake(
            "completion needs shtab, which is not installed: pip install 'creche[cli]'"
        ) from None
    print(shtab.complete(parser, shell))
    return 0
