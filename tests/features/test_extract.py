"""Extraction: every row in its place, computed once, and again when anything has changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from headstart.data.modalities import Preprocessing, View, modalities
from headstart.features import extract as module
from headstart.features.cache import ActivationCache
from headstart.features.engines import engines
from headstart.features.engines.eager import Eager
from headstart.features.extract import Extractor, OutOfTime, inputs, pooled
from headstart.sources.loading import LoadedSource


class Counting(Eager):
    """Eager under another name, that counts the rows it computes."""

    name = "counting"
    rows = 0
    spoil = staticmethod(lambda values: values)

    def run(self, batches):
        for batch in batches:
            Counting.rows += len(next(iter(batch.values())))
            [values] = super().run([batch])
            yield self.spoil(values)


@pytest.fixture(autouse=True)
def counting(tmp_path, monkeypatch):
    """The engine `counting`, its count at zero; compiled models go to a folder of the test's."""
    monkeypatch.setattr(module, "engines_folder", lambda: tmp_path / "engines")
    monkeypatch.setattr(Counting, "rows", 0)
    engines.register("counting", lambda network, *_: Counting(network))
    yield Counting
    engines.unregister("counting")


@pytest.fixture
def cache(tmp_path):
    return ActivationCache(tmp_path / "activations")


@pytest.fixture
def extractor_of(cache):
    """A function that makes an extractor which counts, over the cache of the test."""

    def make(backbone, digest="digest", cache=cache):
        return Extractor(backbone, digest, cache, ("counting", "eager"))

    return make


@pytest.fixture
def texts(dataset_of):
    """A function that makes texts of 1 to 20 words in no order of length."""

    def make(n, seed=0):
        random = np.random.default_rng(seed)
        return dataset_of(
            [" ".join(f"w{w}" for w in random.integers(0, 60, 1 + i * 7 % 20)) for i in range(n)]
        )

    return make


@pytest.fixture
def pictures(tmp_path, dataset_of):
    """Nine noisy pictures of 40 pixels."""
    paths = []
    for i in range(9):
        noise = np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8)
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(noise).save(paths[-1])
    check = modalities.get("image").check
    return dataset_of(paths, digests=[check(path) for path in paths], modality="image")


def computed(function):
    """Return what `function` returns, and how many rows were computed meanwhile."""
    before = Counting.rows
    return function(), Counting.rows - before


