"""A crawler: so many pages at a time, so many a second, and a bar.

The pages to fetch come from a memory stream, and each page that is fetched adds its links to it. So
the source of the map grows while it is read; when nothing is under way any more the stream is closed,
and the map ends. A page that fails is told, and fails no other.

To see a progress bar, of one package or the other: BAR=rich or BAR=tqdm before the command.
"""

import os
from collections.abc import Callable
from math import inf

from creche import create_memory_object_stream, run, sleep
from creche.flow import Mapped, as_mapped

SITE = {
    "/": ["/guide", "/reference", "/blog"],
    "/guide": ["/guide/tasks", "/guide/scopes", "/"],
    "/reference": ["/reference/flow", "/missing"],
    "/blog": ["/guide", "/blog/first"],
    "/guide/tasks": ["/guide/scopes"],
    "/guide/scopes": ["/reference/flow"],
    "/reference/flow": [],
    "/blog/first": ["/", "/blog"],
}


async def fetch(url: str) -> list[str]:
    """Return the links of a page."""
    await sleep(0.002)  # the network
    return SITE[url]


async def main() -> None:
    frontier, urls = create_memory_object_stream[str](inf)
    known = {"/"}
    frontier.send_nowait("/")
    with frontier, urls:
        async with as_mapped(fetch, urls, at_most=4, per_second=500, errors="return") as pages:
            advance = bar_of(pages)
            async for url, outcome in pages:
                if outcome.error is not None:
                    print(f"{url} cannot be fetched")
                else:
                    new = set(outcome.value) - known
                    known |= new
                    for link in new:
                        frontier.send_nowait(link)
                advance(len(known))
                if pages.done == len(known):
                    frontier.close()  # Nothing is under way that could find more.
    print(f"{pages.done} pages, {pages.failed} of them missing:", *sorted(known))


# The bars


def bar_of(pages: Mapped[object]) -> Callable[[int], None]:
    """Return what shows how far the crawl is, of so many pages that are known."""
    bars = {"rich": bar_of_rich, "tqdm": bar_of_tqdm}
    make = bars.get(os.environ.get("BAR", ""))
    return (lambda total: None) if make is None else make(pages)


def bar_of_rich(pages: Mapped[object]) -> Callable[[int], None]:
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True))
    task = bar.add_task("crawling")
    bar.start()

    def advance(total: int) -> None:
        bar.update(task, completed=pages.done, total=total)
        if pages.done == total:
            bar.stop()

    return advance


def bar_of_tqdm(pages: Mapped[object]) -> Callable[[int], None]:
    from tqdm import tqdm

    bar = tqdm(desc="crawling", unit="page")

    def advance(total: int) -> None:
        bar.total = total
        bar.update(pages.done - bar.n)
        if pages.done == total:
            bar.close()

    return advance


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/crawler.py
