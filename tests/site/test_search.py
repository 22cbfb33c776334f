"""What users ask, typed into the site's search in a real Chromium: the first result is the page that answers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from _harness._chromium import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.time_limit(300)]
ROOT = "[...document.body.children].map(each => each.shadowRoot).find(Boolean)"
"""The search draws into a tree of its own."""

QUESTIONS = {
    "graceful shutdown": "how-to/graceful-shutdown/",
    "retry": "how-to/retry/",
    "rate limit": "how-to/rate-limit/",
    "hang": "debugging/",
    "timeout": "how-to/timeouts/",
    "worker pool": "how-to/worker-pool/",
    "at most": "how-to/at-most-n/",
    "periodic": "how-to/periodic/",
    "fastapi": "how-to/fastapi/",
    "first answer": "how-to/first-answer/",
    "async generators": "how-to/generators/",
    "progress bar": "how-to/progress/",
    "logging": "how-to/logging/",
    "notebook": "how-to/notebooks/",
    "mcp": "how-to/mcp/",
}


@pytest.fixture(scope="module")
def searching(browser: Browser, address: str) -> Iterator[Tab]:
    tab = browser.open(address)
    tab.wait_for("document.querySelector('.md-search__button') !== null")
    tab.evaluate("document.querySelector('.md-search__button').click()")
    tab.wait_for(f"!!{ROOT}?.querySelector('input')")
    yield tab
    assert tab.complaints() == []


def results(tab: Tab) -> list[str]:
    found: list[str] = tab.evaluate(
        f"[...{ROOT}.querySelectorAll('[role=option]')].map(each => each.href)"
    )
    return found


@pytest.mark.parametrize(("words", "answer"), QUESTIONS.items(), ids=list(QUESTIONS))
def test_the_first_result_answers(searching: Tab, address: str, words: str, answer: str) -> None:
    searching.evaluate(
        f"{ROOT}.querySelector('input').focus(), {ROOT}.querySelector('input').select()"
    )
    searching.do("Input.dispatchKeyEvent", type="keyDown", key="Delete", windowsVirtualKeyCode=46)
    searching.wait_for(f"{ROOT}.querySelectorAll('[role=option]').length === 0")
    searching.do("Input.insertText", text=words)
    searching.wait_for(f"{ROOT}.querySelectorAll('[role=option]').length > 0")
    shown = [urlsplit(url).path.removeprefix("/") for url in results(searching)[:5]]
    assert shown[0] == answer, shown
