"""Who may see the page: the checks that every request passes, and the headers that every answer has.

Owns the token and the keys. Knows requests as headers and paths: what they ask for is no matter here.

    token  in the address that the terminal shows, after the #, so no server and no log sees it.
           It is good once: the page changes it for a key
    key    is kept by one tab and goes with each request for data

Why it is closed to others
--------------------------
* Other users of this machine can reach the port: they have no token.
* Pages of other sites can send requests here, and by DNS names of their own even as if from this page:
  the Host has to be ours, so has the Origin, and the browser must not say that it is another site's.
* The page loads nothing from elsewhere and runs no script that is not a file of ours.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
LONGEST_TOKEN = 200
MOST_KEYS = 100


class RefusedError(Exception):
    """A request that is not answered; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Door:
    """The checks for a page at one port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self._token = _made()
        self._used: set[str] = set()
        self._keys: list[str] = []

    @property
    def address(self) -> str:
        """The address that opens one page."""
        return f"http://{self.host}/#{self._token}"

    def check(self, headers: Mapping[str, str]) -> None:
        """See that a request is for this page, and comes from it or from the address bar.

        :param headers: names in lower case
        :raises RefusedError: it is not
        """
        if headers.get("host") != self.host:
            raise RefusedError(421, f"This is http://{self.host} and no other host.")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{self.host}":
            raise RefusedError(403, "This page answers no other site.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise RefusedError(403, "This page answers no other site.")

    def redeem(self, token: str, headers: Mapping[str, str]) -> str:
        """Change the token for a key. There is another token afterwards.

        :raises RefusedError: the token is wrong, or was used, or the request is not this page's
        """
        if "origin" not in headers:
            raise RefusedError(403, "A token is only taken from the page itself.")
        if token in self._used:
            raise RefusedError(
                403, "This address was good once, and was used. The terminal shows a new one."
            )
        if len(token) > LONGEST_TOKEN or not _equal(token, self._token):
            raise RefusedError(403, "This address is not the one that the terminal shows.")
        self._used.add(self._token)
        self._token = _made()
        key = _made()
        self._keys = [*self._keys[1 - MOST_KEYS :], key]
        return key

    def check_key(self, headers: Mapping[str, str]) -> None:
        """See that a request comes with a key.

        :raises RefusedError: it does not
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        known = [_equal(given, key) for key in self._keys]
        if scheme != "Bearer" or not any(known):
            raise RefusedError(403, "Open the address that the terminal shows.")


def _made() -> str:
    return secrets.token_urlsafe(32)


def _equal(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode())
