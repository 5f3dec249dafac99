"""Two tasks that are no classification, through the same floors: none of them may assume one.

The one reads texts and answers with a sequence: words stand for digits, the answer is the number
that they spell, the score an error rate over all its digits. The other reads pictures and answers
with a map: which of three colours each of four by four fields has, scored by the mean overlap.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import headstart as hs
from headstart.artifact.loading import load
from headstart.artifact.predictor import Predictor
from headstart.artifact.saving import Artifact, save
from headstart.data.columns import Roles
from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing
from headstart.data.reading import read
from headstart.data.splits import split, units
from headstart.errors import DataError, UsageError
from headstart.evidence import intervals
from headstart.evidence.comparisons import gain
from headstart.evidence.intervals import score_interval
from headstart.evidence.verdict import judge
from headstart.features import extract
from headstart.features.cache import ActivationCache
from headstart.features.engines import choose
from headstart.features.extract import Extractor
from headstart.models.constant import Constant
from headstart.models.heads import HeadSpec, heads
from headstart.models.network import digest_weights
from headstart.places import cache_folder
from headstart.recipes import Phase, Recipe, recipes_for
from headstart.sources.catalogue import Source, sources
from headstart.sources.families import families
from headstart.sources.staged import Backbone, Stage
from headstart.tasks import Metric, metric_for, task_for, tasks
from headstart.training.learners import Assignment, Rows, learners, tune

# ------------------------------------------------------------------ the sequence: numbers in words

BLANK = 0


class Encoder(nn.Module):
    """Three stages over token numbers: an embedding and two layers, each token by itself."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(62, 24)
        self.first = nn.Sequential(nn.Linear(24, 32), nn.GELU())
        self.second = nn.Sequential(nn.Linear(32, 40), nn.GELU())
        self.pooled = pooled

    def forward(self, input_ids, attention_mask):
        hidden = self.second(self.first(self.embedding(input_ids)))
        if self.pooled:
            return {"features": hidden.mean(1)}
        return {"features": hidden, "attention_mask": attention_mask}


class Encoders:
    """The family of these encoders."""

    modality = "text"

    def build(self, config, preprocessing, output="pooled"):
        tokens = torch.ones(2, 11, dtype=torch.int64)
        return Backbone(
            family="toy-encoder",
            config=config,
            model=Encoder(output == "pooled"),
            stages=[Stage(name, (name,)) for name in ("embedding", "first", "second")],
            example={"input_ids": tokens, "attention_mask": tokens},
            width=40,
            preprocessing=preprocessing,
            kept=("input_ids", "attention_mask"),
        )


class TokenHead(nn.Module):
    """A symbol for each token; padding answers with the blank."""

    def __init__(self, width, outputs):
        super().__init__()
        self.linear = nn.Linear(width, outputs)

    def forward(self, value):
        outputs = self.linear(value["features"])
        padding = (1 - value["attention_mask"].to(outputs.dtype)).unsqueeze(-1)
        blank = torch.zeros(outputs.shape[-1])
        blank[BLANK] = 100.0
        return outputs * (1 - padding) + blank * padding


def symbols(row: torch.Tensor) -> str:
    """Return the digits of (tokens, 11) outputs."""
    return "".join(str(code - 1) for code in row.argmax(1).tolist() if code != BLANK)


