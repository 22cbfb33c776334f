"""Two children fail at once: `except*` handles each kind.

No error is lost and none wins by luck: they arrive together, in one exception group, after every
other task of the group has been cancelled and has cleaned up.
"""

from creche import create_task_group, run, sleep_forever


async def parse(text: str) -> int:
    return int(text)


async def look_up(key: str) -> str:
    return {"colour": "green"}[key]


async def bystander() -> None:
    try:
        await sleep_forever()
    finally:
        print("bystander: cancelled, cleaning up")


async def main() -> None:
    try:
        async with create_task_group() as tg:
            tg.start_soon(bystander)
            tg.start_soon(parse, "twelve")
            tg.start_soon(look_up, "size")
    except* ValueError as bad_values:
        for bad in bad_values.exceptions:
            print(f"a bad value: {bad}")
    except* KeyError as missing_keys:
        for missing in missing_keys.exceptions:
            print(f"a missing key: {missing}")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/errors_except_star.py
