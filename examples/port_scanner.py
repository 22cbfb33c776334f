"""A port scanner: many ports, a few at a time, and patience with none.

`CapacityLimiter` bounds how many connections are tried at once, `move_on_after` how long each may
take. Here the machine scans itself: three ports where somebody listens, forty where nobody does,
and one that never answers.
"""

import socket
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack

from creche import CapacityLimiter, amap, connect_tcp, move_on_after, run

AT_ONCE = 10
PATIENCE = 0.5  # seconds


class Scanner:
    def __init__(self, host: str) -> None:
        self.host = host
        self.limiter = CapacityLimiter(AT_ONCE)
        self.most_at_once = 0.0

    async def scan(self, ports: Iterable[int]) -> dict[int, str]:
        """Tell what each port is: open, closed or silent."""
        numbers = list(ports)
        return dict(zip(numbers, await amap(self.probe, numbers), strict=True))

    async def probe(self, port: int) -> str:
        async with self.limiter:
            self.most_at_once = max(self.most_at_once, self.limiter.borrowed_tokens)
            return await self.connect(port)

    async def connect(self, port: int) -> str:
        with move_on_after(PATIENCE):
            try:
                await (await connect_tcp(self.host, port)).aclose()
            except OSError:
                return "closed"
            return "open"
        return "silent"


class Machine(ExitStack):
    """Ports of all kinds, on 127.0.0.1."""

    def port(self, *, queue: int | None = None) -> int:
        """Take a port; with a `queue` for connections it is open."""
        sock = self.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        if queue is not None:
            sock.listen(queue)
        return int(sock.getsockname()[1])

    def silent_port(self) -> int:
        """A port whose queue is full, so that connecting neither succeeds nor fails."""
        port = self.port(queue=0)
        first = self.enter_context(socket.socket())
        first.connect(("127.0.0.1", port))
        return port


async def main() -> None:
    with Machine() as machine:
        open_ones = [machine.port(queue=100) for _ in range(3)]
        silent = machine.silent_port()
        ports = [machine.port() for _ in range(40)] + open_ones + [silent]

        scanner = Scanner("127.0.0.1")
        found = await scanner.scan(ports)

    for state, number in sorted(Counter(found.values()).items()):
        print(f"{number:2} {state}")
    print("open where somebody listens:", all(found[port] == "open" for port in open_ones))
    print("silent where the queue is full:", found[silent] == "silent")
    print(f"at most {scanner.most_at_once} were tried at once")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/port_scanner.py