@pytest.mark.parametrize("n", [1, 16, 17, 150])
@pytest.mark.parametrize("cut", [1, 3, 4])
def test_rows_come_back_in_their_order_though_texts_are_batched_by_length(
    toy_text, extractor_of, texts, n, cut
):
    dataset = texts(n)
    found = extractor_of(toy_text).extract(dataset, cut).whole()
    prefix = toy_text.prefix(cut)
    for i in {0, n // 2, n - 1}:
        batch = modalities.get("text").collate(
            dataset.inputs[i : i + 1], (), toy_text.preprocessing, View()
        )
        with torch.no_grad():
            alone = prefix(**{name: torch.from_numpy(v) for name, v in batch.items()})
        for name, value in alone.items():
            if cut == toy_text.end and not value.is_floating_point():
                assert name not in found, "no one asks for masks of pooled features"
                continue
            assert len(found[name]) == n
            if value.ndim == 1 or cut == toy_text.end:
                assert torch.allclose(found[name][i], value[0], atol=1e-5)
                continue
            tokens = value.shape[1]
            assert torch.allclose(found[name][i, :tokens], value[0], atol=1e-5)
            if name in ("attention_mask", "input_ids"):
                assert (found[name][i, tokens:] == 0).all()


@pytest.mark.parametrize("cut", [2, 3])
def test_a_suffix_takes_what_was_extracted(toy_text, extractor_of, texts, cut):
    dataset = texts(40)
    boundary = extractor_of(toy_text).extract(dataset, cut).whole()
    whole = extractor_of(toy_text).extract(dataset, toy_text.end).whole()["features"]
    with torch.no_grad():
        found = toy_text.suffix(cut).eval()(boundary)["features"]
    assert torch.allclose(found, whole, atol=1e-5)


def test_at_cut_zero_the_inputs_themselves_travel_and_nothing_is_computed(
    toy_image, extractor_of, pictures
):
    found, rows = computed(lambda: extractor_of(toy_image).extract(pictures, 0))
    pixels = found.whole()["pixels"]
    assert rows == 0 and pixels.shape == (9, 3, 32, 32) and pixels.dtype == torch.uint8


def test_what_was_computed_is_read_the_next_time_by_whomever(toy_image, extractor_of, pictures):
    first, rows = computed(lambda: extractor_of(toy_image).extract(pictures, 3))
    assert rows == 8 + 9, "the sample, then all rows"
    again, rows = computed(lambda: extractor_of(toy_image).extract(pictures, 3))
    assert rows == 0, "the engine was checked on the same sample before"
    first, again = first.whole(), again.whole()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_how_fast_rows_are_computed_is_known_where_they_are_not_computed_again(
    toy_image, extractor_of, pictures
):
    first, again = extractor_of(toy_image), extractor_of(toy_image)
    end = toy_image.end
    assert first.pace(end - 1) is None
    first.extract(pictures, end)
    again.extract(pictures, end)
    assert not again.rates and again.forecast(pictures, end) == 0
    assert again.pace(end) == pytest.approx(first.pace(end)) and first.pace(end) > 0
    assert replace(again, order=("openvino",), _earlier={}).pace(end) is None, "another engine's"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("nothing", 0),
        ("names", 0),
        ("a row", 1),
        ("order", 0),
        ("fewer rows", 0),
        ("more rows", 0),
        ("digest", 9),
        ("cut", 9),
        ("scale", 9),
        ("preprocessing", 9),
        ("view", 9),
        ("engine", 9),
    ],
)
def test_values_are_computed_again_exactly_when_they_would_differ(
    toy_image, extractor_of, pictures, change, again, monkeypatch
):
    extractor = extractor_of(toy_image)
    kept = extractor.extract(pictures, 3).whole()
    dataset, cut, options = pictures, 3, {}
    if change == "names":
        dataset = replace(dataset, path="elsewhere", names=tuple("abcdefghi"))
    elif change == "a row":
        noise = np.random.default_rng(99).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(dataset.inputs[4])
        digest = modalities.get("image").check(dataset.inputs[4])
        dataset = replace(dataset, digests=(*dataset.digests[:4], digest, *dataset.digests[5:]))
    elif change == "order":
        dataset = dataset.take([1, 0, *range(2, 9)])
    elif change == "fewer rows":
        dataset = dataset.take(range(8))
    elif change == "more rows":
        dataset = dataset.take([*range(9), 3, 3])
    elif change == "digest":
        extractor.digest = "other weights"
    elif change == "cut":
        cut = 4
    elif change == "scale":
        options = {"scale": 1.5}
    elif change == "preprocessing":
        settings = {**toy_image.preprocessing.settings, "interpolation": "bicubic"}
        toy_image.preprocessing = Preprocessing(settings, {})
    elif change == "view":
        options = {"view": View(1, "light", 0)}
    elif change == "engine":
        monkeypatch.setattr(module, "machine", lambda: ["another version"])
    extractor.engine(dataset, cut, toy_image.preprocessing.resized(options.get("scale", 1.0)))
    found, rows = computed(lambda: extractor.extract(dataset, cut, **options))
    assert rows == again
    if again and change not in ("digest", "engine"):
        value = found.whole()["stage.0"]
        assert value.shape != kept["stage.0"].shape or not torch.equal(value, kept["stage.0"])


def test_views_are_told_apart_by_index_and_seed(toy_image, extractor_of, pictures):
    extractor = extractor_of(toy_image)
    views = [None, View(1, "light", 0), View(2, "light", 0), View(1, "light", 1)]
    found = [extractor.extract(pictures, 7, view=view).whole()["features"] for view in views]
    for i, one in enumerate(found):
        assert all(not torch.equal(one, other) for other in found[:i])
    again, rows = computed(lambda: extractor.extract(pictures, 7, view=View(2, "light", 0)))
    assert rows == 0 and torch.equal(again.whole()["features"], found[2])


