"""The README's example: 1,200 product pictures in a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path

from records import fit, keep
from repeat import EXAMPLES


def main() -> None:
    """Fit the pictures as the README does, and keep the result."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        keep("example", {"result": fit(EXAMPLES / "fashion", "--budget", "60s", "--out", out)})


if __name__ == "__main__":
    main()
