"""Answers `importlib.metadata` about AnyIO where it is not installed.

Owns the distribution of that name: its version, that of the API that Creche has, and the entry point
of its pytest plugin. An installed AnyIO keeps its own metadata. A search of a single folder, as
pip makes it, finds nothing, which is the truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from pathlib import Path

from .modules import ALIAS, VERSION

FILES = {
    "METADATA": (
        "Metadata-Version: 2.1\n"
        f"Name: {ALIAS}\n"
        f"Version: {VERSION}\n"
        "Summary: Creche, in the place of AnyIO\n"
    ),
    "entry_points.txt": f"[pytest11]\n{ALIAS} = {ALIAS}.pytest_plugin\n",
    "top_level.txt": f"{ALIAS}\n",
}


class StandIn(Distribution):
    """AnyIO, as packages that require it see it."""

    def read_text(self, filename: str) -> str | None:
        return FILES.get(str(filename))

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(__file__).parents[2] / path


def distributions(context: DistributionFinder.Context | None) -> Iterable[Distribution]:
    """Return the stand-in if AnyIO is asked for, or everything, and there is no AnyIO."""
    asked = DistributionFinder.Context() if context is None else context
    if asked.name not in (None, ALIAS) or "path" in vars(asked):
        return ()
    return _unless_installed()


def _unless_installed() -> Iterator[Distribution]:
    for _ in MetadataPathFinder.find_distributions(DistributionFinder.Context(name=ALIAS)):
        return
    yield StandIn()
