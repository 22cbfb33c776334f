"""What listens, what a cut cable does, and TLS: in network namespaces, and on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import _called
import pytest
import trustme
from _hosts import ADDRESSES, POSSIBLE, two_hosts
from _machines import HERE, Machines
from _watching import alive, noted, until
from distributed import Security

from creche.cluster import ClusterError, open_cluster

pytestmark = pytest.mark.soak  # starts processes of Dask: minutes on a small machine

needs_namespaces = pytest.mark.skipif(not POSSIBLE, reason="needs Linux, root and the ip command")

LISTENING = """
import json, sys, creche, psutil
from creche.cluster import open_cluster

async def main():
    async with open_cluster(slots=2) as cluster:
        await cluster.run_sync(abs, -1)
        found = [(c.laddr.ip, c.laddr.port) for c in psutil.net_connections("inet") if c.status == "LISTEN" or c.type == 2]
        print(json.dumps(found))

creche.run(main, backend=sys.argv[1])
"""


@needs_namespaces
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_embedded_cluster_listens_on_loopback_only(loop: str) -> None:
    with two_hosts() as hosts:  # In there nothing else listens.
        done = subprocess.run(
            [*hosts.enter(0), sys.executable, "-c", LISTENING, loop],
            capture_output=True,
            check=True,
            timeout=50,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found, "Dask's HTTP servers listen on loopback"
    assert {address for address, _ in found} <= {"127.0.0.1", "::1"}


CALLER = """
import sys, time, creche, _called
from creche.cluster import open_cluster

async def main():
    async with open_cluster(sys.argv[1], ttl=float(sys.argv[3]), allow_plaintext=True) as cluster:
        while not cluster.workers:
            await creche.sleep(0.01)
        begin = time.monotonic()
        try:
            with creche.move_on_after(float(sys.argv[4])):
                await cluster.run_sync(_called.beat, sys.argv[2], 1, 60, grace=(0, 0))
        except Exception as exc:
            print(type(exc).__name__, time.monotonic() - begin)
        else:
            print("cancelled", time.monotonic() - begin)

creche.run(main, backend="trio")
"""


@needs_namespaces
@pytest.mark.soak
@pytest.mark.time_limit(120)
@pytest.mark.parametrize("seconds", [3.0, 60.0])  # cancelled while the cable is cut, or left alone
def test_a_cut_cable_ends_the_call_on_both_sides(seconds: float, tmp_path: Path) -> None:
    ttl = 2.0
    path = tmp_path / "notes"
    with two_hosts() as hosts, Machines(host=ADDRESSES[0], prefix=hosts.enter(0)) as machines:
        machines.worker(slots=1, host=ADDRESSES[1], prefix=hosts.enter(1))
        caller = subprocess.Popen(
            [*hosts.enter(0), sys.executable, "-c", CALLER, machines.address, str(path), str(ttl),
             str(seconds)],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            wait_for(lambda: noted(path), 40)
            child = int(noted(path)[0].split()[2])
            hosts.cut()
            wait_for(lambda: not alive(child), ttl + 2)
            out = caller.communicate(timeout=30)[0].decode().split()
            assert out[0] == "WorkerUnreachable", out
            assert float(out[1]) < 3 * ttl + 2
            hosts.mend()
            time.sleep(1)  # For whatever may have waited for the cable; nothing may have.
            starts = [line for line in noted(path) if line.startswith("start")]
            assert len(starts) == 1
        finally:
            caller.kill()
            caller.communicate()


def wait_for(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.005)


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    mine = authority.issue_cert("127.0.0.1", "localhost")
    mine.private_key_and_cert_chain_pem.write_to_path(folder / "mine.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other-ca.pem")
    return [str(folder / name) for name in ("ca.pem", "mine.pem", "other-ca.pem")]


@pytest.fixture(scope="module")
def encrypted(certificates: list[str]) -> Iterator[Machines]:
    authority, mine, _ = certificates
    arguments = [
        "--protocol",
        "tls",
        "--tls-ca-file",
        authority,
        "--tls-cert",
        mine,
        "--tls-key",
        mine,
    ]
    with Machines(arguments=arguments) as machines:
        machines.worker(slots=1)
        yield machines


def security(authority: str, mine: str) -> Security:
    return Security(
        tls_ca_file=authority, tls_client_cert=mine, tls_client_key=mine, require_encryption=True
    )  # type: ignore[no-untyped-call]


async def test_everything_goes_over_tls(encrypted: Machines, certificates: list[str]) -> None:
    authority, mine, _ = certificates
    assert encrypted.address.startswith("tls://")
    async with open_cluster(encrypted.address, security=security(authority, mine)) as cluster:
        await until(lambda: cluster.workers, 40)
        assert await cluster.run_sync(divmod, 17, 5) == (3, 2)
        data = bytes(range(256)) * 10_000
        assert await cluster.run_sync(_called.turn, data) == data[::-1]


@pytest.mark.backends("asyncio", "trio")
async def test_a_scheduler_that_nobody_vouches_for_is_refused(
    encrypted: Machines, certificates: list[str]
) -> None:
    _, mine, other = certificates
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}):
        with pytest.raises(ClusterError, match="cannot open tls://"):
            async with open_cluster(encrypted.address, security=security(other, mine)):
                pytest.fail("it was opened")
        with pytest.raises(ClusterError, match="cannot open tcp://"):
            async with open_cluster(encrypted.address.replace("tls://", "tcp://")):
                pytest.fail("it was opened")