@pytest.mark.parametrize("backbone", ("toy_text", "toy_image"))
@pytest.mark.parametrize("cut", [3, None])
def test_each_content_is_computed_once_in_whichever_list_it_comes(
    extractor_of, texts, pictures, cache, request, backbone, cut
):
    network = request.getfixturevalue(backbone)
    cut = cut or network.end
    dataset = texts(9) if backbone == "toy_text" else pictures
    whole = extractor_of(network, cache=None).extract(dataset, cut)
    extractor = extractor_of(network)
    extractor.engine(dataset, cut, network.preprocessing)
    for rows, new in (([3, 1], 2), ([1, 3, 3], 0), ([5, 1, 0, 5], 2), (range(9), 5), ([8], 0)):
        found, count = computed(lambda rows=rows: extractor.extract(dataset.take(rows), cut))
        assert count == new
        found, expected = found.whole(), whole.take(list(rows))
        assert found.keys() == expected.keys()
        ours, real = (one.get("attention_mask") for one in (found, expected))
        for name, value in found.items():
            known = expected[name]
            if real is not None and cut < network.end:  # what stands at padding is arbitrary
                value, known = (v[mask.bool()] for v, mask in ((value, ours), (known, real)))
            assert torch.allclose(value, known, atol=1e-5)
    other = Extractor(network, "digest", ActivationCache(cache.folder), ("counting", "eager"))
    other.engine(dataset, cut, network.preprocessing)
    assert computed(lambda: other.extract(dataset, cut))[1] == 0, "it is on disk"


def test_what_was_computed_before_time_was_over_stays(toy_text, extractor_of, texts):
    dataset = texts(150)
    extractor = extractor_of(toy_text)
    extractor.engine(dataset, toy_text.end, toy_text.preprocessing)
    asked = iter([False] * 3 + [True] * 10)
    with pytest.raises(OutOfTime, match="of "):
        extractor.extract(dataset, toy_text.end, late=lambda: next(asked))
    _, count = computed(lambda: extractor.extract(dataset, toy_text.end))
    assert count == len(set(dataset.digests)) - 4 * 16


def test_what_was_put_into_the_cache_before_a_kill_is_not_computed_again(
    toy_text, extractor_of, texts, monkeypatch
):
    """A kill leaves no time to put away what is pending: shards that were finished stay."""
    monkeypatch.setattr(module, "SHARD_ROWS", 48)
    dataset = texts(150)
    extractor = extractor_of(toy_text)
    extractor.engine(dataset, 2, toy_text.preprocessing)
    asked = iter([False] * 4 + [True] * 10)
    with monkeypatch.context() as killed, pytest.raises(OutOfTime):
        killed.setattr(module._Pending, "__exit__", lambda *_: None)
        extractor.extract(dataset, 2, late=lambda: next(asked))
    again, count = computed(lambda: extractor_of(toy_text).extract(dataset, 2))
    assert count == len(set(dataset.digests)) - 48, "one shard of 48 rows was finished"
    whole = extractor_of(toy_text, cache=None).extract(dataset, 2)
    assert torch.allclose(again.whole()["stage.0"], whole.whole()["stage.0"], atol=1e-5)


def test_inputs_are_shared_by_all_who_prepare_them_alike(toy_image, pictures, cache, monkeypatch):
    modality = modalities.get("image")
    collate, rows = modality.collate, []

    def counted(cells, *more):
        rows.append(len(cells))
        return collate(cells, *more)

    monkeypatch.setattr(modality, "collate", counted)
    first = inputs(pictures, Preprocessing({"size": 16}, {}), cache=cache)
    again = inputs(pictures.take([3, 2]), Preprocessing({"size": 16}, {}), cache=cache)
    assert sum(rows) == 9
    assert torch.equal(first.take([3, 2])["pixels"], again.whole()["pixels"])
    inputs(pictures, Preprocessing({"size": 24}, {}), cache=cache)
    assert sum(rows) == 18


def test_a_damaged_file_of_the_cache_is_computed_again(toy_image, extractor_of, pictures, cache):
    extractor = extractor_of(toy_image)
    first = extractor.extract(pictures, 3).whole()["stage.0"]
    [path] = cache.folder.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    fresh = extractor_of(toy_image, cache=ActivationCache(cache.folder))
    found, rows = computed(lambda: fresh.extract(pictures, 3))
    assert rows == 9 and torch.equal(found.whole()["stage.0"], first)


def test_without_a_cache_nothing_is_kept(toy_image, extractor_of, pictures, tmp_path):
    extractor = extractor_of(toy_image, cache=None)
    for _ in range(2):
        extractor.extract(pictures, 3)
    assert Counting.rows == 8 + 2 * 9
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.parametrize(("cut", "expected"), [(3, torch.bfloat16), (7, torch.float32)])
def test_what_was_computed_in_bf16_is_stored_so_within_the_backbone_only(
    toy_image, extractor_of, pictures, monkeypatch, cut, expected
):
    monkeypatch.setattr(Counting, "precision", "bf16")
    found = extractor_of(toy_image).extract(pictures, cut).whole()
    assert {value.dtype for value in found.values()} == {expected}


