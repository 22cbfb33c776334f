"""`pytest test_buggy.py`: one test passes each time, and one knows better."""

from pool_buggy import Pool
from pool_clients import three_clients

from creche import testing


@testing.virtual_time
async def test_clients_of_one_connection() -> None:
    await three_clients(Pool(1))


@testing.explore()
async def test_clients_of_one_connection_in_any_order() -> None:
    await three_clients(Pool(1))
