"""Runs the Python blocks of the documentation on every backend, and compares what they print.

The blocks of one page share a namespace, from top to bottom. A block fenced as
```text title="Output"``` after a Python block is what that block prints.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Iterator

from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import SkipParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.sybil import SybilCollection

import creche

BACKENDS = ["asyncio", "trio"]
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
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run_python(example)
    example.namespace["__printed__"] = printed.getvalue()


def compare_output(example: Example) -> None:
    assert example.namespace["__printed__"] == example.parsed


def pages(backend: str) -> Sybil:
    run = creche.run

    def setup(namespace: dict[str, object]) -> None:
        creche.run = functools.partial(run, backend=backend)

    def teardown(namespace: dict[str, object]) -> None:
        creche.run = run

    return Sybil(
        [code_blocks, SkipParser()],
        patterns=["docs/*.md", "README.md"],
        setup=setup,
        teardown=teardown,
        name=backend,
    )


pytest_collect_file = SybilCollection([pages(backend) for backend in BACKENDS]).pytest()
