"""Runs the Python blocks of the documentation and of docstrings on every backend, and compares
what they print.

The blocks of one page share a namespace, from top to bottom. A block fenced as
```text title="Output"``` after a Python block is what that block prints. A block that names a
backend gets that one; every other `run` is on the backend whose turn it is.
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
from creche._registry import variants

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
    with on_backend(example.namespace["__backend__"]):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run_python(example)
    example.namespace["__printed__"] = printed.getvalue()


@contextlib.contextmanager
def on_backend(name: str) -> Iterator[None]:
    """Make `creche.run` run on a backend, for one block: pages of several backends take turns."""
    package: Any = creche
    run = package.run

    def run_here(func: Callable[..., Any], *args: Any, **chosen: Any) -> Any:
        return run(func, *args, **(chosen or BACKENDS[name]))

    package.run = run_here
    try:
        yield
    finally:
        package.run = run


def compare_output(example: Example) -> None:
    assert example.namespace["__printed__"] == example.parsed


def pages(backend: str) -> Sybil:
    def setup(namespace: dict[str, object]) -> None:
        namespace["__backend__"] = backend
        namespace["__name__"] = "__main__"

    return Sybil(
        [code_blocks, SkipParser()],
        patterns=[
            "docs/*.md",
            "docs/how-to/*.md",
            "README.md",
            "src/creche/*.py",
            "src/creche/*/*.py",
        ],
        document_types={".py": PythonDocStringDocument},
        setup=setup,
        name=backend,
    )


pytest_collect_file = SybilCollection([pages(backend) for backend in BACKENDS]).pytest()
