"""Five tasks in a group.

The block ends when all five tasks have ended: nothing that was started in it outlives it. Each
`start_soon` returns a handle, and after the block every handle has its task's result.
"""

from creche import create_task_group, run, sleep


async def load(page: int, loading: set[int]) -> str:
    loading.add(page)
    await sleep(0.1)  # a download, say
    return f"page {page} was loaded together with {len(loading) - 1} others"


async def main() -> None:
    loading: set[int] = set()
    async with create_task_group() as tg:
        handles = [tg.start_soon(load, page, loading) for page in range(1, 6)]
        print(f"{len(handles)} tasks started")

    for handle in handles:
        print(handle.return_value)


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/tasks.py
