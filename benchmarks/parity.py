"""Every cut of every bundled source: suffix over prefix against whole, engines against eager."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from headstart.features.engines import choose
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from headstart.sources.staged import Backbone
from records import keep


def inputs(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return five rows of random inputs; texts have different lengths."""
    random = torch.Generator().manual_seed(0)
    if "pixels" in backbone.example:
        size = int(backbone.preprocessing.settings["size"])
        shape = (5, 3, size, size)
        return {"pixels": torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)}
    mask = (torch.arange(37)[None] < torch.tensor([37, 30, 21, 9, 3])[:, None]).long()
    ids = torch.randint(1000, 20_000, mask.shape, generator=random) * mask
    return {"input_ids": ids, "attention_mask": mask}


def cell(backbone: Backbone, cut: int, rows: dict[str, torch.Tensor], folder: Path) -> Any:
    """Return the figures of one cut."""
    with torch.no_grad():
        whole = backbone.model(**rows)["features"]
        parts = backbone.suffix(cut).eval()(backbone.prefix(cut)(**rows))["features"]
    difference = float((whole - parts).abs().max() / whole.abs().max())
    found: dict[str, Any] = {"cut": backbone.cut_name(cut), "difference": difference}
    if cut:
        batch = {name: value.numpy() for name, value in rows.items()}
        chosen = choose(backbone.prefix(cut), batch, str(cut), folder)
        found |= {
            "engine": chosen.engine.name,
            "precision": chosen.engine.precision,
            "cosine": chosen.cosine,
            "error": chosen.error,
            "refused": list(chosen.refused),
        }
    return found


def main() -> None:
    """Measure all cuts and keep the table."""
    table = {}
    for source in sources:
        backbone = load_source(source).backbone
        with tempfile.TemporaryDirectory() as folder:
            table[source.id] = [
                cell(backbone, cut, inputs(backbone), Path(folder))
                for cut in range(backbone.end + 1)
            ]
    keep("parity", {"sources": table})


if __name__ == "__main__":
    main()
