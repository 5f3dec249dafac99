"""Names of data sets on the hub: what counts as one, and what is said where it cannot be had."""

from __future__ import annotations

import datasets
import pytest
from PIL import Image

from headstart import hub as reach
from headstart.data.columns import Roles
from headstart.data.readers import hub, read_table
from headstart.data.reading import read
from headstart.errors import DataError

ROWS = datasets.Dataset.from_dict({"text": ["x", "y"], "label": ["a", "b"]})


@pytest.fixture(autouse=True)
def away(monkeypatch):
    """A hub that cannot be reached."""
    monkeypatch.setattr(reach, "answers", lambda: False)
    hub._fetched.cache_clear()
    yield
    hub._fetched.cache_clear()


@pytest.mark.parametrize("name", ["someone/poems", "poems"])
def test_a_data_set_that_cannot_be_fetched_is_answered_with_how_to_bring_it(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_table(name)
    assert f"{name}: there is no such file or folder, and no data set" in str(caught.value)
    assert "(the hub cannot be reached)" in str(caught.value)
    assert f"datasets.load_dataset('{name}').save_to_disk('folder')" in str(caught.value)
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_data_set_of_the_hub_is_fetched_once_and_its_splits_are_the_parts(monkeypatch):
    asked = []

    def load(name, **options):
        asked.append((name, options))
        return datasets.DatasetDict(train=ROWS, test=ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    found = read_table("someone/poems")
    assert found.path == "someone/poems" and found.parts == ["train"] * 2 + ["test"] * 2
    assert asked == [("someone/poems", {})]


def test_pictures_that_were_fetched_lie_in_the_cache_and_nowhere_else(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    for place in ("cache/a.png", "cache/b.png", "outside.png"):
        Image.new("L", (4, 4), len(place)).save(tmp_path / place)
    paths = [str(tmp_path / place) for place in ("cache/a.png", "cache/b.png", "outside.png")]
    rows = datasets.Dataset.from_dict({"image": paths, "label": list("aba")})
    rows = rows.cast_column("image", datasets.Image())
    monkeypatch.setattr(datasets.config, "HF_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "load_dataset", lambda _name: rows)
    dataset = read("someone/pictures", Roles.of(label="label"))
    assert len(dataset) == 2 and "leads out of" in dataset.set_aside[0].reason


@pytest.mark.parametrize("name", ["gone.csv", "photos/gone.png", "./poems", "a/b/c", "poems/", "~"])
def test_what_is_written_like_a_path_is_never_asked_of_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_table(name)


def test_what_is_on_this_machine_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ROWS.save_to_disk(tmp_path / "someone" / "poems")
    monkeypatch.setattr(datasets, "load_dataset", None)
    assert read_table("someone/poems").path == "someone/poems"
