"""A crawler walks the built site in a real Chromium: links, the console, and what fits. `make test-site`."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from _harness._chromium import Browser

pytestmark = [pytest.mark.browser, pytest.mark.time_limit(400)]
PHONE, DESK = (390, 844), (1280, 800)
TALLEST = {"api/creche/": 140_000}
"""Pixels on a phone, of the page that has all names of the front module."""
TALL = 80_000
"""Those of all others. A page that is longer is one that nobody reads: it is to be several."""

CUT = """
[...document.querySelectorAll("pre, pre > code, .md-typeset__table, .run")].filter(element => {
  const holders = [element, element.parentElement].map(each => getComputedStyle(each).overflowX);
  return element.scrollWidth > element.clientWidth + 1 && !holders.some(each => each === "auto" || each === "scroll");
}).map(element => element.className + ": " + element.innerText.slice(0, 60))
"""
WIDE = """
document.documentElement.scrollWidth > innerWidth
  ? [...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 3).map(e => e.tagName + "." + e.className + ": " + e.innerText?.slice(0, 60))
  : []
"""


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src") and (tag, name) != ("base", "href"):
                self.links.add(value)
            elif value and name in ("id", "name"):
                self.anchors.add(value)


def pages_of(site: Path) -> dict[str, Path]:
    """Return the pages by their address below the site's."""
    found: dict[str, Path] = {}
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        found[re.sub(r"(^|/)index\.html$", r"\1", name)] = path
    return found


def test_no_link_is_broken(site: Path) -> None:
    base = "http://site/"
    pages = {name: Page(path) for name, path in pages_of(site).items()}
    assert len(pages) > 50
    broken: list[str] = []
    home = re.search(r"^site_url: (\S+)$", (site.parent / "mkdocs.yml").read_text(), re.MULTILINE)
    assert home is not None
    for name, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(urljoin(base + name, link).replace(home[1], base))
            if not target.startswith(base):
                continue
            place = unquote(urlsplit(target).path).removeprefix("/")
            if place in pages:
                if anchor and unquote(anchor) not in pages[place].anchors:
                    broken.append(f"{name or 'home'}: {link} has no such anchor")
            elif not (site / place).is_file():
                broken.append(f"{name or 'home'}: {link}")
    assert broken == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_each_page_fits_and_has_nothing_to_complain_of(
    site: Path, address: str, browser: Browser, dark: bool
) -> None:
    tab = browser.open(address, size=DESK, dark=dark)
    wrong: dict[str, object] = {}
    for name in pages_of(site):
        if name == "404.html":
            continue
        tab.go(address + name)
        tab.wait_for(f"location.href === {address + name!r} && document.readyState === 'complete'")
        for size in (DESK, PHONE):
            tab.resize(*size)
            for what, expression in (("too wide", WIDE), ("cut off", CUT)):
                if found := tab.evaluate(expression):
                    wrong[f"{name or 'home'} at {size[0]}: {what}"] = found
        height = tab.evaluate("document.documentElement.scrollHeight")
        if height > TALLEST.get(name, TALL):
            wrong[f"{name} on a phone: too long"] = height
    assert wrong == {}
    assert tab.complaints() == []
    scheme = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", scheme)[:3])) < 384) is dark


def test_an_unknown_address_gets_a_page_that_leads_on(address: str, browser: Browser) -> None:
    tab = browser.open(f"{address}no/such/page/")
    tab.wait_for_text("404")
    assert tab.evaluate("document.querySelectorAll('a[href]').length") > 10
