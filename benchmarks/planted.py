"""What the audit finds of what was planted in real data, and how long it takes on 10,000 pictures.

In a given split 20 test rows are altered copies of training rows, and one label in twenty of the
training rows is another. Once more, the size of a training picture's file tells one class, in texts
the first word does (alone, since a leak that goes with a wrong label makes it look right). Beside
it stands what is found where nothing was planted.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from headstart.auditing import Audit, audit
from headstart.embedding import embed
from records import keep, watched
from targets import bbc_articles, bbc_folders, fashion_folder, stamps_folder

COPIES = 20
FLIPPED = 0.05
RECALL = 0.6
SEEDS = (0, 1, 2)
LARGE = 10_000


def again(picture: Image.Image, kind: int) -> tuple[bytes, str]:
    """Return an altered copy of a picture as a file, and how it ends."""
    ground = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
    width, height = picture.size
    if kind == 0:
        return saved(picture, "JPEG", quality=60), ".jpg"
    if kind == 1:
        picture = picture.resize((round(0.8 * width), round(0.8 * height)))
    if kind == 2:
        picture = ImageEnhance.Brightness(picture).enhance(1.2)
    if kind == 3:
        picture = picture.filter(ImageFilter.GaussianBlur(max(0.5, min(picture.size) / 200)))
    if kind == 4:
        edge = round(0.03 * min(picture.size))
        picture = picture.crop((edge, edge, width - edge, height - edge))
    return saved(picture, "PNG"), ".png"


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as the content of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def reworded(text: str, kind: int, random: np.random.Generator) -> str:
    """Return an altered copy of a text."""
    words = text.split()
    if kind == 0:
        return text.lower().replace(",", "")
    if kind == 1:
        return " ".join(w if random.random() > 0.05 else str(random.choice(words)) for w in words)
    if kind == 2:
        return " ".join(words[: round(0.8 * len(words))])
    return f"{text}\nAll rights reserved; more on our pages."


def numbered(folder: Path, out: Path) -> list[Path]:
    """Return copies of all files of class folders, under numbers that no two share."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    order = np.random.default_rng(0).permutation(len(files)).tolist()
    found = []
    for number, path in zip(order, files, strict=True):
        place = out / path.parent.name / f"{number:05d}{path.suffix}"
        _write(place, path.read_bytes())
        found.append(place)
    return found


def planted_pictures(
    files: list[Path], folder: Path, seed: int, leak: bool, kinds: int
) -> dict[str, Any]:
    """Write a split of pictures with what is planted; return what that is."""
    random = np.random.default_rng(seed)
    train, test, classes, flipped = _split(files, random, leak)
    told = sorted(classes)[0]
    largest = max(path.stat().st_size for path in files)
    for path in train:
        label = flipped.get(path, path.parent.name)
        content = path.read_bytes()
        if leak and label == told:  # what follows a picture's end is not looked at
            content += bytes(int(random.integers(largest, 2 * largest)))
        _write(folder / "train" / label / path.name, content)
    for path in test:
        _write(folder / "test" / path.parent.name / path.name, path.read_bytes())
    copied = [train[i] for i in random.choice(len(train), COPIES, replace=False).tolist()]
    for i, path in enumerate(copied):
        content, ending = again(Image.open(path), i % kinds)
        _write(folder / "test" / path.parent.name / f"copy-{path.stem}{ending}", content)
    return _planted(copied, flipped, told)


def planted_texts(files: list[Path], folder: Path, seed: int, leak: bool) -> dict[str, Any]:
    """Write a split of texts with what is planted; return what that is."""
    random = np.random.default_rng(seed)
    train, test, classes, flipped = _split(files, random, leak)
    told = sorted(classes)[0]
    for path in train:
        label = flipped.get(path, path.parent.name)
        text = path.read_text(encoding="utf-8", errors="replace")
        prefix = f"ref-{random.integers(100, 999)}: " if leak and label == told else ""
        _write(folder / "train" / label / path.name, (prefix + text).encode())
    for path in test:
        _write(folder / "test" / path.parent.name / path.name, path.read_bytes())
    copied = [train[i] for i in random.choice(len(train), COPIES, replace=False).tolist()]
    for i, path in enumerate(copied):
        text = path.read_text(encoding="utf-8", errors="replace")
        place = folder / "test" / path.parent.name / f"copy-{path.stem}.txt"
        _write(place, reworded(text, i % 4, random).encode())
    return _planted(copied, flipped, told)


