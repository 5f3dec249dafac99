"""The same command twice gives the same result, apart from times."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from records import fit, keep, timeless

EXAMPLES = Path(__file__).parent.parent / "examples"


def fewer(folder: Path, rows: int = 20) -> Path:
    """Copy the first pictures of each class: the race then reaches its dearest recipes sooner."""
    for source in sorted((EXAMPLES / "fashion").iterdir()):
        (folder / source.name).mkdir(parents=True)
        for file in sorted(source.glob("*.png"))[:rows]:
            shutil.copy(file, folder / source.name / file.name)
    return folder


def main() -> None:
    """Run both targets twice and compare."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for data in (fewer(Path(scratch) / "fashion"), EXAMPLES / "spam.csv"):
            options = ["--max-trials", "8", "--seed", "0", "--budget", "30m"]
            places = [Path(scratch) / f"{data.stem}-{i}" for i in range(2)]
            pair = [fit(data, *options, "--out", place) for place in places]
            same = timeless(pair[0]) == timeless(pair[1])
            found[data.name] = {"same": same, "results": pair}
    keep("repeat", found)


if __name__ == "__main__":
    main()
