"""What a TLS stream can tell of itself: the keys, and where the answers come from.

Its one rule: an answer is looked up when it is asked for, for a handshake may come in between.
"""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLObject
from typing import Any, TypeAlias

from ..._abc.typed_attributes import TypedAttributeSet, typed_attribute

PeerCertificate: TypeAlias = dict[str, str | tuple[Any, ...]] | None


class TLSAttribute(TypedAttributeSet):
    """Keys of what a TLS stream can tell with `extra()`."""

    alpn_protocol: str | None = typed_attribute()
    """the protocol that ALPN has chosen (RFC 7301), None if none was"""
    channel_binding_tls_unique: bytes = typed_attribute()
    """the channel binding `tls-unique` (RFC 5929); None with TLS 1.3, which has none"""
    client_sigalg: str | None = typed_attribute()
    """the algorithm of the client's signature, None if it gave none (from Python 3.15 on)"""
    cipher: tuple[str, str, int] = typed_attribute()
    """the cipher in use: its name, the protocol that defines it, its secret bits"""
    group: str | None = typed_attribute()
    """the group of the key exchange, such as `X25519MLKEM768` (from Python 3.15 on)"""
    peer_certificate: PeerCertificate = typed_attribute()
    """the peer's certificate as a dictionary, see `ssl.SSLSocket.getpeercert`"""
    peer_certificate_binary: bytes | None = typed_attribute()
    """the peer's certificate in DER form"""
    server_side: bool = typed_attribute()
    """whether this is the server's side"""
    server_sigalg: str | None = typed_attribute()
    """the algorithm of the server's signature (from Python 3.15 on)"""
    shared_ciphers: list[tuple[str, str, int]] | None = typed_attribute()
    """the ciphers that both sides have, on the server's side"""
    ssl_object: SSLObject = typed_attribute()
    """the standard library's object; leave its reading and writing to the stream"""
    standard_compatible: bool = typed_attribute()
    """whether both sides have to say goodbye before they close"""
    tls_version: str = typed_attribute()
    """the version of the protocol, such as `TLSv1.3`"""


def attributes_of(tls: SSLObject) -> dict[Any, Callable[[], Any]]:
    """Return the attributes that the standard library's object has the answers to."""
    key: Any = TLSAttribute  # a key passes for its value, and not all of those can be hashed
    known: dict[Any, Callable[[], Any]] = {
        key.alpn_protocol: tls.selected_alpn_protocol,
        key.channel_binding_tls_unique: tls.get_channel_binding,
        key.cipher: tls.cipher,
        key.peer_certificate: lambda: tls.getpeercert(False),
        key.peer_certificate_binary: lambda: tls.getpeercert(True),
        key.server_side: lambda: tls.server_side,
        key.shared_ciphers: lambda: tls.shared_ciphers() if tls.server_side else None,
        key.ssl_object: lambda: tls,
        key.tls_version: tls.version,
    }
    for name in ("client_sigalg", "group", "server_sigalg"):
        if hasattr(tls, name):
            known[getattr(key, name)] = getattr(tls, name)
    return known
