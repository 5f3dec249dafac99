"""The same command twice gives the same result, apart from times."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from records import fit, keep

EXAMPLES = Path(__file__).parent.parent / "examples"


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what may differ: the times."""
    return {name: value for name, value in result.items() if name != "seconds"}


def main() -> None:
    """Run both examples twice and compare."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for data in (EXAMPLES / "fashion", EXAMPLES / "spam.csv"):
            options = ["--max-trials", "8", "--seed", "0", "--budget", "20m"]
            places = [Path(scratch) / f"{data.stem}-{i}" for i in range(2)]
            pair = [fit(data, *options, "--out", place) for place in places]
            same = timeless(pair[0]) == timeless(pair[1])
            found[data.name] = {"same": same, "results": pair}
    keep("repeat", found)


if __name__ == "__main__":
    main()
