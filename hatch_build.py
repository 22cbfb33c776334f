"""Makes the README of a package: as the repository's, with links and pictures that work on a package index.

Read by hatchling when it builds. Knows how the documentation's addresses are made: `docs/tls.md#keys` is `tls/#keys`
below the address of the documentation in pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"\]\((?P<path>[\w./-]+)(?P<anchor>#[\w-]+)?\)")


class ReadmeHook(MetadataHookInterface):
    """Puts the README into the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in what pyproject.toml calls dynamic."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        site = metadata["urls"]["Documentation"]
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, site)}


def absolute(text: str, site: str) -> str:
    """Turn links to files of the documentation into addresses; other files are named without a link."""

    def address(match: re.Match[str]) -> str:
        path = Path(match["path"])
        if path.parts[0] != "docs":
            raise ValueError(
                f"the README links to {path}, which no package index shows: name it in words"
            )
        page = path.relative_to("docs").as_posix()
        if path.suffix == ".md":
            page = page.removesuffix(".md").removesuffix("index")
            page += "/" if page and not page.endswith("/") else ""
        return f"]({site}{page}{match['anchor'] or ''})"

    return LINK.sub(address, text)
