"""`python -m attnflow` is the command `attnflow`."""

from __future__ import annotations

import sys

from attnflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
