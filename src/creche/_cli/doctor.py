"""`creche doctor`: what is installed here, and whether `import anyio` means Creche.

Owns the questions and the words of the answers. What is wrong is marked, told what to do about, and
makes the exit status 1; what merely is not there is no fault. Knows the drop-in by its state and its
variable; reads what packages require from their metadata, and imports none of them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import site
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .._dropin.metadata import StandIn
from .._dropin.modules import ALIAS, PACKAGE, VARIABLE
from .._dropin.switch import is_asked_for, is_on
from .._registry import variants
from .screen import Screen

if TYPE_CHECKING:
    from packaging.markers import Marker

PTH = "creche_as_anyio.pth"
LABEL = 10
EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


def run_doctor() -> int:
    """Print what is here, and return the exit status: 1 if something keeps the drop-in from working."""
    screen = Screen()
    for label, text in facts():
        screen.pair(label.ljust(LABEL), text, "bold")
    screen.line()
    list_packages(screen)
    wrong = list(problems())
    for problem in wrong:
        screen.line()
        screen.line(f"{screen.paint(screen.cross, 'red')} {problem}")
    return 1 if wrong else 0


def list_packages(screen: Screen) -> None:
    if importlib.util.find_spec("packaging") is None:
        screen.line(
            "Packages that require anyio are listed where packaging is installed: "
            "pip install 'creche[cli]'"
        )
        return
    found = sorted(needing_anyio())
    # One may ask for it twice, on other conditions.
    screen.line(f"Packages that require anyio: {len({name for name, _ in found}) or 'none'}")
    width = max((len(name) for name, _ in found), default=0)
    for name, requirement in found:
        screen.pair(f"  {name.ljust(width)}", requirement)


def facts() -> Iterator[tuple[str, str]]:
    yield "Python", f"{platform.python_version()}, {sys.executable}"
    yield "Creche", f"{version(PACKAGE) or 'not installed'}, {Path(__file__).parents[1]}"
    for loop in variants():
        if loop.packages:
            found = next(filter(None, map(version, loop.packages)), None)
            yield loop.title, found or f"not installed ({loop.how_to_install()})"
    yield "AnyIO", version(ALIAS) or "not installed"
    yield "drop-in", state()
    line = pth_file()
    yield ".pth line", str(line) if line else "not found"


def version(name: str) -> str | None:
    """Return the version of what is installed. Creche in the place of AnyIO is not AnyIO."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    return None if isinstance(found, StandIn) else found.version


def state() -> str:
    value = os.environ.get(VARIABLE)
    told = f"{VARIABLE} is not set" if value is None else f"{VARIABLE} is {value!r}"
    if is_on():
        return f"on: 'import anyio' means Creche ({told})"
    return f"off ({told})"


def pth_file() -> Path | None:
    """Return the file whose line looks at the variable when Python starts."""
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.insert(0, site.getusersitepackages())
    paths = (Path(folder) / PTH for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def problems() -> Iterator[str]:
    if pth_file() is None:
        yield (
            f"There is no {PTH} beside the installed packages, so {VARIABLE}=1 does nothing here. "
            f"Reinstall {PACKAGE}, or write 'import {PACKAGE}.as_anyio' as the program's first line."
        )
    elif is_asked_for(os.environ.get(VARIABLE)) and not is_on():
        yield (
            f"{VARIABLE} asks for the drop-in, but it is off: Python was started without its site "
            f"module (-S), or with another one."
        )


def needing_anyio() -> set[tuple[str, str]]:
    """Return the installed packages that require anyio, each with what it says about it."""
    return {
        (f"{distribution.name} {distribution.version}", text)
        for distribution in importlib.metadata.distributions()
        for requirement in distribution.requires or ()
        if (text := what_it_says(requirement)) is not None
    }


def what_it_says(requirement: str) -> str | None:
    """Tell what a requirement says, None if it is not about anyio, or not for this Python.

    >>> what_it_says("anyio<5,>=3.6.2")
    'anyio<5,>=3.6.2'
    >>> what_it_says('anyio (>=4) ; (python_version >= "3.9") and extra == "http"')
    "anyio>=4, with the extra 'http'"
    >>> what_it_says("anyio; python_version < '3'")
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        read = Requirement(requirement)
    except InvalidRequirement:
        return None
    if read.name.lower() != ALIAS:
        return None
    text = ALIAS + str(read.specifier)
    if read.marker is None or read.marker.evaluate({"extra": ""}):
        return text
    extras = [name for name in EXTRA.findall(str(read.marker)) if applies(read.marker, name)]
    if not extras:
        return None
    return f"{text}, with the extra {' or '.join(repr(extra) for extra in extras)}"


def applies(marker: Marker, extra: str) -> bool:
    """Tell whether the marker is true on this Python, where that extra is asked for."""
    return marker.evaluate({"extra": extra})
