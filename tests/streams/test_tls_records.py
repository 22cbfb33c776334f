"""The TLS state machine, driven without a loop."""

from __future__ import annotations

import ssl
from ssl import MemoryBIO, TLSVersion

import pytest
from _tls_ends import HOST, client_context, server_context
from hypothesis import given
from hypothesis import strategies as st

from creche.streams._tls.records import PORTION, RECORD, TLSRecords

each_version = pytest.mark.parametrize("version", [TLSVersion.TLSv1_2, TLSVersion.TLSv1_3])


def side(context: ssl.SSLContext, hostname: str | None = None) -> TLSRecords:
    incoming, outgoing = MemoryBIO(), MemoryBIO()
    server = hostname is None
    made = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=hostname)
    return TLSRecords(made, incoming, outgoing)


def move(source: TLSRecords, target: TLSRecords) -> None:
    target.feed(source.outgoing.read())


def connected(version: TLSVersion | None = None) -> tuple[TLSRecords, TLSRecords]:
    client, server = side(client_context(version), HOST), side(server_context())
    done = False
    while not done:
        client.shake_hands()
        move(client, server)
        done = server.shake_hands()
        move(server, client)
    assert client.shake_hands()
    return client, server


def everything(records: TLSRecords) -> bytes:
    data = b""
    while part := records.decrypt(65536):
        data += part
    return data


def test_a_handshake_without_input_only_asks_for_some() -> None:
    client = side(client_context(), HOST)
    assert not client.shake_hands()
    assert client.outgoing.pending
    assert not client.shake_hands()


def test_a_certificate_for_another_host_leaves_an_alert_for_the_peer() -> None:
    client, server = side(client_context(), "elsewhere.example"), side(server_context())
    client.shake_hands()
    move(client, server)
    server.shake_hands()
    move(server, client)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        client.shake_hands()
    move(client, server)
    with pytest.raises(ssl.SSLError, match="ALERT"):
        server.shake_hands()


@each_version
@given(data=st.binary(min_size=1, max_size=40000), size=st.integers(1, 20000), most=st.integers(1))
def test_what_is_encrypted_is_decrypted_however_it_is_cut(
    version: TLSVersion, data: bytes, size: int, most: int
) -> None:
    client, server = shared(version)
    assert client.encrypt(data) == len(data)
    ciphertext = client.outgoing.read()
    got = b""
    for at in range(0, len(ciphertext), size):
        server.feed(ciphertext[at : at + size])
        while (part := server.decrypt(min(most, 65536))) is not None:
            assert 0 < len(part) <= most
            got += part
            if most < 8 and len(got) > 100:
                most = 65536
    assert got == data


pairs: dict[TLSVersion, tuple[TLSRecords, TLSRecords]] = {}


def shared(version: TLSVersion) -> tuple[TLSRecords, TLSRecords]:
    if version not in pairs:
        pairs[version] = connected(version)
    return pairs[version]


def test_a_record_can_be_taken_in_parts() -> None:
    client, server = connected()
    client.encrypt(b"abcdef")
    move(client, server)
    assert server.decrypt(4) == b"abcd"
    assert not server.incoming.pending
    assert server.decrypt(4) == b"ef"
    assert server.decrypt(4) is None


@each_version
def test_the_goodbye_comes_after_what_was_sent(version: TLSVersion) -> None:
    client, server = connected(version)
    client.encrypt(b"last words")
    client.say_goodbye()
    move(client, server)
    assert server.decrypt(100) == b"last words"
    assert server.decrypt(100) == b""
    assert server.decrypt(100) == b""
    assert server.ended


@each_version
def test_receiving_goes_on_after_our_own_goodbye(version: TLSVersion) -> None:
    client, server = connected(version)
    server.encrypt(b"unread")
    move(server, client)
    client.say_goodbye()
    client.say_goodbye()
    server.encrypt(b"late")
    move(server, client)
    assert client.decrypt(4) == b"unre"
    assert client.decrypt(100) == b"ad"
    assert client.decrypt(100) == b"late"
    assert client.decrypt(100) is None
    move(client, server)
    assert server.decrypt(100) == b""
    server.say_goodbye()
    move(server, client)
    assert client.decrypt(100) == b""


def test_nothing_is_encrypted_after_our_goodbye() -> None:
    client, _ = connected()
    client.say_goodbye()
    with pytest.raises(ssl.SSLError, match="PROTOCOL_IS_SHUTDOWN"):
        client.encrypt(b"more")


def test_what_follows_the_goodbye_is_left_alone() -> None:
    client, server = connected()
    client.encrypt(b"secret")
    client.say_goodbye()
    server.feed(client.outgoing.read() + b"plain")
    assert everything(server) == b"secret"
    assert server.ended
    assert server.incoming.read() == b"plain"


def test_reading_ahead_keeps_the_order() -> None:
    client, server = connected()
    for part in (b"one", b"two", b"three"):
        client.encrypt(part)
        move(client, server)
        assert server.read_ahead()
    assert server.decrypt(2) == b"on"
    assert server.read_ahead()
    assert everything(server) == b"etwothree"
    assert not server.read_ahead()


def test_garbage_is_an_error() -> None:
    _, server = connected()
    server.feed(b"this is not TLS")
    with pytest.raises(ssl.SSLError):
        server.decrypt(100)


def test_a_portion_is_whole_records() -> None:
    assert PORTION % RECORD == 0
    client, server = connected()
    data = bytes(range(256)) * (PORTION // 256)
    assert client.encrypt(memoryview(data)) == PORTION
    move(client, server)
    assert everything(server) == data
