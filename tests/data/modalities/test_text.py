"""Texts: any encoding, refused where there is no text, tokenized as far as a model reads."""

from __future__ import annotations

import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data import tokenizing
from headstart.data.modalities import Preprocessing, View, modalities, text
from headstart.errors import Unreadable

TEXTS = modalities.get("text")
ACCENTED = "café naïve"


@pytest.fixture
def write(tmp_path):
    """A function that writes bytes to a text file and returns its path."""

    def make(content, name="a.txt"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return make


@pytest.fixture
def collate(tokenizer):
    """A function that makes a batch of texts, six tokens long at most."""

    def make(*cells):
        reads = Preprocessing({"max_length": 6, "pad": 0}, {"tokenizer.json": tokenizer})
        return TEXTS.collate(cells, [TEXTS.check(cell) for cell in cells], reads, View())

    return make


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (ACCENTED.encode(), ACCENTED),
        (ACCENTED.encode("utf-8-sig"), ACCENTED),
        (ACCENTED.encode("cp1252"), ACCENTED),
        (ACCENTED.encode("utf-16"), ACCENTED),
        (b"\xfe\xff" + ACCENTED.encode("utf-16-be"), ACCENTED),
        ("“quoted” – €5".encode("cp1252"), "“quoted” – €5"),
        (b"byte \x81 without meaning", "byte \ufffd without meaning"),
        ("日本 🫐".encode(), "日本 🫐"),
        (b"  \n padded \t\n", "padded"),
    ],
)
def test_files_are_read_in_utf8_or_utf16_by_its_mark_or_else_windows_1252(write, content, expected):
    assert text.load(write(content)) == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty text"),
        (b" \n\t ", "an empty text"),
        (b"\xef\xbb\xbf", "an empty text"),
        (b"MZ\0\0binary", "not a text file"),
        (b"\xff\xfe\0\0binary\0\0", "not a text file"),
    ],
)
def test_what_holds_no_text_is_refused_with_the_reason(write, content, reason):
    with pytest.raises(Unreadable, match=reason):
        TEXTS.check(write(content))


def test_missing_and_overlong_files_are_refused(write, tmp_path, monkeypatch):
    with pytest.raises(Unreadable, match="No such file"):
        text.load(tmp_path / "none.txt")
    monkeypatch.setattr(text, "LONGEST", 2_000_000)
    with pytest.raises(Unreadable, match="a text file of over 2 MB"):
        text.load(write(b"a" * 2_000_001))


def test_a_cell_of_white_space_is_refused():
    with pytest.raises(Unreadable, match="an empty text"):
        TEXTS.check(" \n ")


def test_check_is_the_same_for_a_cell_a_file_and_either_unicode_form(write):
    composed, decomposed = (unicodedata.normalize(form, ACCENTED) for form in ("NFC", "NFD"))
    assert composed != decomposed
    cells = [composed, decomposed, write(decomposed.encode()), f"  {composed}\n"]
    assert len({TEXTS.check(cell) for cell in cells}) == 1
    assert TEXTS.check("cafe naive") != TEXTS.check(composed)


@given(cell=st.text(min_size=1, max_size=20).filter(lambda cell: cell.strip()))
def test_texts_of_one_digest_read_the_same_to_a_model(cell):
    decomposed = unicodedata.normalize("NFD", cell)
    if TEXTS.check(cell) == TEXTS.check(decomposed):
        assert text.load(cell) == text.load(decomposed)


def test_half_a_surrogate_pair_in_a_cell_does_not_stop_the_batch(collate):
    assert collate("w1 \ud800 w2")["input_ids"].tolist() == [[3, 1, 4]]


def test_collate_pads_to_the_longest_row_and_masks_the_padding(collate):
    batch = collate("w0 w1 w2", "w3", "who knows w4")
    assert batch["input_ids"].tolist() == [[2, 3, 4], [5, 0, 0], [1, 1, 6]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 1]]
    assert batch["input_ids"].dtype == batch["attention_mask"].dtype == np.int64


def test_collate_cuts_long_texts_and_a_row_does_not_depend_on_its_neighbours(collate):
    words = " ".join(f"w{i}" for i in range(30))
    batch = collate(words, "w1 w2")
    assert batch["input_ids"].shape == (2, 6)
    assert batch["input_ids"][0].tolist() == [2, 3, 4, 5, 6, 7]
    assert collate("w1 w2")["input_ids"].tolist() == [batch["input_ids"][1, :2].tolist()]


def test_a_text_of_a_megabyte_is_tokenized_as_far_as_the_model_reads(collate, monkeypatch):
    seen = []
    real = tokenizing.Reading._encoded

    def spy(reading, texts):
        seen.extend(map(len, texts))
        return real(reading, texts)

    monkeypatch.setattr(tokenizing.Reading, "_encoded", spy)
    started = time.monotonic()
    batch = collate("w5 " * 350_000)
    assert time.monotonic() - started < 1
    assert batch["input_ids"].tolist() == [[7] * 6]
    assert max(seen) == 6 * tokenizing.CHARACTERS


