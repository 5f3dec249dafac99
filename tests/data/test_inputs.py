"""Inputs as Python programs hold them: whatever the container, the same rows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.data.inputs import rows_from
from headstart.data.modalities import modalities
from headstart.errors import DataError

TEXTS = ["one text", "another", "a third, see it.png there"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8)


def digest_of(array) -> str:
    """Return the digest that an upright RGB array has as a picture."""
    return hashlib.sha256(str(array.shape).encode() + array.tobytes()).hexdigest()


@pytest.mark.parametrize(
    "hold",
    [
        list,
        tuple,
        np.array,
        lambda texts: np.array(texts, object),
        lambda texts: np.array(texts, object)[:, None],
        pd.Series,
        lambda texts: pd.Series(texts, index=[7, 7, 1], dtype="category"),
        lambda texts: pd.DataFrame({"text": texts}),
        iter,
    ],
    ids=["list", "tuple", "array", "objects", "column", "series", "category", "table", "iterator"],
)
def test_texts_in_any_container_are_the_same_rows(tmp_path, hold):
    rows = rows_from(hold(TEXTS))
    assert rows.modality == "text" and rows.inputs == tuple(TEXTS)
    assert rows.names == ("row 0", "row 1", "row 2") and rows.set_aside == ()
    assert all(type(cell) is str for cell in rows.inputs)


@pytest.mark.parametrize(
    "hold",
    [
        lambda p: p,
        list,
        lambda p: [Image.fromarray(a) for a in p],
        lambda p: [Image.fromarray(a).convert("RGBA") for a in p],
    ],
    ids=["array", "arrays", "pictures", "alpha"],
)
def test_pictures_in_memory_are_kept_without_loss(tmp_path, hold):
    rows = rows_from(hold(PIXELS))
    assert rows.modality == "image" and not rows.set_aside
    assert rows.digests == tuple(map(digest_of, PIXELS))


@pytest.mark.parametrize("shape", [(3, 9, 7), (3, 9, 7, 1)])
def test_grey_pictures(tmp_path, shape):
    grey = PIXELS[..., 0].reshape(shape)
    rows = rows_from(grey)
    expected = [np.repeat(g.reshape(9, 7)[:, :, None], 3, axis=2) for g in grey]
    assert rows.digests == tuple(map(digest_of, expected))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "I", "F", "CMYK", "YCbCr", "HSV"])
def test_pictures_of_any_mode_are_what_their_file_would_be(tmp_path, mode):
    rows = rows_from([Image.fromarray(PIXELS[0]).convert("L").convert(mode.split(";")[0])])
    assert rows.modality == "image" and len(rows) == 1


def test_a_picture_is_turned_upright_as_its_camera_says(tmp_path):
    picture = Image.fromarray(PIXELS[0])
    picture.getexif()[0x0112] = 6
    rows = rows_from([picture])
    assert rows.digests == (digest_of(np.ascontiguousarray(np.rot90(PIXELS[0], -1))),)


@pytest.mark.parametrize("how", [str, Path])
def test_paths_are_read_as_what_their_names_say(tmp_path, how):
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("from a file")
    rows = rows_from([how(tmp_path / "a.png")])
    assert rows.modality == "image" and rows.digests == (digest_of(PIXELS[0]),)
    rows = rows_from([how(tmp_path / "a.txt")])
    assert rows.digests == rows_from(["from a file"]).digests
    assert rows_from(["no such.txt"]).inputs == ("no such.txt",), "it is a text"


def test_a_modality_that_is_known_is_not_inferred(tmp_path):
    rows = rows_from(["a title.png"], "text")
    assert rows.modality == "text" and rows.inputs == ("a title.png",)


def test_bad_rows_are_set_aside_under_their_number(tmp_path):
    for nothing in (None, float("nan"), np.nan, pd.NA, "  "):
        rows = rows_from(["good", nothing, "fine"])
        assert rows.names == ("row 0", "row 2")
        assert [aside.where for aside in rows.set_aside] == ["row 1"]
    (tmp_path / "bad.png").write_bytes(b"nothing")
    rows = rows_from([PIXELS[0], tmp_path / "bad.png"])
    assert [(a.where, a.reason) for a in rows.set_aside] == [("row 1", "not a picture")]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("one text", "a list of texts or pictures, not one str"),
        (Path("a.png"), "not one"),
        (7, "not one int"),
        (Image.fromarray(PIXELS[0]), "not a single one"),
        ([], "there are no inputs"),
        (np.zeros((4, 3)), r"shape \(4, 3\) and type float64 holds neither texts nor pictures"),
        (np.zeros(4, int), "holds neither"),
        (PIXELS / 255.0, "row 0: pixels of type float64; expected uint8"),
        (np.zeros((2, 9, 7, 2), np.uint8), r"shape \(9, 7, 2\) is no picture"),
        (np.zeros((2, 0, 7), np.uint8), "is no picture"),
        (pd.DataFrame({"a": TEXTS, "b": TEXTS}), r"one column of texts or paths, .* \(3, 2\)"),
        (["text", 7], "row 1 is of type int"),
        ([{"text": "a"}], "row 0 is of type dict"),
    ],
)
def test_what_is_no_list_of_inputs_is_said_to_be_none(tmp_path, inputs, said):
    with pytest.raises(DataError, match=said):
        rows_from(inputs)


def test_sparse_numbers_are_refused(tmp_path):
    from scipy.sparse import csr_matrix

    with pytest.raises(DataError, match="sparse matrix"):
        rows_from(csr_matrix(np.eye(3)))


def test_the_rows_are_those_that_a_reader_would_make(tmp_path):
    assert rows_from(TEXTS).digests == tuple(map(modalities.get("text").check, TEXTS))
