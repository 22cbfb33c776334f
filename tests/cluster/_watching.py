"""Looking at processes and files while a test runs, and at what is left after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil

from creche import fail_after, sleep

SESSION = "CRECHE_TEST_SESSION"
"""The variable by which processes of this test run are told from those of another one."""


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    with fail_after(seconds):
        while not condition():
            await sleep(0.002)


def noted(path: Path) -> list[str]:
    """Return what a call has noted so far."""
    return path.read_text().splitlines() if path.exists() else []


def fork_servers() -> list[psutil.Process]:
    """Return every fork server and child of this test run."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(SESSION) == os.environ[SESSION]
            if mine and any("package.fork_server.ForkServer" in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def alive(pid: int) -> bool:
    """Tell whether a process is there and not dead already."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def left_behind() -> list[psutil.Process]:
    """Return the children of this machine, and the fork servers of workers that are not there any more.

    A worker of Dask's that lives on keeps its fork server, but no child for callers that have left.
    """
    found = fork_servers()
    pids = {process.pid for process in found}
    left = []
    for process in found:
        try:
            parent = process.ppid()
            if parent in pids or parent in {1, os.getpid()}:
                left.append(process)
        except psutil.Error:
            continue
    return left
