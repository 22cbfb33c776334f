"""The version of Creche that is installed here."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    try:
        return importlib.metadata.version("creche")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