def test_an_engine_of_nans_is_refused_and_eager_computes(
    toy_image, extractor_of, pictures, monkeypatch
):
    spoilt = staticmethod(lambda values: {n: v * float("nan") for n, v in values.items()})
    monkeypatch.setattr(Counting, "spoil", spoilt)
    extractor = extractor_of(toy_image)
    found = extractor.extract(pictures, 7).whole()["features"]
    [chosen] = extractor.chosen.values()
    assert chosen.engine.name == "eager" and "counting: cosine -1.0000" in chosen.refused[0]
    assert torch.isfinite(found).all()


def test_an_engine_is_checked_on_two_rows_even_where_there_is_one(
    toy_image, extractor_of, pictures
):
    _, rows = computed(lambda: extractor_of(toy_image).extract(pictures.take([0]), 3))
    assert rows == 2 + 1


def test_out_of_time_is_raised_between_batches(toy_text, extractor_of, texts):
    extractor = extractor_of(toy_text)
    with pytest.raises(OutOfTime, match="16 of 40 rows"):
        extractor.extract(texts(40), 2, late=lambda: True)
    assert len(extractor.extract(texts(10, seed=1), 2, late=lambda: True)) == 10


def test_a_forecast_computes_some_rows_which_are_kept_and_counts_the_others(
    toy_text, extractor_of, texts, monkeypatch
):
    monkeypatch.setattr(module, "MEASURED", 8)
    dataset, extractor = texts(40), extractor_of(toy_text)
    extractor.engine(dataset, 2, toy_text.preprocessing)
    seconds, rows = computed(lambda: extractor.forecast(dataset, 2))
    assert rows == 8 and seconds > 0
    [place] = extractor.rates
    distinct = len(set(dataset.digests))
    assert seconds == pytest.approx((distinct - 8) / extractor.rates[place])
    again, rows = computed(lambda: extractor.forecast(dataset, 2))
    assert again == seconds and rows == 0, "the rate is known"
    _, rows = computed(lambda: extractor.extract(dataset, 2))
    assert rows == distinct - 8 and extractor.forecast(dataset, 2) == 0
    other = extractor_of(toy_text)
    other.engine(dataset, 2, toy_text.preprocessing)
    assert computed(lambda: other.forecast(dataset, 2)) == (0.0, 0), "all are kept"
    assert extractor.forecast(dataset, 2, view=View(1, "light", 0)) > 0, "not of this view"


@pytest.fixture
def in_chunks(toy_text):
    """The toy, its window of six tokens moved over longer texts."""
    settings = {**toy_text.preprocessing.settings, "max_length": 6, "long": "chunks"}
    toy_text.preprocessing = Preprocessing(settings, toy_text.preprocessing.files)
    # it is too shallow to have a middle of its own
    toy_text.middle = lambda: [stage.modules[-1] for stage in toy_text.stages[1:3]]
    return toy_text


