"""A TLS proxy: TLS in front, plain TCP to a server behind it.

Two tasks copy bytes, one for each direction. The end of one direction is passed on, and when both
have ended the connection is over. The certificate is made on the spot with the package `trustme`;
`CERTIFICATE=server.pem BACKEND=localhost:8080 PORT=8443 python examples/tls_proxy.py`
puts a server of yours behind one that you have.
"""

import os
import ssl
from functools import partial

from creche import (
    TASK_STATUS_IGNORED,
    BrokenResourceError,
    ConnectionFailed,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    run,
)
from creche.abc import ByteStream, SocketAttribute, SocketStream, TaskStatus
from creche.streams.tls import TLSAttribute, TLSListener, TLSStream

Address = tuple[str, int]


async def copy(source: ByteStream, target: ByteStream) -> None:
    """Pass on what comes, and then the end of it."""
    async for data in source:
        await target.send(data)
    await target.send_eof()


async def join(backend: Address, client: TLSStream) -> None:
    """Connect a client to the server behind, until both have said all."""
    async with client:
        try:
            server = await connect_tcp(*backend)
        except ConnectionFailed as exc:
            print(f"proxy: nobody is behind it: {exc}")
            return
        try:
            async with server, create_task_group() as tg:
                tg.start_soon(copy, client, server)
                tg.start_soon(copy, server, client)
        except* (BrokenResourceError, NotImplementedError):
            pass  # one side is gone; or it is older than TLS 1.3, where both directions end at once


async def proxy(
    port: int,
    backend: Address,
    context: ssl.SSLContext,
    *,
    task_status: TaskStatus[int] = TASK_STATUS_IGNORED,
) -> None:
    async with await create_tcp_listener(local_host="127.0.0.1", local_port=port) as tcp:
        task_status.started(tcp.extra(SocketAttribute.local_port))
        listener = TLSListener(tcp, context, standard_compatible=False)
        await listener.serve(partial(join, backend))


async def shout(client: SocketStream) -> None:
    """What is behind the proxy in the demonstration: it shouts back."""
    async with client:
        async for data in client:
            await client.send(data.upper())


async def demonstrate() -> None:
    import trustme

    authority = trustme.CA()
    for_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(for_server)
    for_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(for_client)

    async with create_task_group() as tg, await create_tcp_listener(local_host="127.0.0.1") as tcp:
        tg.start_soon(tcp.serve, shout)
        backend = ("127.0.0.1", tcp.extra(SocketAttribute.local_port))
        port = await tg.start(proxy, 0, backend, for_server)

        async with await connect_tcp(
            "127.0.0.1", port, ssl_context=for_client, tls_hostname="localhost"
        ) as stream:
            print(f"client: connected with {stream.extra(TLSAttribute.tls_version)}")
            await stream.send(b"is anybody there?")
            print(f"client: got {await stream.receive()!r}")
            await stream.send_eof()
            print(f"client: and then {[chunk async for chunk in stream]}")

        tg.cancel("that is all")


async def main() -> None:
    certificate = os.environ.get("CERTIFICATE")
    if certificate is None:
        await demonstrate()
        return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    host, _, port = os.environ["BACKEND"].rpartition(":")
    print("the proxy is there until you press Ctrl-C")
    await proxy(int(os.environ["PORT"]), (host, int(port)), context)


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/tls_proxy.py
