"""A modality, a source, a task and a recipe are one file each: nothing else has to know of them.

The four files are written here, imported from a folder of their own, and a whole study is fitted
and used with them: pulses are counted in recordings that no part of headstart has heard of.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import headstart as hs
from headstart.data.modalities import modalities
from headstart.digest import digest_file
from headstart.places import cache_folder
from headstart.recipes import recipes
from headstart.sources.catalogue import sources
from headstart.sources.families import families
from headstart.tasks import tasks

FILES = {
    "modality": '''
        import numpy as np

        from headstart.data.modalities import Modality, modalities
        from headstart.digest import digest_bytes
        from headstart.errors import Unreadable

        class Signals(Modality):
            """Files of numbers, one a line."""

            name, noun = "signal", "signal"

            def recognises(self, cell):
                return str(cell).endswith(".signal")

            def read(self, cell):
                try:
                    return np.loadtxt(cell, ndmin=1).astype(np.float32)
                except ValueError:
                    raise Unreadable("holds more than numbers") from None

            def check(self, cell):
                return digest_bytes(self.read(cell).tobytes())

            def collate(self, cells, digests, preprocessing, view):
                signals = np.zeros((len(cells), preprocessing.settings["length"]), np.float32)
                for row, cell in zip(signals, cells, strict=True):
                    found = self.read(cell)[: len(row)]
                    row[: len(found)] = found
                return {"signal": signals}

            def sizes(self, cells):
                return [len(self.read(cell)) for cell in cells]

            def order(self, cells):
                return list(range(len(cells)))

            def render(self, cell):
                return str(cell)

        modalities.register("signal", Signals())
    ''',
    "source": """
        import torch
        from torch import nn

        from headstart.sources.catalogue import Source, SourceFile, sources
        from headstart.sources.families import families
        from headstart.sources.staged import Backbone, Stage

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.steps = nn.Conv1d(1, 2, 2)

            def forward(self, signal):
                steps = self.steps(signal.unsqueeze(1))
                return {"features": steps.relu().sum(2)}

        class Family:
            modality = "signal"

            def build(self, config, preprocessing, output="pooled"):
                return Backbone(
                    family="pulses", config=config, model=Network(),
                    stages=[Stage("steps", ("steps",))],
                    example={"signal": torch.zeros(2, 30)}, width=2, preprocessing=preprocessing,
                )

        families.register("pulses", Family())
        sources.register("toy/pulses", Source(
            id="toy/pulses", title="rising and falling", modality="signal", family="pulses",
            config={}, settings={"length": 30}, weights="pulses.safetensors",
            files=(SourceFile("pulses.safetensors", "SHA256", ()),),
            convert=lambda tensors, fresh: tensors, parameters=6, architecture="a convolution",
            pretraining="none: made by hand", licence="Apache-2.0", prefer="pulses", default=True,
        ))
    """,
    "task": '''
        import numpy as np
        import torch

        from headstart.models.constant import Constant
        from headstart.models.heads import HeadSpec
        from headstart.tasks import Metric, tasks

        EXACT = Metric(
            "exact", True,
            lambda outputs, targets: (
                outputs.round()[:, 0].numpy() == targets[:, 0]).astype(float)[:, None],
            lambda statistics, weights: weights @ statistics[:, 0] / weights.sum(1),
            proportion=True,
        )

        class Counting:
            """How often something happens: a number in the name of the folder."""

            name, modality, output = "counting", "signal", "pooled"
            default_metric = "exact"

            trivial = "always the mean"

            def metrics(self, spec):
                return {EXACT.name: EXACT}

            def suits(self, dataset):
                return float(dataset.modality == self.modality)

            def validate(self, dataset):
                return dataset, {"name": "count"}

            def unknown(self, dataset, spec):
                return {}

            def encode(self, dataset, spec):
                values = dataset.targets[0].values
                return np.array([[float(value)] for value in values], np.float32)

            def strata(self, targets):
                return targets[:, 0]

            def head(self, width, spec):
                return HeadSpec("linear", width, 1)

            def solve_linear(self, *given):
                return None

            def loss(self, outputs, targets, spec, smoothing=0.0):
                return torch.nn.functional.smooth_l1_loss(outputs, targets)

            def tuner(self, *given):
                return None

            def decided(self, outputs, targets):
                return None

            def differ(self, a, b):
                return (a != b).any(1)

            def suspects(self, outputs, targets, spec):
                return {}

            def constant(self, targets, spec):
                return Constant(torch.from_numpy(targets).mean(0))

            def decode(self, outputs, spec):
                return [{"prediction": int(row.round())} for row in outputs[:, 0]]

        tasks.register("counting", Counting())
    ''',
    "recipe": """
        from headstart.recipes import Recipe, register

        register("toy-probe", [Recipe("toy-probe", "signal", "source", "probe", rank=1)])
    """,
}
REGISTERED = {
    "modality": [(modalities, "signal")],
    "source": [(sources, "toy/pulses"), (families, "pulses")],
    "task": [(tasks, "counting")],
    "recipe": [(recipes, "toy-probe")],
}


def weights() -> Path:
    """Put the toy source's weights where fetched ones are: they tell rising from falling."""
    place = cache_folder() / "sources" / "toy--pulses" / "pulses.safetensors"
    place.parent.mkdir(parents=True, exist_ok=True)
    rising = torch.tensor([[[-4.0, 4.0]], [[4.0, -4.0]]])
    save_file({"steps.weight": rising, "steps.bias": torch.zeros(2)}, place)
    return place


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Import the four files, and take out again what they registered."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    with contextlib.ExitStack() as later:
        for name, text in FILES.items():
            text = text.replace("SHA256", digest_file(weights()))
            file = tmp_path / f"toy_{name}.py"
            file.write_text(textwrap.dedent(text))
            spec = importlib.util.spec_from_file_location(file.stem, file)
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
            for registry, entry in REGISTERED[name]:
                later.callback(registry.unregister, entry)
        yield


def recordings(folder: Path) -> Path:
    """Write signals with no, one, two or three pulses into folders of that name."""
    chance = random.Random(0)
    for count in range(4):
        (folder / str(count)).mkdir(parents=True)
        for i in range(15):
            values = [0] * 28
            for place in chance.sample(range(1, 9), count):
                values[3 * place] = 1
            lines = [*values, *([0] * chance.randrange(2))]
            (folder / str(count) / f"{i}.signal").write_text("\n".join(map(str, lines)))
    (folder / "3" / "broken.signal").write_text("one\ntwo")
    return folder


def test_a_study_of_things_that_are_one_file_each(toys, tmp_path):
    data = recordings(tmp_path / "data")
    study = hs.fit(data, out=tmp_path / "run", budget="60s", max_trials=2)
    result = study.result
    assert result["task"] == "counting" and result["metric"] == "exact"
    assert [(aside.where, aside.reason) for aside in study.set_aside] == [
        ("3/broken.signal", "holds more than numbers")
    ]
    assert result["winner"]["source"] == "toy/pulses"
    assert result["winner"]["test"]["value"] > result["baselines"]["majority"]["test"]["value"]
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    files = [data / "0" / "1.signal", data / "3" / "1.signal"]
    low, high = hs.load(tmp_path / "run").predict(files)
    assert low < high
