"""Pyodide, Python in WebAssembly, for tests: fetched once into `.cache/clients`, by the package manager of Node.js.

Owns the version, and where it lies. Knows neither what runs in it nor who runs it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VERSION = "314.0.7"
FOLDER = Path(__file__).resolve().parents[1] / ".cache" / "clients" / f"pyodide-{VERSION}"
SUSPENDING = "--experimental-wasm-stack-switching"
"""What Node.js 20 needs to suspend Python: JavaScript Promise Integration, which browsers have."""


def fetch_pyodide() -> Path:
    """Return the folder with Pyodide, fetched if it is not there."""
    package = FOLDER / "node_modules" / "pyodide"
    if not (package / "pyodide.mjs").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
        subprocess.run([*command, str(FOLDER), f"pyodide@{VERSION}"], check=True, timeout=300)
    return package


def find_node() -> str:
    """Return the path of Node.js."""
    node = shutil.which("node")
    assert node is not None, "install Node.js: this runs Python in WebAssembly"
    return node
