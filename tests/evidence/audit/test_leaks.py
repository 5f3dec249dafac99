import numpy as np
import pytest
from PIL import Image

from headstart.auditing import audit
from headstart.evidence.audit.leaks import leaks


@pytest.fixture
def texts(sentences):
    return sentences(200)


def said(rows):
    return [finding.says for finding in leaks(rows)]


def test_nothing_is_said_of_honest_rows(examined_of, texts):
    assert said(examined_of(texts, ["a", "b"] * 100)) == []


def test_a_prefix_that_tells_the_class_is_found(examined_of, texts):
    labels = ["a", "b"] * 100
    marked = [
        f"ref-{label}{i}: {t}" for i, (t, label) in enumerate(zip(texts, labels, strict=True))
    ]
    found = list(leaks(examined_of(marked, labels)))
    assert any("first word alone tells every class" in finding.says for finding in found)
    assert found[0].severity == "serious"


def test_a_prefix_of_some_rows_of_a_class_is_found(examined_of, texts):
    labels = ["a", "b"] * 100
    marked = [f"ALERT {t}" if i % 2 == 0 and i < 60 else t for i, t in enumerate(texts)]
    [one, *_] = leaks(examined_of(marked, labels))
    assert one.says == "of 30 rows whose first word is 'alert', 100% are 'a'"
    assert one.rows == tuple(range(0, 60, 2))


def test_a_word_of_both_classes_is_no_leak(examined_of, texts):
    assert said(examined_of([f"hello {t}" for t in texts], ["a", "b"] * 100)) == []


def test_the_length_that_tells_one_of_three_classes_is_found(examined_of, texts):
    labels = [f"c{i % 3}" for i in range(200)]
    longer = [t * 5 if label == "c1" else t for t, label in zip(texts, labels, strict=True)]
    found = said(examined_of(longer, labels))
    assert any(text.startswith("the length alone tells 1 of the classes") for text in found)


@pytest.fixture
def pictures(tmp_path):
    """A function that writes pictures of noise in two classes, each saved as it is told."""

    def write(save, count=60):
        random = np.random.default_rng(0)
        for i in range(count):
            label = "ab"[i % 2]
            (tmp_path / label).mkdir(exist_ok=True)
            picture = Image.fromarray(random.integers(0, 256, (24, 24, 3), np.uint8))
            save(picture, tmp_path / label, f"{random.integers(1e6):06d}", label)
        return tmp_path

    return write


def found_in(folder):
    return [f for f in audit(folder).findings if f.check == "leaks"]


def test_a_file_size_that_tells_the_class_is_found(pictures, own_cache):
    def save(picture, folder, name, label):
        picture.save(folder / f"{name}.jpg", quality=95 if label == "a" else 50)

    says = [finding.says for finding in found_in(pictures(save))]
    assert any("size of the file alone tells every class" in text for text in says)
    assert any("compression alone tells every class" in text for text in says)


def test_names_and_endings_are_found_and_said_to_be_harmless(pictures, own_cache):
    def save(picture, folder, name, label):
        picture.save(folder / f"{'left' if label == 'a' else 'right'}{name}.png")

    [finding] = found_in(pictures(save))
    assert finding.says.startswith("the file's name alone tells every class")
    assert finding.severity == "note"


def test_the_folder_that_is_the_label_is_no_leak(pictures, own_cache):
    def save(picture, folder, name, label):
        picture.save(folder / f"{name}.png")

    assert found_in(pictures(save)) == []
