"""What all readers share: who is asked first, and the same data set from every container."""

from __future__ import annotations

import csv
import io
import json

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.data.columns import Roles
from headstart.data.readers import reader_of, readers, title
from headstart.data.reading import read
from headstart.data.splits import split

TEXTS = [f"the {word}, number {i}" for i, word in enumerate(["cat", "dog", "bird"] * 4)]
LABELS = ["1", "2", "3"] * 4


@pytest.fixture
def containers(tmp_path):
    """A function that brings inputs and labels in every container there is."""

    def bring(name, cells, files):
        place = tmp_path / "rows"
        place.mkdir()
        rows = [
            {name: cell, "label": int(label)} for cell, label in zip(cells, LABELS, strict=True)
        ]
        frame = pd.DataFrame(rows)
        for i, (content, label) in enumerate(zip(files, LABELS, strict=True)):
            (tmp_path / "classes" / label).mkdir(parents=True, exist_ok=True)
            suffix = ".png" if name == "image" else ".txt"
            (tmp_path / "classes" / label / f"{i}{suffix}").write_bytes(content)
            (place / f"{i}{suffix}").write_bytes(content)
        for file, mark in (("rows.csv", ","), ("rows.tsv", "\t")):
            with (place / file).open("w", newline="", encoding="utf-8") as out:
                written = csv.writer(out, delimiter=mark)
                written.writerows([[name, "label"], *zip(cells, LABELS, strict=True)])
        (place / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        frame.to_parquet(place / "rows.parquet")
        inside = pd.DataFrame(
            {name: files if name == "image" else cells, "label": map(int, LABELS)}
        )
        inside.to_parquet(place / "inside.parquet")
        kinds = datasets.ClassLabel(names=["0", "1", "2", "3"])
        kept = datasets.Dataset.from_pandas(inside).cast_column("label", kinds)
        if name == "image":
            wrapped = [{"bytes": content, "path": None} for content in files]
            kept = datasets.Dataset.from_dict({"image": wrapped, "label": list(map(int, LABELS))})
            kept = kept.cast_column("image", datasets.Image()).cast_column("label", kinds)
        kept.save_to_disk(place / "saved")
        decoded = inside
        if name == "image":
            decoded = inside.assign(image=[Image.open(io.BytesIO(file)) for file in files])
        return [
            tmp_path / "classes",
            *(place / f"rows.{kind}" for kind in ("csv", "tsv", "jsonl", "parquet")),
            place / "inside.parquet",
            place / "saved",
            inside,
            decoded,
            kept,
        ]

    return bring


def parts_of(dataset):
    found = split(dataset, np.array(dataset.targets[0].values), seed=0)
    return [
        sorted(dataset.digests[i] for i in rows)
        for rows in (found.train, found.validation, found.test)
    ]


def test_the_same_texts_from_every_container_are_the_same_data_set(containers):
    brought = [read(data) for data in containers("text", TEXTS, [t.encode() for t in TEXTS])]
    assert len({dataset.fingerprint() for dataset in brought}) == 1
    assert all(parts_of(dataset) == parts_of(brought[0]) for dataset in brought)
    assert len(brought[0]) == 12 and not any(dataset.set_aside for dataset in brought)


def test_the_same_pictures_from_every_container_are_the_same_data_set(containers):
    random, contents = np.random.default_rng(0), []
    for _ in range(12):
        written = io.BytesIO()
        Image.fromarray(random.integers(0, 255, (6, 5, 3), np.uint8)).save(written, "PNG")
        contents.append(written.getvalue())
    brought = containers("image", [f"{i}.png" for i in range(12)], contents)
    brought = [read(data, Roles.of(label="label")) for data in brought]
    assert len({dataset.fingerprint() for dataset in brought}) == 1
    assert all(parts_of(dataset) == parts_of(brought[0]) for dataset in brought)
    assert len(brought[0]) == 12 and not any(dataset.set_aside for dataset in brought)


@pytest.mark.parametrize("reader", list(readers), ids=readers.names())
def test_every_reader_says_what_it_reads_and_when_it_is_asked(reader):
    assert reader.form and reader.rank in (0, 1, 2)
    assert not reader.recognises(object())


def test_a_folder_is_class_folders_only_if_it_is_nothing_else(tmp_path):
    (tmp_path / "cat").mkdir()
    assert reader_of(tmp_path) is readers.get("folder")
    (tmp_path / "dataset_dict.json").touch()
    assert reader_of(str(tmp_path)) is readers.get("saved")


def test_data_are_called_by_their_path_or_type(tmp_path):
    assert title(tmp_path) == str(tmp_path) and title("a.csv") == "a.csv"
    assert title(pd.DataFrame()) == "DataFrame"
