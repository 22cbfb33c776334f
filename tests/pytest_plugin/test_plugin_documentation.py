"""The test files in the documentation of the plugin, run by pytest as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from _inner import Inner

PAGE = Path(__file__).parents[2] / "docs" / "pytest.md"
FILES = dict(re.findall(r"```python\n# (test_\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("test_first.py", 2),
        ("test_backends.py", 3),
        ("test_server.py", 4),
        ("test_patience.py", 2),
    ],
)
def test_the_files_on_the_page_pass(inner: Inner, name: str, tests: int) -> None:
    inner.write(name, FILES[name])
    assert inner.run().counts() == {"passed": tests}


def test_no_file_on_the_page_is_left_out() -> None:
    assert len(FILES) == 4