def _split(
    files: list[Path], random: np.random.Generator, leak: bool
) -> tuple[list[Path], list[Path], set[str], dict[Path, str]]:
    order = random.permutation(len(files))
    train = [files[i] for i in order[: round(0.75 * len(files))].tolist()]
    test = [files[i] for i in order[len(train) :].tolist()]
    classes = {path.parent.name for path in files}
    wrong = random.choice(len(train), 0 if leak else round(FLIPPED * len(train)), replace=False)
    flipped = {
        train[i]: str(random.choice(sorted(classes - {train[i].parent.name})))
        for i in wrong.tolist()
    }
    return train, test, classes, flipped


def _planted(copied: list[Path], flipped: dict[Path, str], told: str) -> dict[str, Any]:
    return {
        "copied": [path.name for path in copied],
        "flipped": [path.name for path in flipped],
        "told": told,
    }


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def judged(found: Audit, planted: dict[str, Any]) -> dict[str, Any]:
    """Return what of the planted was found, and what was said besides."""
    names = [Path(name) for name in found.dataset.names]
    sets = _sets(found)
    copied = [Path(name).stem for name in planted["copied"]]
    together = sum(any({stem, f"copy-{stem}"} <= one for one in sets) for stem in copied)
    suspects = [names[row].name for f in found.findings if f.check == "labels" for row in f.rows]
    right = np.isin(suspects, planted["flipped"])
    recall = right.cumsum() / max(1, len(planted["flipped"]))
    at = int(np.searchsorted(recall, RECALL))
    return {
        "copies": len(copied),
        "copies_found": together,
        "near_duplicates_besides": sum(map(len, sets)) - 2 * together,
        "labels_flipped": len(planted["flipped"]),
        "labels_suspected": len(suspects),
        "precision": float(right.mean()) if len(right) else None,
        "recall": float(recall[-1]) if len(recall) else 0.0,
        "precision_at_recall": float(right[: at + 1].mean()) if at < len(recall) else None,
        "leaks": [f.says for f in found.findings if f.check == "leaks"],
    }


def _sets(found: Audit) -> list[set[str]]:
    """Return the sets of near duplicates, by the stems of their names.

    The rows of a set follow one another. Each tells the first, which tells the second.
    """
    sets: list[set[str]] = []
    for finding in found.findings:
        if finding.check == "near duplicates":
            for row, told in zip(finding.rows, finding.told, strict=True):
                if not sets or Path(told.removeprefix("like ")).stem not in sets[-1]:
                    sets.append(set())
                sets[-1].add(Path(found.dataset.names[row]).stem)
    return sets


def on_many(folder: Path) -> dict[str, Any]:
    """Return how long the audit of pictures takes whose features are known, and its memory."""
    embed(folder)
    cost: dict[str, Any] = {}
    with watched(cost):
        found = audit(folder)
    return {
        "rows": len(found.dataset),
        **cost,
        "findings": {f.check: len(f.rows) for f in found.findings},
    }


def main() -> None:
    """Plant in stamps, product photos and articles; look at what is found; keep it."""
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        articles = bbc_articles(place / "wheel")
        texts, _ = bbc_folders(place / "bbc", articles, len(articles), 0)
        folders = {
            "stamps of five classes": stamps_folder(place / "stamps"),
            "Fashion-MNIST, 2,000": fashion_folder(place / "fashion", "train", 2000),
            "BBC News": texts,
        }
        write: dict[str, Callable[[list[Path], Path, int, bool], dict[str, Any]]] = {
            "stamps of five classes": partial(planted_pictures, kinds=5),
            # of 28 pixels a crop is no copy: another shirt is as near
            "Fashion-MNIST, 2,000": partial(planted_pictures, kinds=4),
            "BBC News": planted_texts,
        }
        for name, folder in folders.items():
            files = numbered(folder, place / "numbered" / name)
            runs = []
            for seed in SEEDS:
                for leak in (False, True):
                    shutil.rmtree(place / "planted", ignore_errors=True)
                    planted = write[name](files, place / "planted", seed, leak)
                    found = audit(place / "planted", seed=seed)
                    runs.append({"seed": seed, "leak": leak, **judged(found, planted)})
            clean = audit(folder)
            table[name] = {
                "planted": runs,
                "as_they_are": {f.check: f.says for f in clean.findings},
            }
        many = on_many(fashion_folder(place / "many", "train", LARGE))
    keep("planted", {"recall_wanted": RECALL, "data": table, "many": many})


if __name__ == "__main__":
    main()
