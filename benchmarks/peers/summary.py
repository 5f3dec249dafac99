"""All tasks in one table: how much sooner headstart is as good as each peer, and where it is not.

python benchmarks/peers/summary.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers.curves import best, geometric_mean
from peers.systems import SYSTEMS
from peers.tasks import TASKS
from records import RESULTS, keep


def summary(tasks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return, for each peer, the geometric mean of the ratios, and the tasks it is better at.

    Parameters
    ----------
    tasks
        The results of each task, by its name.
    """
    table: dict[str, Any] = {}
    for system in SYSTEMS:
        compared = {
            name: content["systems"][system]["headstart"]
            for name, content in tasks.items()
            if "headstart" in content["systems"].get(system, {})
        }
        ratios = {name: one["times_sooner"] for name, one in compared.items()}
        known = [ratio for ratio in ratios.values() if ratio is not None]
        if compared:
            table[system] = {
                "times_sooner": ratios,
                "geometric_mean": geometric_mean(known),
                "never_reached": [name for name, ratio in ratios.items() if ratio is None],
                "behind": {
                    name: -one["ahead"] for name, one in compared.items() if (one["ahead"] or 0) < 0
                },
            }
    return table


def main() -> None:
    """Read what `run.py` kept; keep the table and print it as Markdown too."""
    tasks = {
        name: json.loads(path.read_text())
        for name in TASKS
        if (path := RESULTS / "peers" / f"{name}.json").is_file()
    }
    keep("peers/summary", {"peers": summary(tasks)})
    print(markdown(tasks))


def markdown(tasks: dict[str, dict[str, Any]]) -> str:
    """Return the best accuracy of each system on each task, and how much later it came."""
    lines = [
        "| task | " + " | ".join(system.title for system in SYSTEMS.values()) + " |",
        "|---" * (1 + len(SYSTEMS)) + "|",
    ]
    for content in tasks.values():
        cells = [_cell(content["systems"].get(system)) for system in SYSTEMS]
        lines.append(f"| {content['task']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(entry: dict[str, Any] | None) -> str:
    if entry is None or (reached := best(entry["curve"])) is None:
        return "–"
    sooner = entry.get("headstart", {}).get("times_sooner")
    return f"{reached:.3f}" + (f" ({sooner:.{1 if sooner < 1 else 0}f} ×)" if sooner else "")


if __name__ == "__main__":
    main()
