"""How international host names are written in ASCII. Knows nothing of addresses, sockets or TLS.

Its one rule: what is ASCII already stays as it is, for the resolver or the peer to judge; names
with underscores are in use, and IDNA knows none.
"""

from __future__ import annotations


def ascii_name(host: str) -> str:
    """Return a host name as IDNA 2008 writes it: `straße.example` is `xn--strae-oqa.example`.

    Upper case and width are evened out before, as UTS 46 says.

    :raises ValueError: there is no such international host name
    """
    if host.isascii():
        return host
    import idna  # with its tables it is heavy, and most names are ASCII

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as exc:
        raise ValueError(f"{host!r} is not a valid international host name: {exc}") from exc
