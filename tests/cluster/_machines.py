"""Schedulers and workers of Dask as a user would start them: processes with a command line.

Owns the processes, and ends them. They listen on loopback, unless they are put into a network namespace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from _watching import until

from creche.cluster import Cluster, open_cluster

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"


class Machines:
    """One scheduler, and workers as they are asked for."""

    def __init__(
        self,
        *,
        host: str = LOOPBACK,
        arguments: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._arguments = arguments
        self.scheduler = self.start(
            [*prefix, sys.executable, "-m", "dask", "scheduler", "--host", host, "--port", "0",
             "--scheduler-file", str(self._file), "--dashboard-address", f"{host}:0",
             "--no-jupyter"]
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def start(self, command: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of this cluster's, which ends with it."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        with (Path(self._folder.name) / f"log-{len(self._processes)}").open("wb") as log:
            process = subprocess.Popen(
                [*command, *self._arguments],
                env={**inherited, "PYTHONPATH": str(HERE), "PYTHONUNBUFFERED": "1", **environment},
                stdout=log,
                stderr=log,
                cwd=self._folder.name,
            )
        self._processes.append(process)
        return process

    @property
    def address(self) -> str:
        """Where the scheduler is, once it is there."""
        end = time.monotonic() + 30
        while True:
            try:
                return str(json.loads(self._file.read_text())["address"])
            except (OSError, ValueError, KeyError):
                if time.monotonic() > end or self.scheduler.poll() is not None:
                    raise RuntimeError(f"no scheduler: {self.log(0)}") from None
                time.sleep(0.02)

    def worker(
        self,
        *options: str,
        slots: int = 2,
        nanny: bool = False,
        python: str = sys.executable,
        host: str = LOOPBACK,
        prefix: Sequence[str] = (),
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """Start a worker, or several with `--nworkers`."""
        return self.start(
            [*prefix, python, "-m", "dask", "worker", self.address, "--nthreads", str(slots),
             "--host", host, "--dashboard-address", f"{host}:0", "--death-timeout", "60",
             "--local-directory", self._folder.name,
             "--nanny" if nanny else "--no-nanny", *options],
            **environment,
        )  # fmt: skip

    def log(self, number: int) -> str:
        return (Path(self._folder.name) / f"log-{number}").read_text(errors="replace")

    def end(self) -> None:
        """End everything that was started, frozen or not."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(18)  # SIGCONT
                process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()


@asynccontextmanager
async def opened(machines: Machines | None, workers: int = 1) -> AsyncGenerator[Cluster, None]:
    """Open a cluster that is there, and wait for its workers; for None, one in this process, with one slot."""
    address, slots = (machines.address, None) if machines is not None else (None, 1)
    async with open_cluster(address, slots=slots) as cluster:
        await until(lambda: len(cluster.workers) == workers, 40)
        yield cluster


@cache
def other_python() -> tuple[str, str] | None:
    """Return a Python of another minor version that can run Dask out of this one's packages, and their path."""
    site = sysconfig.get_path("purelib")
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin"))
    for folder in folders:
        for minor in (14, 13, 12, 11):
            python = folder / f"python3.{minor}"
            if minor == sys.version_info.minor or not python.exists():
                continue
            tried = subprocess.run(
                [python, "-c", "import distributed, cloudpickle"],
                env={**os.environ, "PYTHONPATH": site},
                capture_output=True,
                timeout=60,
            )
            if tried.returncode == 0:
                return str(python), site
    return None
