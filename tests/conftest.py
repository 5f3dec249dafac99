"""Fixtures that the tests of several floors share."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings
from PIL import Image

from headstart.data.dataset import Column, Dataset
from headstart.data.modalities import Preprocessing
from headstart.data.reading import read
from headstart.data.splits import units
from headstart.digest import digest_bytes
from headstart.features import extract, shared
from headstart.places import cache_folder
from headstart.search import outlook, preparation
from headstart.sources.families import families
from headstart.tasks import metric_for, task_for
from headstart.training.learners import Assignment, Rows
from tiny import build, shake

settings.register_profile("headstart", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("headstart")


@pytest.fixture(autouse=True, scope="session")
def in_haste():
    """Judge by a hold-out and do not look ahead unless a test says otherwise.

    All folds take ten times as long, and so do learning curves. What other sources lie on this
    machine does not matter.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(preparation, "UNITS", 0)
        patched.setattr(outlook, "SHARE", 0.0)
        patched.setattr(outlook, "LONGEST", 0.0)
        patched.setattr(preparation, "rivals_of", lambda *_given: [])
        yield


@pytest.fixture(scope="session")
def dataset_of():
    """A function that makes a data set in memory, its inputs digested as texts unless told."""

    def make(inputs, labels=None, *, digests=None, groups=None, parts=None, modality="text"):
        n = len(inputs)
        return Dataset(
            path="memory",
            modality=modality,
            inputs=tuple(inputs),
            names=tuple(f"row {i}" for i in range(n)),
            digests=tuple(digests or (digest_bytes(str(cell).encode()) for cell in inputs)),
            targets=(Column("label", tuple(labels or ["a"] * n)),),
            groups=None if groups is None else tuple(groups),
            parts=tuple(parts or [None] * n),
        )

    return make


@pytest.fixture(scope="session")
def tokenizer():
    """The definition of a tokenizer that knows 60 words, w0 to w59; anything else is unknown."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{f"w{i}": i + 2 for i in range(60)}}
    made = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()
    return made.to_str()


@pytest.fixture
def toy_image():
    """A backbone of a hundred thousand random weights for pictures of 32 pixels."""
    torch.manual_seed(0)
    looks = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    backbone = families.get("timm").build({"name": "test_efficientnet"}, Preprocessing(looks, {}))
    shake(backbone.model)
    return backbone


@pytest.fixture
def toy_text(tokenizer):
    """A three-layer encoder with random weights that reads the words of `tokenizer`."""
    torch.manual_seed(0)
    config = {
        "model_type": "bert",
        "vocab_size": 62,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 40,
    }
    reads = Preprocessing({"max_length": 24, "pad": 0}, {"tokenizer.json": tokenizer})
    backbone = families.get("transformers-text").build(config, reads)
    shake(backbone.model)
    return backbone


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder of this test alone, apart from the sources that were fetched before."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "sources").symlink_to(cache_folder() / "sources")
    monkeypatch.setenv("HEADSTART_CACHE", str(folder))
    return folder


@pytest.fixture
def computed(own_cache, monkeypatch):
    """A list of the numbers of rows that went through an engine, in a cache folder of its own."""
    compiled = (own_cache / "sources").resolve().parent / "engines"
    compiled.mkdir(exist_ok=True)
    (own_cache / "engines").symlink_to(compiled)
    counts = []
    computing = extract._Asked.computed

    def counting(self, engine):
        counts.append(len(self.rows))
        return computing(self, engine)

    monkeypatch.setattr(extract._Asked, "computed", counting)
    monkeypatch.setattr(shared, "_open", type(shared._open)())
    return counts


@pytest.fixture
def one_thread():
    """PyTorch computes on one thread: toys lose more than they gain by a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def eager(monkeypatch, one_thread):
    """Every network runs in eager PyTorch: nothing is compiled, and equal weights answer alike."""
    choose = extract.choose
    monkeypatch.setattr(extract, "choose", lambda *given: choose(*given[:4], ("eager",)))


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    """72 noisy squares of 24 pixels in three colours, read from class folders. Do not change it."""
    folder = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    colours = {"blue": (60, 70, 170), "green": (60, 160, 70), "red": (170, 60, 60)}
    for i in range(24):
        for name, colour in colours.items():
            pixels = np.clip(np.array(colour) + random.normal(0, 40, (24, 24, 3)), 0, 255)
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")
    return read(folder)


@pytest.fixture(scope="session")
def headlines(tmp_path_factory):
    """90 texts of two to seven words that `tokenizer` knows, of three topics, read from a CSV."""
    file = tmp_path_factory.mktemp("headlines") / "headlines.csv"
    random = np.random.default_rng(0)
    lines = ["text,label"]
    for i in range(90):
        words = 20 * (i % 3) + random.integers(0, 20, 2 + i % 6)
        lines.append(" ".join(f"w{w}" for w in words) + f",topic {i % 3}")
    file.write_text("\n".join(lines))
    return read(file)


@pytest.fixture(scope="session")
def phrases(tmp_path_factory):
    """48 recordings in which each letter of a few is a tone, with their transcripts."""
    folder = tmp_path_factory.mktemp("phrases")
    random = np.random.default_rng(0)
    lines = ["recording,transcript"]
    at = np.arange(1_600) / 16_000
    for i in range(48):
        words = ["".join(random.choice(list("abcd"), random.integers(2, 5))) for _ in range(2)]
        said = " ".join(words)
        tones = [np.sin(600 * np.pi * " abcd".index(letter) * at) for letter in said]
        sound = np.concatenate(tones) / 3 + random.normal(0, 0.01, len(said) * len(at))
        soundfile.write(folder / f"{i}.wav", sound, 16_000)
        lines.append(f"{i}.wav,{said}")
    (folder / "phrases.csv").write_text("\n".join(lines))
    return read(folder / "phrases.csv")


@pytest.fixture
def toy_speech():
    """A network with random weights that writes what it hears."""
    return build("whisper", "text")


@pytest.fixture
def assign():
    """A function that makes an assignment for a learner: every fourth row is held for validation.

    The backbone's values are computed anew each time, and nothing is kept.
    """

    def make(recipe, dataset, backbone=None, *, task=None, seed=0, **more):
        task = task_for(dataset, task)
        dataset, spec = task.validate(dataset)
        targets, unit_of = task.encode(dataset, spec), units(dataset)

        some = Rows(dataset, targets, unit_of).take
        held = np.arange(len(dataset)) % 4 == 3
        return Assignment(
            recipe=recipe,
            task=task,
            spec=spec,
            metric=metric_for(task, spec),
            train=(some(np.flatnonzero(~held)),),
            validation=some(np.flatnonzero(held)),
            extractor=backbone and extract.Extractor(backbone, "toy", cache=None),
            seed=seed,
            **more,
        )

    return make
