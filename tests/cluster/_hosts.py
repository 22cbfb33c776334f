"""Two hosts, made of network namespaces and a cable between them. Needs Linux, root and `ip`.

Nothing of it can reach, or be reached from, any other network. Everything is taken down at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

POSSIBLE = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") is not None
ADDRESSES = ("10.231.77.1", "10.231.77.2")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Hosts:
    """Two namespaces. `enter(0)` is what a command begins with to run in the first one."""

    def __init__(self) -> None:
        self._names = [f"creche-{os.getpid()}-{number}" for number in (0, 1)]
        self._cable = [f"crv{os.getpid() % 100000}{end}" for end in "ab"]

    def up(self) -> None:
        for name in self._names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", self._cable[0], "type", "veth", "peer", "name", self._cable[1])
        for name, end, address in zip(self._names, self._cable, ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")

    def cut(self) -> None:
        """Cut the cable: what is sent is lost, and nobody is told."""
        ip("netns", "exec", self._names[0], "ip", "link", "set", self._cable[0], "down")

    def mend(self) -> None:
        ip("netns", "exec", self._names[0], "ip", "link", "set", self._cable[0], "up")

    def enter(self, number: int) -> list[str]:
        return ["ip", "netns", "exec", self._names[number]]

    def down(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    try:
        hosts.up()
        yield hosts
    finally:
        hosts.down()
