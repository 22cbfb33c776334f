"""What type checkers are to make of processes and signals. Never run."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from creche import open_process, open_signal_receiver, run_process
from creche.abc import ByteReceiveStream, ByteSendStream, Process


async def processes() -> None:
    done = await run_process(["cat", Path("x"), b"y"], input=b"", env={"A": "b"}, umask=0o22)
    assert_type(done, subprocess.CompletedProcess[bytes])
    async with await open_process("cat", stderr=subprocess.STDOUT, pass_fds=(1, 2)) as process:
        assert_type(process, Process)
        assert_type(process.stdin, ByteSendStream | None)
        assert_type(process.stdout, ByteReceiveStream | None)
        assert_type(await process.wait(), int)
        assert_type(process.returncode, int | None)
        process.send_signal(signal.SIGHUP)


async def signals() -> None:
    with open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        assert_type(received, AsyncIterator[signal.Signals])
        async for signum in received:
            assert_type(signum, signal.Signals)
