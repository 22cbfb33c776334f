"""Importing this module makes `import anyio` mean Creche, in this process and in its children.

It has to come before the first `import anyio`, so it is a program's first line; or it is not written
at all, but said: `CRECHE_AS_ANYIO=1 python app.py`, `creche run --as-anyio app.py`,
`pytest -p creche.as_anyio`. Owns nothing: the package behind it is `_dropin`.

    import creche.as_anyio  # isort: skip
    import httpx  # runs on Creche from here on
"""

from __future__ import annotations

from ._dropin.switch import turn_on

turn_on()
