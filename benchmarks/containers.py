"""The same rows in every container give the same fingerprint, split and result."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pandas

import headstart as hs
from records import keep
from targets import fashion_folder

ROWS = 300
TIMES = ("seconds",)


def containers(place: Path) -> dict[str, Any]:
    """Return the same pictures and classes, brought in seven ways."""
    folder = fashion_folder(place / "folder", "train", ROWS)
    files = sorted(folder.glob("*/*.png"))
    rows = [{"image": str(f.relative_to(folder)), "label": f.parent.name} for f in files]
    for name, mark in (("rows.csv", ","), ("rows.tsv", "\t")):
        with (folder / name).open("w", newline="", encoding="utf-8") as out:
            table = csv.DictWriter(out, rows[0], delimiter=mark)
            table.writeheader()
            table.writerows(rows)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    contents = [{"image": f.read_bytes(), "label": f.parent.name} for f in files]
    frame = pandas.DataFrame([{**row, "image": str(folder / row["image"])} for row in rows])
    pandas.DataFrame(contents).to_parquet(place / "rows.parquet")
    pictures = datasets.Dataset.from_list(contents).cast_column("image", datasets.Image())
    classes = folder.with_name("classes")
    for file in files:
        there = classes / file.parent.name / file.name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(file.read_bytes())
    return {
        "folder": classes,
        "CSV": folder / "rows.csv",
        "TSV": folder / "rows.tsv",
        "JSON Lines": folder / "rows.jsonl",
        "Parquet": place / "rows.parquet",
        "DataFrame": frame,
        "datasets.Dataset": pictures,
    }


def main() -> None:
    """Fit all of them alike, and compare."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        results = {}
        for name, data in containers(place).items():
            out = place / f"run {name}"
            result = hs.fit(data, out=out, budget="10m", max_trials=4).result
            result["data"].pop("path")
            results[name] = {k: v for k, v in result.items() if k not in TIMES}
    first = results["folder"]
    same = {name: result == first for name, result in results.items()}
    keep("containers", {"same": same, "result": first})


if __name__ == "__main__":
    main()
