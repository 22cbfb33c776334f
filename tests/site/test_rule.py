"""Which blocks of the documentation get a Run button: the rule, on small pages, and what it says of the real ones."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import page_examples
import pytest
from fetch_pyodide import VERSION
from page_examples import DOCS, Example, examples, judged

FENCE = "```"


def page(*blocks: str) -> str:
    return "\n".join(
        f"{FENCE}python\n{textwrap.dedent(block).strip()}\n{FENCE}\n" for block in blocks
    )


RUNS = "from creche import run, sleep\nrun(sleep, 0)"


def test_a_program_runs() -> None:
    assert examples(page(RUNS)) == [Example(0, RUNS + "\n", "", None)]


def test_it_gets_what_it_needs_from_above_and_no_more() -> None:
    above = """
        import math
        from creche import run, sleep, connect_tcp
        UNUSED = open
        SECONDS = math.pi / 1000

        async def wait() -> None:
            await sleep(SECONDS)

        async def main() -> None:
            await connect_tcp("127.0.0.1", 80)
    """
    last = "async def main() -> None:\n    await wait()\n\nrun(main)"
    (found,) = examples(page(above, last))
    assert found.number == 1
    assert found.before.splitlines() == [
        "import math",
        "",
        "from creche import run",
        "",
        "from creche import sleep",
        "",
        "SECONDS = math.pi / 1000",
        "",
        "async def wait() -> None:",
        "    await sleep(SECONDS)",
    ]


def test_a_name_that_is_used_before_the_block_gives_it_comes_from_above() -> None:
    above, below = "name = 'above'", "print(name)\nname = 'below'"
    assert examples(page(above, below))[0].before == "name = 'above'\n"


def test_what_changes_an_object_comes_with_it() -> None:
    above = "import logging\nlog = logging.getLogger()\nlog.setLevel(10)\nlogging.info('no')"
    (_, found) = examples(page(above, "log.info('yes')"))
    assert found.before.split() == above.rpartition("\n")[0].split()


def test_a_change_by_something_that_was_replaced_is_not_told_again() -> None:
    above = "items = []\nitem = 1\nitems.append(item)\nitem = 2"
    (_, (_, found)) = judged(page(above, "print(items)"))
    assert "was another thing" in str(found)


def test_what_it_prints_is_the_block_below() -> None:
    shown = page(RUNS) + f'\n{FENCE}text title="Output"\nnothing\n{FENCE}\n'
    assert examples(shown)[0].output == "nothing\n"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("from creche import run, connect_tcp\nrun(connect_tcp, 1)", "no connect_tcp"),
        ("import creche\ncreche.run(creche.to_thread.run_sync, print)", "no to_thread"),
        (
            "from creche import run\nfrom creche.streams.tls import TLSStream\nrun(TLSStream)",
            "streams.tls",
        ),
        (
            "from creche import run, sleep\nrun(sleep, 0)\n\nasync def main():\n    await sleep(11)",
            "waits for 11",
        ),
        ("import threading\nthreading.Thread().start()", "may not have threading"),
        ("import asyncio\nasyncio.run(None)", "may not have asyncio"),
        (f"{RUNS}\nrun(sleep, 0, backend='trio')", "chooses a loop"),
        ("async def main(): ...", "only defines"),
        ("run(main)", "nothing above it defines"),
        ("run(", "never closed"),
    ],
)
def test_what_a_browser_has_not_does_not_run(block: str, reason: str) -> None:
    ((_, found),) = judged(page(block))
    assert isinstance(found, page_examples.NotHere) and reason in str(found), found


def test_a_name_out_of_a_statement_that_does_more_is_not_taken() -> None:
    above = "with open('x') as file:\n    text = file.read()"
    (_, (_, found)) = judged(page(above, "print(text)"))
    assert "does more than define it" in str(found)


def test_a_comment_takes_a_block_out() -> None:
    marked = f"<!-- not in the page: it prints the time -->\n{page(RUNS)}"
    assert examples(marked) == []


def test_the_tutorial_and_the_recipes_have_examples() -> None:
    found = {path: len(examples(path.read_text(encoding="utf-8"))) for path in DOCS.rglob("*.md")}
    assert sum(found.values()) > 50
    assert found[DOCS / "tasks.md"] >= 3 and found[DOCS / "cancellation.md"] >= 5


def test_each_example_is_a_program_with_what_it_needs() -> None:
    for path in DOCS.rglob("*.md"):
        for example in examples(path.read_text(encoding="utf-8")):
            compile(f"{example.before}\n{example.source}", str(path), "exec")


def test_the_page_loads_the_python_that_the_tests_run() -> None:
    where = json.loads((Path(DOCS) / "assets" / "run.json").read_text())["pyodide"]
    assert f"/v{VERSION}/" in where and where.startswith("https://") and where.endswith("/")
