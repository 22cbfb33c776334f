"""The examples run in the page, behind their buttons, in a real Chromium. `make test-site`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _serving import serving

from _harness._chromium import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.time_limit(400)]
FIRST = "document.querySelector('.run')"


@pytest.fixture(scope="module")
def running(site: Path, pyodide: Path) -> Iterator[str]:
    with serving(site, pyodide) as address:
        yield address


def press_run(tab: Tab) -> None:
    tab.evaluate(f"{FIRST}.querySelector('.run-button').click()")


def wait_for_state(tab: Tab, text: str) -> None:
    tab.wait_for_text(text, ".run-state")


def test_it_runs_shows_the_tasks_and_can_be_edited(browser: Browser, running: str) -> None:
    tab = browser.open(f"{running}tasks/", size=(390, 900))
    tab.wait_for("document.querySelector('.run-button') !== null")
    assert not [url for url in tab.requests() if "pyodide" in url], "Python is loaded on demand"
    press_run(tab)
    wait_for_state(tab, " ms")
    assert tab.text(".run-output").splitlines() == ["started", "['page 1', 'page 2', 'page 3']"]
    names = tab.evaluate(f"[...{FIRST}.querySelectorAll('.run-name')].map(each => each.innerText)")
    assert names == ["main", "load", "load", "load"]
    outcomes = tab.evaluate(f"[...{FIRST}.querySelectorAll('.run-outcome')].map(e => e.innerText)")
    assert outcomes[1:] == ["returned"] * 3
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")

    edit(
        tab,
        "from creche import run, sleep\nasync def main():\n    await sleep(0)\n    print('edited')\nrun(main)",
    )
    press_run(tab)
    tab.wait_for_text("edited", ".run-output")
    wait_for_state(tab, " ms")
    tab.evaluate(f"{FIRST}.querySelector('.run-reset').click()")
    assert "def load" in tab.text(".language-python code")
    assert tab.complaints() == []


def edit(tab: Tab, text: str) -> None:
    """Replace the first program, as one does who selects all of it and types."""
    tab.evaluate("document.querySelector('.language-python code').focus()")
    tab.evaluate("document.execCommand('selectAll')")
    tab.do("Input.insertText", text=text)


def test_an_error_shows_the_lines_of_the_program(browser: Browser, running: str) -> None:
    tab = browser.open(f"{running}tasks/")
    tab.wait_for("document.querySelector('.run-button') !== null")
    edit(tab, "import creche\nasync def main():\n    1 / 0\ncreche.run(main)")
    press_run(tab)
    wait_for_state(tab, " ms")
    shown = tab.text(".run-output")
    assert shown.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert 'File "the program", line 3, in main' in shown and "creche/" not in shown


def test_a_program_that_does_not_end_is_stopped(browser: Browser, running: str) -> None:
    tab = browser.open(f"{running}tasks/")
    tab.wait_for("document.querySelector('.run-button') !== null")
    edit(tab, "print('begun')\nwhile True: pass")
    press_run(tab)
    tab.wait_for_text("begun", ".run-output")
    press_run(tab)
    wait_for_state(tab, "stopped")
    edit(tab, "print('again')")
    press_run(tab)
    tab.wait_for_text("again", ".run-output")


def test_without_a_network_the_page_says_so(browser: Browser, address: str) -> None:
    tab = browser.open(f"{address}tasks/")  # No Pyodide is served here.
    tab.wait_for("document.querySelector('.run-button') !== null")
    press_run(tab)
    tab.wait_for_text("Python could not be loaded here", ".run-output")
    assert tab.text(".run-state") == "not run"


def test_without_scripts_a_page_has_plain_code(browser: Browser, address: str) -> None:
    tab = browser.open("about:blank")
    tab.do("Emulation.setScriptExecutionDisabled", value=True)
    tab.go(f"{address}tasks/")
    tab.wait_for_text("async def load", ".language-python code")
    assert tab.evaluate("document.querySelector('.run') === null")
