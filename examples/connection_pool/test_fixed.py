"""`pytest test_fixed.py`: the same tests, of the pool without the bug."""

from pool import Pool
from pool_clients import three_clients

from creche import testing


@testing.virtual_time
async def test_clients_of_one_connection() -> None:
    await three_clients(Pool(1))


@testing.explore()
async def test_clients_of_one_connection_in_any_order() -> None:
    await three_clients(Pool(1))