def test_order_is_longest_first_and_takes_each_row_once(write):
    cells = ["two words", "w", write(b"a file that is rather long"), "three small words"]
    assert TEXTS.order(cells) == [2, 3, 0, 1]
    assert TEXTS.sizes(cells) == [9, 1, 26, 17]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a sentence.", True),
        ("photos/a.png", False),
        ("", True),
        (("one", Path("two.txt")), True),
        (("one", Path("two.png")), False),
        ((), False),
        (b"bytes", False),
    ],
)
def test_recognises_strings_that_are_not_paths_of_pictures(cell, expected):
    assert TEXTS.recognises(cell) is expected


def test_render_escapes_and_shortens():
    assert TEXTS.render("<script>") == "&lt;script&gt;"
    assert TEXTS.render("x" * 300) == "x" * 200 + "…"
    assert TEXTS.render(("a", "<b>")) == "a<br>&lt;b&gt;"


def test_several_texts_have_a_digest_of_their_own(write):
    digests = [
        TEXTS.check(cell)
        for cell in (("ab", "c"), ("a", "bc"), ("c", "ab"), "abc", ("abc", ""), ("", "abc"))
    ]
    assert len(set(digests)) == len(digests)
    assert TEXTS.check((write(b" ab"), "c")) == digests[0]
    assert TEXTS.check(("abc",)) == digests[3]


@pytest.mark.parametrize("cell", [("", " \n"), ()])
def test_several_texts_may_not_all_be_empty(cell):
    with pytest.raises(Unreadable, match="an empty text"):
        TEXTS.check(cell)


def test_of_several_texts_a_bad_file_is_named(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        TEXTS.check(("a", tmp_path / "none.txt"))


def test_several_texts_share_the_window(collate):
    batch = collate(("w0 w1", "w2"), ("w3 " * 9, "w4"), "w5")
    assert batch["input_ids"].tolist() == [[2, 3, 4, 0, 0, 0], [5, 5, 5, 5, 5, 6], [7] + [0] * 5]
    assert batch["attention_mask"].sum(1).tolist() == [3, 6, 1]
    assert TEXTS.sizes([("w0 w1", "w2"), "w3"]) == [7, 2]


def test_in_chunks_a_row_is_as_many_as_its_pieces(tokenizer):
    reads = Preprocessing(
        {"max_length": 6, "pad": 0, "long": "chunks"}, {"tokenizer.json": tokenizer}
    )
    cells = ["w0 w1", " ".join(f"w{i}" for i in range(16)), "w2"]
    pieces = TEXTS.pieces(cells, reads)
    batch = TEXTS.collate(cells, ["", "", ""], reads, View())
    assert pieces == [1, 3, 1]
    assert batch["input_ids"][:, 0].tolist() == [2, 2, 7, 12, 4]
    assert batch["attention_mask"].sum(1).tolist() == [2, 6, 6, 6, 1]
    whole = Preprocessing({"max_length": 6, "pad": 0}, reads.files)
    assert TEXTS.pieces(cells, whole) == [1, 1, 1]


def test_a_sketch_knows_a_text_in_which_little_was_changed(write):
    words = [f"word{i}" for i in range(60)]
    first = " ".join(words)
    likes = [first, first.upper(), " ".join(reversed(words)), write((first + " else").encode())]
    others = [" ".join(f"other{i}{j}" for i in range(60)) for j in range(4)]
    sketches = TEXTS.sketch([*likes, *others])
    np.testing.assert_allclose(np.linalg.norm(sketches, axis=1), 1, atol=1e-5)
    near = sketches @ sketches[0]
    assert near[:4].min() > 0.95 > 0.5 > near[4:].max()


def test_texts_without_words_are_told_apart_by_what_they_have():
    first, second, same = TEXTS.sketch(["?!", "👍", "?!"])
    assert first.any() and (first != second).any() and (first == same).all()


def test_traits_are_how_a_text_is_written_not_what_it_says():
    found = {trait.name: trait.values for trait in TEXTS.traits(["ID 4711: Ab\ncd", "x"])}
    assert found["first word"] == ("id", "x")
    assert found["first two words"] == ("id ####:", "x")
    assert found["last word"] == ("cd", "x")
    assert found["length"] == (14, 1)
    assert found["lines"] == (1, 0)
    assert found["share of digits"][0] == pytest.approx(4 / 14)
    assert found["share of capitals"][0] == pytest.approx(3 / 14)


def test_a_pair_is_sketched_and_has_traits_in_both_parts(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    both = modalities.get("image+text")
    cells = [(tmp_path / "a.png", "one two three"), (tmp_path / "a.png", "four five six")]
    sketches = both.sketch(cells)
    assert sketches[0] @ sketches[1] == pytest.approx(0.5, abs=0.1)
    names = [trait.name for trait in both.traits(cells)]
    assert "width of the image" in names and "first word of the text" in names
