"""Checksums of all files in a directory, made in threads, four at a time.

Reading and hashing block, so they happen in worker threads. The limiter bounds how many files are
open at a time. A task for each file waits its turn; a file that cannot be read is told of, and does not
stop the others.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from creche import CapacityLimiter, create_task_group, from_thread, run, to_thread

CHUNK = 1 << 16


def files_below(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        from_thread.check_cancelled()  # A long walk ends early if nobody wants it any more.
        yield from (Path(where, name) for name in names)


def checksum(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            from_thread.check_cancelled()
            digest.update(chunk)
    return digest.hexdigest()


async def checksums(folder: Path) -> dict[Path, str]:
    limiter = CapacityLimiter(4)
    results: dict[Path, str] = {}

    async def add(path: Path) -> None:
        try:
            results[path] = await to_thread.run_sync(checksum, path, limiter=limiter)
        except OSError as exc:
            results[path] = f"cannot be read: {exc.strerror}"

    async with create_task_group() as tg:
        for path in await to_thread.run_sync(lambda: list(files_below(folder))):
            tg.start_soon(add, path)
    return results


def fill(folder: Path) -> None:
    (folder / "sub").mkdir()
    for number in range(5):
        (folder / f"number {number}").write_bytes(bytes([number]) * 100_000)
    (folder / "sub" / "empty").touch()
    (folder / "sub" / "lost").symlink_to("nowhere")


async def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
        for path, result in sorted((await checksums(folder)).items()):
            print(f"{path.relative_to(folder).as_posix()}: {result}")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/checksums.py
