"""`open_cluster`: which engine, and whether the way to it is safe.

Owns the checks of what `open_cluster` is given. Imports an engine when one is opened, for Dask takes half a
second.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from math import inf
from typing import Any
from urllib.parse import urlsplit

from .calls import Calls
from .cluster import Cluster
from .contract import Engine
from .output import Output

SCHEMES = ("tcp", "tls", "inproc", "ws", "wss", "ucx", "ucxx")


@asynccontextmanager
async def open_cluster(
    address: str | None = None,
    *,
    security: Any = None,
    ttl: float = 15.0,
    allow_plaintext: bool = False,
    slots: int | None = None,
    log: logging.Logger | None = None,
) -> AsyncGenerator[Cluster, None]:
    """Open a cluster, to call functions on its machines. An async context manager.

    Without an address it is an embedded cluster: this process places the calls, and makes them in child
    processes on this machine. Nothing listens but on loopback. With one it is the Dask cluster that has its
    scheduler there; nothing has to be installed on its workers.

    ```python
    import creche
    from creche.cluster import open_cluster


    async def main() -> None:
        async with open_cluster() as cluster:
            print(await cluster.run_sync(pow, 2, 100))


    if __name__ == "__main__":
        creche.run(main)
    ```

    Leaving the block ends what still runs, and disconnects.

    :param address: where the Dask scheduler is, such as `"tls://10.0.0.7:8786"`; None for an embedded cluster
    :param security: certificates, as a `distributed.Security`
    :param ttl: seconds after which workers end the calls of a caller that they do not hear of, and callers give
        up workers
    :param allow_plaintext: whether an address on another machine may be used without TLS. Whoever can read
        that traffic can read the calls, and whoever can write there can run what they like
    :param slots: how many calls an embedded cluster makes at a time; None for the number of processors
    :param log: where to log what calls print; what they log goes to the loggers of the same names. None for
        neither
    :raises TypeError: an argument is of the wrong type
    :raises ValueError: an argument is not as said above, or the address needs TLS
    :raises ModuleNotFoundError: the extra `creche[cluster]` is not installed
    :raises ClusterError: there is no cluster at the address, or it cannot be used
    """
    check(address, security, ttl, allow_plaintext, slots)
    engine = dask_engine(address, security, ttl, slots)
    async with serve(engine, ttl, log) as cluster:
        yield cluster


@asynccontextmanager
async def serve(
    engine: Engine, ttl: float, log: logging.Logger | None = None
) -> AsyncGenerator[Cluster, None]:
    """Open any engine as a cluster."""
    calls = Calls(engine, None if log is None else Output(log))
    await engine.open(calls)
    try:
        yield Cluster(engine, calls, ttl)
    finally:
        calls.cluster_lost("the cluster was closed")
        await engine.close()


def dask_engine(address: str | None, security: Any, ttl: float, slots: int | None) -> Engine:
    try:
        from .dask.engine import DaskEngine
    except ModuleNotFoundError as exc:
        raise ModuleNotFoundError(
            f"creche.cluster needs Dask's distributed ({exc}): install it with "
            "`pip install 'creche[cluster]'`"
        ) from exc
    return DaskEngine(address, security, ttl, slots)


def check(
    address: str | None, security: Any, ttl: float, allow_plaintext: bool, slots: int | None
) -> None:
    """Refuse what cannot work, or would not be safe."""
    if not isinstance(ttl, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
        raise TypeError(f"ttl must be a number of seconds, not {ttl!r}")
    if not 1 <= ttl < inf:
        raise ValueError(f"ttl must be 1 second or more, and an end to wait for, not {ttl!r}")
    if slots is not None and not isinstance(slots, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"slots must be an int, not {slots!r}")
    if slots is not None and slots < 1:
        raise ValueError(f"slots must be 1 or more, not {slots!r}")
    if address is None:
        return
    if slots is not None:
        raise ValueError("slots is for an embedded cluster: leave out the address, or slots")
    scheme, host = _parts(address)
    if scheme == "tls" and security is None:
        raise ValueError(
            f"{address} needs certificates: pass security=distributed.Security(tls_ca_file=..., "
            "tls_client_cert=..., tls_client_key=..., require_encryption=True)"
        )
    if scheme in {"tls", "inproc"} or allow_plaintext or is_loopback(host):
        return
    raise ValueError(
        f"{address} is another machine, and {scheme}:// is not encrypted: whoever is on the way could run "
        "code on your workers. Start the cluster with TLS and use its tls:// address with security=, or pass "
        "allow_plaintext=True if the network is yours alone"
    )


def _parts(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        host = parts.hostname or ""
        good = parts.scheme in SCHEMES and (bool(host) or parts.scheme == "inproc")
    except ValueError:
        good, host, parts = False, "", urlsplit("")
    if not good:
        raise ValueError(
            f"{address!r} is no address of a scheduler: it looks like tcp://127.0.0.1:8786 or "
            "tls://10.0.0.7:8786"
        )
    return parts.scheme, host


def is_loopback(host: str) -> bool:
    """Tell whether a host can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