def edits(a: str, b: str) -> int:
    """Return Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def errors(outputs: torch.Tensor, targets: np.ndarray) -> np.ndarray:
    """Return (utterances, 2): edits, and digits in the truth."""
    truths = ["".join(str(code - 1) for code in row if code > BLANK) for row in targets]
    said = [symbols(row) for row in outputs]
    return np.array([[edits(s, t), len(t)] for s, t in zip(said, truths, strict=True)], float)


ERROR_RATE = Metric(
    "error_rate",
    False,
    errors,
    lambda statistics, weights: (weights @ statistics[:, 0]) / (weights @ statistics[:, 1]),
)


@dataclass(frozen=True)
class Spelling:
    """From words to the number that they spell."""

    name: str = "toy-spelling"
    modality: str = "text"
    output: str = "sequence"
    default_metric: str = "error_rate"
    trivial: str = "always the most frequent digit"

    def metrics(self, spec):
        return {"error_rate": ERROR_RATE}

    def suits(self, dataset: Dataset) -> float:
        return 0.0  # only by name, so that inference elsewhere stays as it is

    def validate(self, dataset):
        dataset = dataset.without(self.unknown(dataset, {}))
        if not len(dataset):
            raise DataError("no number was spelt")
        return dataset, {"name": dataset.targets[0].name}

    def unknown(self, dataset, spec):
        values = dataset.targets[0].values
        return {i: f"{v!r} is no number" for i, v in enumerate(values) if not v.isdigit()}

    def encode(self, dataset, spec):
        values = dataset.targets[0].values
        found = np.full((len(values), max(map(len, values), default=0)), -1, np.int64)
        for i, value in enumerate(values):
            found[i, : len(value)] = [int(digit) + 1 for digit in value]
        return found

    def strata(self, targets):
        return (targets >= 0).sum(1)

    def head(self, width, spec):
        return HeadSpec("toy-tokens", width, 11)

    def solve_linear(self, *given):
        raise AssertionError("its head is no linear one: a sequence keeps its tokens")

    def weighted(self, targets, spec):
        raise UsageError("there are no classes")

    def tuner(self, metric, targets, spec):
        return None

    def loss(self, outputs, targets, spec, smoothing=0.0):
        tokens = min(outputs.shape[1], targets.shape[1])
        return nn.functional.cross_entropy(
            outputs[:, :tokens].flatten(0, 1),
            targets[:, :tokens].flatten(),
            ignore_index=-1,
            label_smoothing=smoothing,
        )

    def decided(self, outputs, targets):
        return None

    def differ(self, a, b):
        return (a != b).reshape(len(a), -1).any(1)

    def suspects(self, outputs, targets, spec):
        return {}

    def constant(self, targets, spec):
        common = int(np.bincount(targets[targets > BLANK]).argmax())
        return Constant(torch.eye(11)[[common] * 3])

    def decode(self, outputs, spec):
        return [{"prediction": symbols(row)} for row in outputs]


def spelt(folder, rows=120):
    """Write a table of words and the numbers they spell: w7, w17 and w57 all stand for 7."""
    random = np.random.default_rng(0)
    lines = ["words,number"]
    for i in range(rows):
        digits = random.integers(0, 10, 2 + i % 5)
        words = [f"w{digit + 10 * random.integers(0, 6)}" for digit in digits]
        lines.append(f"{' '.join(words)},{''.join(map(str, digits))}")
    lines.append("w1 w2,twelve")
    file = folder / "spelt.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


# ------------------------------------------------------------------------- the map: coloured fields

SIDE, COLOURS = 4, np.array([(170, 60, 60), (60, 160, 70), (60, 70, 170)])


class Convolutions(nn.Module):
    """Three stages, each of which halves the picture."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        widths = (3, 8, 12, 16)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 2, stride=2), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        )
        self.pooled = pooled

    def forward(self, pixels):
        found = (pixels.float() - 128) / 32
        for stage in self.stages:
            found = stage(found)
        return {"features": found.mean((2, 3)) if self.pooled else found}


class ConvolutionFamily:
    """The family of these networks."""

    modality = "image"

    def build(self, config, preprocessing, output="pooled"):
        return Backbone(
            family="toy-convolutions",
            config=config,
            model=Convolutions(output == "pooled"),
            stages=[Stage(f"stages.{i}", (f"stages.{i}",)) for i in range(3)],
            example={"pixels": torch.zeros(2, 3, 40, 40, dtype=torch.uint8)},
            width=16,
            preprocessing=preprocessing,
        )


class FieldHead(nn.Module):
    """A colour for each field."""

    def __init__(self, width, outputs):
        super().__init__()
        self.convolution = nn.Conv2d(width, outputs, 1)

    def forward(self, value):
        return self.convolution(value["features"])


def overlaps(outputs: torch.Tensor, targets: np.ndarray) -> np.ndarray:
    """Return (pictures, 6): for each colour the fields in both, and in either."""
    said = outputs.argmax(1).numpy()
    both = [((said == c) & (targets == c)).sum((1, 2)) for c in range(3)]
    either = [((said == c) | (targets == c)).sum((1, 2)) for c in range(3)]
    return np.stack([*both, *either], 1).astype(float)


