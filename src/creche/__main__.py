"""`python -m creche` and the `creche` command. Owns nothing: the rooms are in `_cli/`."""

from __future__ import annotations

import sys

from ._cli import main as main

if __name__ == "__main__":
    sys.exit(main())
