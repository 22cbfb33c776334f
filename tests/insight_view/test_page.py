"""The page in a real browser. `make test-browser` runs these; they need a Chromium."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from _viewing import HERE, Context, Web, crowd, service, tell, web

from _harness._chromium import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.time_limit(300)]
on_each_loop = pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])


class Shown(NamedTuple):
    target: subprocess.Popen[str]
    page: Web
    tab: Tab


@contextmanager
def shown(
    running: Context, browser: Browser, size: tuple[int, int] = (1600, 1000)
) -> Iterator[Shown]:
    """Open the page of a program."""
    with running as target, web(target.pid) as page:
        yield Shown(target, page, browser.open(page.address, size=size))


def chosen(tab: Tab) -> str:
    return tab.text(".row[aria-selected=true] .name")


@on_each_loop
def test_it_shows_a_deadlock_s_circle_and_the_cause(browser: Browser, loop: str) -> None:
    with shown(crowd(loop), browser) as (_, _, tab):
        tab.wait_for_text("Deadlock: 2 tasks wait for each other", "#circles")
        tab.wait_for_text("request ×370", "#rows")
        for text in ("forth waits for Lock 'ledger', held by back", "held by forth"):
            assert text in tab.text("#circles")
        tab.press("/")
        tab.type("ledger")
        tab.wait_for("document.querySelectorAll('.row:not([hidden])').length === 2")
        tab.press("Enter")
        tab.press("ArrowDown")
        assert chosen(tab) == "forth"
        tab.wait_for_text("In a circle", "#details")
        tab.press("r")
        tab.wait_for(
            "document.querySelector('.row[aria-selected=true] .name').innerText === 'back'"
        )
        row = tab.text("#resource-rows tr")
        assert "Lock 'database'" in row and "holder" in row and "370" in row
        assert tab.complaints() == []


def test_a_cancel_can_be_followed_through_the_tree(browser: Browser) -> None:
    with shown(service("cancel"), browser) as (target, _, tab):
        tab.wait_for_text("clean_up", "#rows")
        tab.wait_for("document.querySelectorAll('.row[data-state=waiting]').length === 11")
        tell(target)
        tab.wait_for_text("shielded, waiting for", "#rows")
        assert "the operator said so" in tab.text("#rows")
        assert tab.evaluate("document.querySelectorAll('.row[data-state=shielded]').length") == 1
        tab.press("ArrowDown")
        while chosen(tab) != "clean_up":
            tab.press("ArrowDown")
        tab.wait_for_text("cancelled (the operator said so)", "#details")
        # Back to before it was cancelled, and forth again.
        tab.evaluate("document.getElementById('slider').focus()")
        tab.press("Home")
        tab.evaluate("document.getElementById('slider').value = 0")
        tab.evaluate("document.getElementById('slider').dispatchEvent(new Event('input'))")
        tab.wait_for("document.querySelectorAll('.row[data-state=waiting]').length === 11")
        tab.wait_for_text("ago", "#moment")
        assert tab.text("#live") == "paused"
        tab.evaluate("document.getElementById('rows').focus()")
        tab.press(" ")
        tab.wait_for_text("live", "#live")
        tab.wait_for_text("shielded, waiting for", "#rows")
        assert tab.complaints() == []


def test_it_survives_the_end_of_the_target(browser: Browser) -> None:
    with shown(service("end"), browser) as (target, _, tab):
        tab.wait_for_text("worker", "#rows")
        tell(target)
        target.wait()
        told = "The program has ended. What is shown is the last that was seen."
        tab.wait_for_text(told, "#banner")
        assert tab.text("#live") == "ended"
        assert tab.complaints() == []


def test_of_a_target_that_is_killed_the_last_that_was_seen_stays(browser: Browser) -> None:
    with shown(service("end"), browser) as (target, _, tab):
        tab.wait_for_text("worker", "#rows")
        target.kill()
        tab.wait_for_text("The program has ended.", "#banner")
        assert "worker" in tab.text("#rows")
        tab.press("ArrowDown")
        assert chosen(tab)
        assert tab.complaints() == []


def test_it_survives_a_viewer_that_ends(browser: Browser) -> None:
    with shown(service("end"), browser) as (_, page, tab):
        tab.wait_for_text("worker", "#rows")
        page.process.terminate()
        tab.wait_for_text("The viewer ('creche web') has ended.", "#banner")
        assert "worker" in tab.text("#rows")


def test_a_wrong_token_and_a_used_one_are_refused(browser: Browser) -> None:
    with crowd() as target, web(target.pid) as page:
        wrong = browser.open(page.address[:-3] + "xxx")
        wrong.wait_for_text("not the one that the terminal shows", "#banner")
        assert "Lock" not in wrong.text()
        bare = browser.open(page.address.partition("#")[0])
        bare.wait_for_text("Open the address that the terminal shows.", "#banner")
        first = browser.open(page.address)
        first.wait_for_text("request ×370", "#rows")
        assert first.evaluate("location.hash") == ""
        first.do("Page.reload")
        first.wait_for_text("request ×370", "#rows")
        second = browser.open(page.address)
        second.wait_for_text("good once, and was used", "#banner")


def test_a_wrong_host_and_other_sites_are_refused(browser: Browser) -> None:
    with crowd() as target, web(target.pid) as page:
        port = page.host.partition(":")[2]
        other = browser.open(f"http://localhost:{port}/#{page.token}")
        other.wait_for_text(f"This is http://127.0.0.1:{port} and no other host.")
        # A page of another site, here of another port, can neither read nor redeem.
        with crowd() as second, web(second.pid) as elsewhere:
            site = browser.open(elsewhere.address)
            site.wait_for_text("request ×370", "#rows")
            for path in ("/", "/key", "/changes"):
                got = site.evaluate(f"fetch('http://{page.host}{path}').then(() => 1, () => 0)")
                assert got == 0
        good = browser.open(page.address)
        good.wait_for_text("request ×370", "#rows")


def test_it_asks_for_nothing_from_elsewhere(browser: Browser) -> None:
    with shown(crowd(), browser) as (_, page, tab):
        tab.wait_for_text("request ×370", "#rows")
        assert {address.split("/")[2] for address in tab.requests()} == {page.host}
        assert tab.evaluate("document.scripts.length") == 1
        assert (
            tab.evaluate("document.querySelectorAll('[style*=url], [onclick], style').length") == 0
        )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [(390, 844), (1600, 1000)])
def test_it_fits_its_window(browser: Browser, size: tuple[int, int], dark: bool) -> None:
    with shown(crowd(), browser, size) as (_, _, tab):
        tab.be_dark(dark)
        tab.wait_for_text("request ×370", "#rows")
        assert tab.evaluate("document.documentElement.scrollWidth") == size[0]
        assert tab.evaluate("document.documentElement.scrollHeight") == size[1]
        for view in ("tree", "timeline", "resources"):
            if size[0] < 760:
                tab.evaluate(f"document.querySelector('nav [data-tab={view}]').click()")
            wanted = {"tree": "#rows", "timeline": "#timeline", "resources": "#resource-rows"}[view]
            box = tab.evaluate(
                f"(box => [box.left, box.right, box.height])"
                f"(document.querySelector('{wanted}').getBoundingClientRect())"
            )
            assert box[0] >= 0 and box[1] <= size[0] and box[2] > 50
        ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        bright = sum(int(part) for part in ground[4:-1].split(","))
        assert bright < 200 if dark else bright > 700


def test_all_of_it_works_with_the_keyboard(browser: Browser) -> None:
    with shown(crowd(), browser) as (_, _, tab):
        tab.wait_for_text("request ×370", "#rows")
        tab.press("?")
        assert tab.evaluate("document.getElementById('help').open")
        tab.press("Escape")
        tab.wait_for("!document.getElementById('help').open")
        tab.evaluate("document.getElementById('rows').focus()")
        while not chosen(tab).startswith("request"):
            tab.press("ArrowDown")
        tab.press("ArrowRight")
        tab.wait_for_text("request #2", "#rows")
        tab.press("ArrowDown")
        assert chosen(tab) == "request"
        tab.press("r")
        tab.wait_for(
            "document.querySelector('.row[aria-selected=true] .name').innerText === 'holder'"
        )
        assert tab.evaluate("document.getElementById('rows').getAttribute('aria-activedescendant')")
        before = tab.text("#span")
        tab.press("-")
        assert tab.text("#span") != before
        reached = set()
        for _ in range(40):
            tab.press("Tab")
            reached.add(
                tab.evaluate("document.activeElement.id || document.activeElement.className")
            )
        assert {"find", "pause", "slider", "help-button"} <= reached


def test_it_stays_fluid_with_5000_tasks(browser: Browser) -> None:
    with shown(service("many"), browser) as (_, _, tab):
        tab.wait_for_text("tasks ·", "#counts")
        tab.wait_for("parseInt(document.getElementById('counts').innerText) > 5000")
        tab.evaluate("document.getElementById('rows').focus()")
        # Each family is one fold; open some, and go through all of it.
        for _ in range(20):
            tab.press("ArrowDown")
            tab.press("ArrowRight")
        tab.press("End")
        shown_last = tab.wait_for(
            "(row => row && row.getBoundingClientRect().bottom <= innerHeight && row.innerText)"
            "(document.querySelector('.row[aria-selected=true]'))"
        )
        assert shown_last
        assert tab.evaluate("document.querySelectorAll('.row').length") < 120
        assert tab.evaluate("document.querySelectorAll('*').length") < 1500
        # Its frames go on while messages come in: counted, for the machine may be busy.
        tab.evaluate(
            "window.frames_ = 0; (function count() { frames_++; requestAnimationFrame(count) })()"
        )
        time.sleep(2)
        assert tab.evaluate("frames_") > 10
        assert tab.complaints() == []


def test_what_looks_wrong_and_services_that_wait_are_shown(browser: Browser) -> None:
    with shown(service("supervised"), browser) as (_, _, tab):
        tab.wait_for_text("mail", "#services")
        told = tab.text("#services")
        assert "waiting to be restarted, 1 restart, last OSError('the mail server is away')" in told
        tab.wait_for_text("holder holds Lock 'till', which 1 task waits for", "#lints")
        assert tab.complaints() == []


def test_a_recording_opens_in_the_same_page(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "run.creche"
    subprocess.run([sys.executable, str(HERE / "recorded.py"), str(path)], check=True)
    with web(path) as page:
        tab = browser.open(page.address)
        tab.wait_for_text("recording", "#live")
        tab.wait_for_text("before the end", "#moment")
        move = "(s => {{ s.value = {}; s.dispatchEvent(new Event('input')) }})(document.getElementById('slider'))"
        tab.evaluate(move.format(300))
        tab.wait_for_text("worker", "#rows")
        tab.wait_for_text("Lock 'printer'", "#rows")
        tab.evaluate(move.format(850))  # in the clean-up, which takes half of it
        tab.wait_for("!document.querySelector('#rows').innerText.includes('worker')")
        assert "tidy" in tab.text("#rows")
        assert tab.complaints() == []
