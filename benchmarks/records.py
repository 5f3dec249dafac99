"""Running the command line, and keeping what it gave."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.allocator import anonymous
from headstart.places import cache_folder
from headstart.training.precision import usual

RESULTS = Path(__file__).parent / "results"
TOLD = (
    *("status", "metric", "winner", "finalists", "baselines", "verdict", "ranking"),
    *("calibration", "trials", "left_out", "seconds"),
)
"""What is kept of a run's result."""
MEASURED = ("seconds", "savings", "rate")
"""What is in a result of the machine's work."""
SAID = "said.txt"
"""In which a run that was started writes what it says."""


def headstart(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line; fail loudly unless it ends with `status`."""
    command = [sys.executable, "-m", "headstart.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done


def fit(*arguments: str | Path) -> dict[str, Any]:
    """Run `headstart fit … --json` and return the result."""
    result: dict[str, Any] = json.loads(headstart("fit", *arguments, "--json").stdout)
    return result


def own_cache(folder: Path) -> Path:
    """Return a cache folder that has the fetched sources, and nothing computed."""
    folder.mkdir(parents=True)
    (folder / "sources").symlink_to(cache_folder() / "sources")
    return folder


def started(cache: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start `headstart fit …` with a cache folder, in which it writes what it says."""
    command = [sys.executable, "-m", "headstart.cli", "fit", *map(str, arguments)]
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    with (cache / SAID).open("w") as said:
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=said, text=True
        )


def outlined(result: dict[str, Any]) -> dict[str, Any]:
    """Return what a benchmark keeps of a run's result."""
    return {name: result[name] for name in TOLD if name in result}


def timeless(content: Any) -> Any:
    """Return what a run found without what is never twice the same: seconds, and memory."""
    if isinstance(content, dict):
        kept = {name: value for name, value in content.items() if name not in MEASURED}
        return {name: timeless(value) for name, value in kept.items()}
    return [timeless(value) for value in content] if isinstance(content, list) else content


def evaluate(model: Path, data: Path) -> dict[str, Any]:
    """Run `headstart evaluate … --json` and return the scores."""
    scores: dict[str, Any] = json.loads(headstart("evaluate", model, data, "--json").stdout)
    return scores


def accuracy(
    name: str, draw: Callable[[Path, int], tuple[Path, Path]], wanted: float, budget: str = "60s"
) -> None:
    """Fit with each of three seeds, score on the official test rows, keep it all.

    `draw` makes the folders of the training rows and of the test rows of a seed.
    """
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for seed in (0, 1, 2):
            train, test = draw(place, seed)
            out = place / f"run-{seed}"
            result = fit(train, "--budget", budget, "--seed", str(seed), "--out", out)
            scores = evaluate(out, test)["scores"]
            told = outlined(result)
            runs.append({"seed": seed, "official": scores["accuracy"], "result": told})
    mean = sum(run["official"]["value"] for run in runs) / len(runs)
    keep(name, {"mean_accuracy": mean, "wanted": wanted, "runs": runs})


@contextmanager
def watched(found: dict[str, Any]) -> Iterator[None]:
    """Put seconds, and by how many MiB anonymous memory grew at most, into `found`."""
    over, before = threading.Event(), anonymous()
    peak = [before]

    def look() -> None:
        while not over.wait(0.01):
            peak[0] = max(peak[0], anonymous())

    watching = threading.Thread(target=look)
    watching.start()
    started = time.perf_counter()
    try:
        yield
    finally:
        found["seconds"] = time.perf_counter() - started
        over.set()
        watching.join()
        found["grown_mib"] = (max(peak[0], anonymous()) - before) / 2**20


def machine() -> dict[str, Any]:
    """Return what results depend on: processor, cores, versions."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    packages = ("headstart", "torch", "openvino", "timm", "transformers")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "precision": usual().precision,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def keep(name: str, content: dict[str, Any]) -> None:
    """Write `content` to ``results/NAME.json``, of paths their last part, and print it."""
    place = RESULTS / f"{name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), **_placeless(content)}, indent=1, ensure_ascii=False)
    place.write_text(text + "\n", encoding="utf-8")
    print(text)


def _placeless(content: Any) -> Any:
    """Return `content` without the folders of this machine."""
    if isinstance(content, dict):
        kept = {name: _placeless(value) for name, value in content.items()}
        return {**kept, "path": Path(content["path"]).name} if "path" in content else kept
    return [_placeless(value) for value in content] if isinstance(content, list) else content
