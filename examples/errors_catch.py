"""Two children fail at once: `exceptiongroup.catch` calls handlers.

The same as `except*` for code that must also run where that is no syntax yet, or that picks its
handlers at run time. A handler is a function, so what it finds out leaves it by `nonlocal`. It
needs the package `exceptiongroup`.
"""

from exceptiongroup import BaseExceptionGroup, catch

from creche import create_task_group, run


async def parse(text: str) -> int:
    return int(text)


async def look_up(key: str) -> str:
    return {"colour": "green"}[key]


async def main() -> None:
    values = keys = 0
    last_key = ""

    def on_bad_value(group: BaseExceptionGroup[BaseException]) -> None:
        nonlocal values
        values += len(group.exceptions)

    def on_missing_key(group: BaseExceptionGroup[BaseException]) -> None:
        nonlocal keys, last_key
        keys += len(group.exceptions)
        last_key = str(group.exceptions[-1])

    with catch({ValueError: on_bad_value, (KeyError, IndexError): on_missing_key}):
        async with create_task_group() as tg:
            tg.start_soon(parse, "twelve")
            tg.start_soon(parse, "a dozen")
            tg.start_soon(look_up, "size")

    print(f"bad values: {values}")
    print(f"missing keys: {keys}, the last one {last_key}")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/errors_catch.py
