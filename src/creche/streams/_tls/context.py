"""What a TLS connection begins with: the default context, and the name that the server is asked for.

Knows nothing of streams or bytes.
"""

from __future__ import annotations

from ssl import Purpose, SSLContext, create_default_context

from ..._idna import ascii_name


def default_context(*, server_side: bool, check_hostname: bool) -> SSLContext:
    """Make a context of Python's secure defaults.

    :param check_hostname: False for a client that does not know the name: the certificate must then
        still be signed by an authority that is trusted
    """
    if server_side:
        return create_default_context(Purpose.CLIENT_AUTH)
    context = create_default_context(Purpose.SERVER_AUTH)
    context.check_hostname = check_hostname
    return context


def server_name(hostname: str) -> str:
    """Return a host name as TLS and certificates write it: ASCII, by IDNA 2008, without a last dot.

    An IP address stays as it is.

    :raises ValueError: there is no such host name
    """
    name = ascii_name(hostname)
    # RFC 6066, 3: the name in the extension has no dot at its end; nor have those in certificates.
    return name[:-1] if name.endswith(".") and len(name) > 1 else name