def mean_overlap(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    both, either = np.split(weights @ statistics, 2, axis=1)
    there = either > 0
    return np.where(there, both / np.maximum(either, 1e-12), 0).sum(1) / there.sum(1)


@dataclass(frozen=True)
class Fields:
    """From a picture to the colour of each of its fields."""

    name: str = "toy-fields"
    modality: str = "image"
    output: str = "map"
    default_metric: str = "mean_overlap"
    trivial: str = "always the most frequent colours"

    def metrics(self, spec):
        return {"mean_overlap": Metric("mean_overlap", True, overlaps, mean_overlap)}

    def suits(self, dataset: Dataset) -> float:
        return 0.0

    def validate(self, dataset):
        return dataset.without(self.unknown(dataset, {})), {"name": dataset.targets[0].name}

    def unknown(self, dataset, spec):
        values = dataset.targets[0].values
        whole = [len(v) == SIDE**2 and set(v) <= set("012") for v in values]
        return {i: "not a map of fields" for i, good in enumerate(whole) if not good}

    def encode(self, dataset, spec):
        maps = [[int(colour) for colour in value] for value in dataset.targets[0].values]
        return np.array(maps, np.int64).reshape(-1, SIDE, SIDE)

    def strata(self, targets):
        return np.array([np.bincount(fields.ravel()).argmax() for fields in targets])

    def head(self, width, spec):
        return HeadSpec("toy-fields", width, 3)

    def solve_linear(self, *given):
        raise AssertionError("its head is no linear one: a map keeps its places")

    def weighted(self, targets, spec):
        raise UsageError("there are no classes")

    def tuner(self, metric, targets, spec):
        return None

    def loss(self, outputs, targets, spec, smoothing=0.0):
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def decided(self, outputs, targets):
        return None

    def differ(self, a, b):
        return (a != b).reshape(len(a), -1).any(1)

    def suspects(self, outputs, targets, spec):
        return {}

    def constant(self, targets, spec):
        return Constant(nn.functional.one_hot(torch.from_numpy(targets), 3).sum(0).permute(2, 0, 1))

    def decode(self, outputs, spec):
        return [
            {"prediction": "".join(map(str, row.argmax(0).ravel().tolist()))} for row in outputs
        ]


def painted(folder, rows=60):
    """Write pictures of noisy fields, and a table that names the colours of each."""
    random = np.random.default_rng(0)
    lines = ["picture,fields"]
    for i in range(rows):
        fields = random.integers(0, 3, (SIDE, SIDE))
        pixels = COLOURS[fields].repeat(8, 0).repeat(8, 1) + random.normal(0, 30, (32, 32, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{''.join(map(str, fields.ravel()))}")
    lines.append("0.png,red")
    file = folder / "painted.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


# ---------------------------------------------------------------------- what both go through


@dataclass(frozen=True)
class Toy:
    """A task with its rows, split, and a backbone that never saw them."""

    file: Any
    columns: dict[str, str]
    task: Any
    metric: Metric
    spec: Any
    train: Rows
    validation: Rows
    test: Rows
    extractor: Extractor

    def assignment(self, recipe: Recipe, **more: Any) -> Assignment:
        return Assignment(
            recipe=recipe,
            task=self.task,
            spec=self.spec,
            metric=self.metric,
            train=(self.train,),
            validation=self.validation,
            extractor=self.extractor,
            seed=0,
            **more,
        )

    def fit(self, recipe: Recipe, **more: Any) -> Any:
        return learners.get(recipe.learner).fit(self.assignment(recipe, **more))

    def score(self, model: Any) -> float:
        return self.metric.signed(
            self.metric.score(model.outputs(self.test.data), self.test.targets)
        )


@pytest.fixture(autouse=True)
def _registered(own_cache, eager, monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    monkeypatch.setattr(tune, "_EVALUATED", 3)  # few rows, so that batches differ in their length
    entries: list[tuple[Any, str, Any]] = [
        (families, "toy-encoder", Encoders()),
        (families, "toy-convolutions", ConvolutionFamily()),
        (heads, "toy-tokens", lambda spec: TokenHead(spec.width, spec.outputs)),
        (heads, "toy-fields", lambda spec: FieldHead(spec.width, spec.outputs)),
        (tasks, "toy-spelling", Spelling()),
        (tasks, "toy-fields", Fields()),
    ]
    for registry, name, entry in entries:
        registry.register(name, entry)
    yield
    for registry, name, _ in entries:
        registry.unregister(name)


MAKE: dict[str, tuple[Callable[..., Any], dict[str, str], str, dict[str, int]]] = {
    "toy-spelling": (spelt, {"label": "number"}, "toy-encoder", {"max_length": 24, "pad": 0}),
    "toy-fields": (painted, {"label": "fields"}, "toy-convolutions", {"size": 32}),
}


@pytest.fixture(params=list(MAKE))
def toy(request, tmp_path, tokenizer):
    make, columns, family, settings = MAKE[request.param]
    file = make(tmp_path)
    dataset = read(file, Roles.of(**columns))
    task = task_for(dataset, request.param)
    dataset, spec = task.validate(dataset)
    targets = task.encode(dataset, spec)
    parts = split(dataset, task.strata(targets), seed=0)
    unit_of = units(dataset)
    rows = [
        Rows(dataset, targets, unit_of).take(part)
        for part in (parts.train, parts.validation, parts.test)
    ]
    files = {"tokenizer.json": tokenizer} if task.modality == "text" else {}
    torch.manual_seed(1)
    backbone = families.get(family).build(
        {"toy": True}, Preprocessing(settings, files), task.output
    )
    extractor = Extractor(backbone, digest_weights(backbone.model), ActivationCache())
    return Toy(file, columns, task, metric_for(task, spec), spec, *rows, extractor)


PROBE = Recipe("probe", "any", "source", "probe", rank=1, solved=True)
TUNE = Recipe(
    "finetune",
    "any",
    "source",
    "tune",
    rank=2,
    stages=1,
    phases=(Phase(epochs=12, rate=2e-2, body=0.5),),
    solved=True,
    batch=16,
)
RECIPES = {
    "probe": PROBE,
    "tune the last stage": TUNE,
    "tune with smoothing and adapting statistics": replace(
        TUNE, stages=2, smoothing=0.1, norm="adapting"
    ),
    "tune all": replace(TUNE, stages=None),
    "from random weights": replace(TUNE, stages=None, start="random", solved=False),
}


def test_rows_that_are_no_target_are_set_aside_and_the_rest_split(toy):
    whole = read(toy.file, Roles.of(**toy.columns))
    kept, _ = toy.task.validate(whole)
    assert len(kept) == len(whole) - 1 == sum(
        len(part.data) for part in (toy.train, toy.validation, toy.test)
    )  # fmt: skip
    assert min(len(part.data) for part in (toy.train, toy.validation, toy.test)) >= 10
    assert toy.train.targets.ndim > 1
    json.dumps(dict(toy.spec))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_learner_learns_it(toy, recipe):
    learner = learners.get(recipe.learner)
    assert learner.forecast(toy.assignment(recipe)) > 0
    fitted = toy.fit(recipe)
    constant = toy.task.constant(toy.train.targets, toy.spec)
    assert toy.score(fitted.model) > toy.score(constant) + 0.05
    assert "strength" not in fitted.settled
    assert fitted.settled["epochs"] == len(fitted.history) >= 1
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    outputs = fitted.model.outputs(toy.validation.data)
    best = max(epoch["score"] for epoch in fitted.history)
    found = toy.metric.signed(toy.metric.score(outputs, toy.validation.targets))
    assert found == pytest.approx(best, abs=0.05), "validation saw other outputs"


@pytest.mark.parametrize("recipe", (PROBE, TUNE), ids=("probe", "tune"))
def test_a_refit_on_all_rows_takes_what_was_settled(toy, recipe):
    assignment = toy.assignment(recipe, settled={"epochs": 3})
    shortest = np.argsort([len(str(cell).split()) for cell in toy.validation.data.inputs])[:6]
    held = toy.validation
    few = held.take(shortest)
    pieces = (toy.train, few, toy.test)
    whole = replace(assignment, train=pieces, validation=None)
    fitted = learners.get(recipe.learner).fit(whole)
    assert fitted.settled == {"epochs": 3} and len(fitted.history) == 3


def test_scores_and_gains_have_intervals(toy):
    ours = toy.fit(TUNE).model.outputs(toy.test.data)
    theirs = toy.task.constant(toy.train.targets, toy.spec).outputs(toy.test.data)
    score = score_interval(toy.metric, ours, toy.test.targets, toy.test.units)
    assert score.low < score.value < score.high
    assert score.value == toy.metric.score(ours, toy.test.targets)
    found = gain(toy.metric, ours, theirs, toy.test.targets, toy.test.units)
    assert judge(found) == "helps" and judge(gain(
        toy.metric, theirs, ours, toy.test.targets, toy.test.units
    )) == "hurts"  # fmt: skip
    itself = gain(toy.metric, ours, ours, toy.test.targets, toy.test.units)
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)


def test_weights_mean_repeated_rows(toy):
    outputs = toy.fit(PROBE).model.outputs(toy.test.data)
    rows = len(toy.test.data)
    weights = np.random.default_rng(0).multinomial(rows, np.full(rows, 1 / rows))
    again = np.repeat(np.arange(rows), weights)
    statistics = toy.metric.statistics(outputs, toy.test.targets)
    weighted = toy.metric.aggregate(statistics, weights[None].astype(float))[0]
    assert weighted == pytest.approx(toy.metric.score(outputs[again], toy.test.targets[again]))


@pytest.mark.parametrize("recipe", (PROBE, TUNE), ids=("probe", "tune"))
def test_a_saved_model_answers_the_same_elsewhere(toy, recipe, tmp_path):
    model = toy.fit(recipe).model
    save(Artifact(model, toy.task.name, toy.spec, toy.metric.name), tmp_path / "model")
    again = load(tmp_path / "model")
    expected = model.outputs(toy.test.data)
    assert torch.equal(again.model.outputs(toy.test.data), expected)
    predictor = Predictor(again)
    some = list(toy.test.data.inputs[:9])
    answers = [a["prediction"] for a in toy.task.decode(expected[:9], toy.spec)]
    assert predictor.predict(some) == answers
    with pytest.raises(UsageError, match="no probabilities"):
        predictor.predict_proba(some)


def test_a_constant_is_saved_and_decoded_too(toy, tmp_path):
    model = toy.task.constant(toy.train.targets, toy.spec)
    save(Artifact(model, toy.task.name, toy.spec, toy.metric.name), tmp_path / "model")
    predictor = Predictor.load(tmp_path / "model")
    assert len(set(predictor.predict(list(toy.test.data.inputs[:5])))) == 1


def test_a_saved_model_is_evaluated_on_labelled_rows(toy):
    model = toy.fit(TUNE).model
    predictor = Predictor(Artifact(model, toy.task.name, toy.spec, toy.metric.name))
    scores = predictor.evaluate(toy.file, Roles.of(**toy.columns))
    total = sum(len(part.data) for part in (toy.train, toy.validation, toy.test))
    assert scores.rows == total and len(scores.set_aside) == 1
    assert list(scores.scores) == [toy.metric.name]
    assert scores.scores[toy.metric.name]["low"] <= scores.scores[toy.metric.name]["value"]


def test_the_race_has_recipes_for_it_and_all_of_them_run(toy):
    """Recipes for one vector a row, such as classification's small models, are not among them."""
    planned = recipes_for(toy.task.modality, toy.task.output)
    assert {recipe.learner for recipe in planned} == {"probe", "tune"}
    for recipe in planned:
        fewer = tuple(replace(phase, epochs=1) for phase in recipe.phases)
        fitted = toy.fit(replace(recipe, phases=fewer, views=min(recipe.views, 1)))
        assert np.isfinite(toy.score(fitted.model))


@pytest.fixture
def source(toy):
    """The toy's backbone as an entry of the catalogue whose files are there."""
    backbone = toy.extractor.backbone
    reads = backbone.preprocessing
    entry = Source(
        id=f"toys/{backbone.family}",
        title="a toy",
        modality=toy.task.modality,
        family=backbone.family,
        config=backbone.config,
        settings=reads.settings,
        texts=tuple(reads.files),
        weights="weights.safetensors",
        files=(),
        convert=lambda tensors, fresh: tensors,
        parameters=0,
        architecture="",
        pretraining="none",
        licence="none",
        prefer="",
    )
    folder = cache_folder() / "toys"  # the folder of sources is shared and must not be written to
    folder.mkdir()
    save_file(backbone.model.state_dict(), folder / entry.weights)
    for name, text in reads.files.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.sources.fetching.folder_of", lambda source: folder)
        sources.register(entry.id, entry)
        yield entry.id
        sources.unregister(entry.id)


def test_a_whole_run_ends_with_a_usable_model(toy, source, tmp_path):
    study = hs.fit(
        toy.file,
        **toy.columns,
        task=toy.task.name,
        source=source,
        budget="5m",
        max_trials=2,
        out=tmp_path / "run",
    )
    result = study.result
    assert result["status"] == "complete" and result["trials"] == 2
    assert result["metric"] == toy.metric.name
    assert result["greater_is_better"] == toy.metric.greater_is_better
    test, majority = (
        toy.metric.signed(part["test"]["value"])
        for part in (result["winner"], result["baselines"]["majority"])
    )
    assert test > majority
    answers = study.model.predict(list(toy.test.data.inputs[:3]))
    assert all(set(answer) <= set("0123456789") for answer in answers)
    assert toy.task.name in (tmp_path / "run" / "model" / "README.md").read_text()
    assert str(study)


def test_engines_other_than_eager_serve_it(toy, monkeypatch):
    """The fastest engine that agrees is taken, whatever shape the answer has."""
    monkeypatch.setattr(extract, "choose", choose)
    backbone = toy.extractor.backbone
    chosen = toy.extractor.engine(toy.test.data, backbone.end, backbone.preprocessing)
    assert chosen.name.startswith("openvino"), chosen.refused
