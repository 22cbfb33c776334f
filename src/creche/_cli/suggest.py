"""What somebody may have meant to type. Owns the words of the question, and how near is near."""

from __future__ import annotations

import difflib
import pkgutil
import sys
from collections.abc import Iterable

FEW, MANY = 0.6, 0.75
"""How alike two words are at least, by difflib's measure, among few words and among many."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question with the one or two known words that are like this one, or nothing."""
    words = sorted(set(known))
    near = difflib.get_close_matches(word, words, n=2, cutoff=FEW if len(words) < 50 else MANY)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def or_else(message: str, word: str, known: Iterable[str]) -> str:
    """Return the message, and the question if there is one."""
    question = did_you_mean(word, known)
    return f"{message}; {question}" if question else message


def names_of_modules(package: str) -> list[str]:
    """Return the modules of a package, or those at the top where it is the empty string.

    Nothing is imported for it: a package that has not been is not looked into.
    """
    if not package:
        names = {module.name for module in pkgutil.iter_modules()}
        return sorted(names | sys.stdlib_module_names)
    parent = sys.modules.get(package)
    path = getattr(parent, "__path__", None)
    return [f"{package}.{module.name}" for module in pkgutil.iter_modules(path)] if path else []
