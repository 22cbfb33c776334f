"""Runs the Python blocks of the documentation and of docstrings on every backend, and compares
what they print.

The blocks of one page share a namespace, from top to bottom. A block fenced as
```text title="Output"``` after a Python block is what that block prints. A block that names a
backend gets that one; every other `run` is on the backend whose turn it is. The tutorial, `docs/learn/`, and a
few pages whose output would depend on a busy machine run in virtual time, so their programs may take seconds.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

from sybil import Document, Example, Region, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import SkipParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.sybil import SybilCollection

import creche
from creche import testing
from creche._registry import simulating, variants

BACKENDS: dict[str, dict[str, Any]] = {
    loop.name: {"backend": loop.kernel, "backend_options": dict(loop.options)}
    for loop in variants()
}
fences = RawFencedCodeBlockLexer(re.compile(r"(?P<language>\w+)(?P<info>[^\n]*)\n"))
run_python = PythonEvaluator()


def code_blocks(document: Document) -> Iterator[Region]:
    for region in fences(document):
        language, info = region.lexemes["language"], region.lexemes["info"]
        if language == "python":
            region.parsed, region.evaluator = region.lexemes["source"], run_block
            yield region
        elif language == "text" and 'title="Output"' in info:
            region.parsed, region.evaluator = region.lexemes["source"], compare_output
            yield region


def run_block(example: Example) -> None:
    with running_by(example.namespace["__run__"]):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run_python(example)
    example.namespace["__printed__"] = printed.getvalue()


@contextlib.contextmanager
def running_by(run: Callable[..., Any]) -> Iterator[None]:
    """Replace `creche.run` for one block: pages of several backends take turns."""
    package: Any = creche
    usual = package.run
    package.run = run
    try:
        yield
    finally:
        package.run = usual


def run_on(name: str) -> Callable[..., Any]:
    run: Callable[..., Any] = creche.run

    def run_here(func: Callable[..., Any], *args: Any, **chosen: Any) -> Any:
        return run(func, *args, **(chosen if "backend" in chosen else BACKENDS[name] | chosen))

    return run_here


def run_in_virtual_time(name: str) -> Callable[..., Any]:
    def run_here(func: Callable[..., Any], *args: Any) -> Any:
        return testing.run(func, *args, backend=name)

    return run_here


def compare_output(example: Example) -> None:
    assert example.namespace["__printed__"] == example.parsed


def pages(
    name: str, run: Callable[..., Any], patterns: tuple[str, ...], excludes: tuple[str, ...] = ()
) -> Sybil:
    def setup(namespace: dict[str, object]) -> None:
        namespace["__run__"] = run
        namespace["__name__"] = "__main__"

    return Sybil(
        [code_blocks, SkipParser()],
        patterns=patterns,
        excludes=excludes,
        document_types={".py": PythonDocStringDocument},
        setup=setup,
        name=name,
    )


VIRTUAL = (
    "docs/learn/*.md",
    "docs/graceful-stop.md",
    "docs/how-to/at-most-n.md",
    "docs/how-to/periodic.md",
    "docs/how-to/timeouts.md",
)
PATTERNS = (
    "docs/*.md",
    "docs/how-to/*.md",
    "README.md",
    "src/creche/*.py",
    "src/creche/*/*.py",
)
pytest_collect_file = SybilCollection(
    [
        *(pages(name, run_on(name), PATTERNS, VIRTUAL) for name in BACKENDS),
        *(pages(name, run_in_virtual_time(name), VIRTUAL) for name in simulating()),
    ]
).pytest()