@pytest.mark.parametrize("n", [1, 17, 150])
def test_a_row_in_chunks_is_the_mean_of_its_pieces_weighted_by_tokens(
    in_chunks, extractor_of, texts, n
):
    dataset = texts(n)
    found = extractor_of(in_chunks).extract(dataset, in_chunks.end).whole()
    assert set(found) == {"features", "layers"}
    prefix, modality = in_chunks.prefix(in_chunks.end), modalities.get("text")
    several = 0
    for i in {0, 2 % n, n // 2, n - 1}:
        batch = modality.collate(dataset.inputs[i : i + 1], (), in_chunks.preprocessing, View())
        several += len(batch["input_ids"]) > 1
        with torch.no_grad():
            alone = prefix(**{name: torch.from_numpy(v) for name, v in batch.items()})
        tokens = torch.from_numpy(batch["attention_mask"]).sum(1, keepdim=True)
        for name, value in found.items():
            mean = (alone[name] * tokens).sum(0) / tokens.sum()
            assert len(value) == n and torch.allclose(value[i], mean, atol=1e-5)
    assert several or n == 1


def test_pieces_are_counted_into_batches_and_no_row_is_torn(in_chunks, extractor_of, dataset_of):
    long = " ".join(f"w{i}" for i in range(24))
    dataset = dataset_of([long] * 9 + ["w1"] * 20)
    asked = module._Asked(dataset, range(29), in_chunks.preprocessing, View())
    batches = list(asked.batches(16))
    assert [len(rows) for rows, _ in batches] == [4, 4, 13, 8]
    assert [i for rows, _ in batches for i in rows] == [*range(29)]
    assert max(sum(pieces) for _, pieces in batches) <= 16


def test_pooled_is_the_mean_of_what_follows_one_another():
    values = {"features": torch.tensor([[1.0], [3.0], [5.0], [9.0]]), "input_ids": torch.ones(4, 2)}
    values["input_ids"] = values["input_ids"].long()
    assert pooled(values, [1, 3])["features"].tolist() == [[1.0], [pytest.approx(17 / 3)]]
    assert set(pooled(values, [1, 3])) == {"features"}


def test_chunks_have_no_value_within_the_network(in_chunks, extractor_of, texts):
    with pytest.raises(ValueError, match="at the end alone"):
        extractor_of(in_chunks).extract(texts(3), 2)


def test_each_way_to_read_long_texts_is_cached_by_itself(toy_text, extractor_of, texts):
    dataset, known = texts(20), toy_text.preprocessing
    found = []
    for long in (None, "head-tail", "chunks", "chunks"):
        settings = {**known.settings, "max_length": 6} | ({"long": long} if long else {})
        toy_text.preprocessing = Preprocessing(settings, known.files)
        extractor = extractor_of(toy_text)
        extractor.engine(dataset, 4, toy_text.preprocessing)
        found.append(computed(lambda e=extractor: e.extract(dataset, 4).whole()["features"]))
    values, rows = zip(*found, strict=True)
    assert rows[0] == rows[1] == 20 and rows[2] > 20 and rows[3] == 0
    assert not torch.equal(values[0], values[1]) and not torch.equal(values[1], values[2])
    assert torch.equal(values[2], values[3])


def test_a_model_compiled_with_other_statistics_of_colour_is_not_used(
    toy_image, extractor_of, pictures, monkeypatch
):
    keys = []
    choose = module.choose
    monkeypatch.setattr(
        module,
        "choose",
        lambda prefix, sample, key, *more: keys.append(key) or choose(prefix, sample, key, *more),
    )
    own = toy_image.preprocessing
    for mean in (None, [0.1, 0.2, 0.3], [0.15, 0.25, 0.35]):
        settings = own.settings if mean is None else {**own.settings, "mean": mean}
        toy_image.preprocessing = Preprocessing(settings, own.files)
        extractor_of(toy_image).extract(pictures, 2)
    assert len({*keys}) == 3


def test_a_forecast_measures_other_rows_where_these_were_just_computed_elsewhere(
    toy_text, extractor_of, texts, monkeypatch
):
    monkeypatch.setattr(module, "MEASURED", 8)
    dataset, extractor, other = texts(40), extractor_of(toy_text), extractor_of(toy_text)
    few = module._few

    def overtaken(rows, absent, preprocessing):
        some = few(rows, absent, preprocessing)
        if len(absent) == len({*dataset.digests}):
            other.extract(rows.take(some), 2)
        return some

    monkeypatch.setattr(module, "_few", overtaken)
    assert extractor.forecast(dataset, 2) > 0


@pytest.mark.parametrize("toy", ["toy_image", "toy_text"])
def test_a_source_that_was_prepared_is_not_converted_for_the_first_rows(
    toy, own_cache, pictures, texts, request, monkeypatch
):
    import openvino as ov

    backbone = request.getfixturevalue(toy)
    loaded = LoadedSource(source=None, backbone=backbone, digest="digest")
    assert module.prepare(loaded).name == "openvino"

    def again(*_arguments, **_options):
        raise AssertionError("converted again")

    monkeypatch.setattr(ov, "convert_model", again)
    extractor = Extractor(backbone, "digest")
    dataset = pictures if toy == "toy_image" else texts(9)
    assert len(extractor.extract(dataset, backbone.end)) == 9
    [chosen] = extractor.chosen.values()
    assert chosen.name == "openvino" and chosen.refused == ()


def test_long_rows_of_which_few_fit_into_memory_come_in_smaller_batches(tmp_path, dataset_of):
    paths = []
    for i, seconds in enumerate((20.0, 20.0, 20.0, 20.0, *[1.0] * 12)):
        sound = 0.1 * np.random.default_rng(i).standard_normal(int(16_000 * seconds))
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], sound, 16_000)
    dataset = dataset_of(paths, modality="audio")
    settings = {"front": "wave", "seconds": 30}
    asked = module._Asked(dataset, range(16), Preprocessing(settings, {}), View())
    assert [len(rows) for rows, _ in asked.batches(8)] == [3, 3, 8, 2]
    energies = module._Asked(dataset, range(16), Preprocessing({"front": "mel"}, {}), View())
    assert [len(rows) for rows, _ in energies.batches(8)] == [8, 8]
