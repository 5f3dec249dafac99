"""A folder with a sub-folder per class, or with train/, validation/ and test/ of such folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headstart.data.dataset import Cell, Part, SetAside, Table
from headstart.data.modalities import modalities
from headstart.data.readers import readers
from headstart.errors import DataError

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})


def _visible(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.iterdir()
        if not p.name.startswith((".", "__MACOSX")) and p.name.lower() not in _CLUTTER
    )


def files_in(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield all files in `folder` but clutter; links back to a folder `above` are not followed."""
    above = (*above, folder.resolve())
    for path in _visible(folder):
        if not path.is_dir():
            yield path
        elif not any(known.is_relative_to(path.resolve()) for known in above):
            yield from files_in(path, above)


class FolderReader:
    """Reads class folders; a class is the name of the folder, whatever characters it has."""

    form = "a folder with a sub-folder per class"

    def recognises(self, path: Path) -> bool:
        """Say whether `path` is a folder."""
        return path.is_dir()

    def read(self, path: Path) -> Table:
        """Return columns ``file`` and ``label``; given parts are respected."""
        folders = [p for p in _visible(path) if p.is_dir()]
        given = {p: PARTS[p.name.lower()] for p in folders if p.name.lower() in PARTS}
        split = "train" in given.values() and len(given) == len(folders) and len(folders) > 1
        roots: list[tuple[Path, Part | None]] = (
            [(folder, given[folder]) for folder in folders] if split else [(path, None)]
        )
        files: list[Cell] = []
        labels: list[Cell] = []
        names: list[str] = []
        parts: list[Part | None] = []
        aside: list[SetAside] = []
        for root, part in roots:
            for entry in _visible(root):
                if not entry.is_dir():
                    where = str(entry.relative_to(path))
                    aside.append(SetAside(where, "outside the class folders, so without a label"))
                    continue
                for file in files_in(entry):
                    where = str(file.relative_to(path))
                    if any(modality.recognises(file) for modality in modalities):
                        files.append(file)
                        labels.append(entry.name)
                        names.append(where)
                        parts.append(part)
                    else:
                        aside.append(SetAside(where, "neither a picture nor a text, by its name"))
        if not files:
            raise DataError(_nothing(path, aside))
        notes = [f"classes are the sub-folders of {path}"]
        if split:
            found = ", ".join(f"{p.name}/" for p in folders)
            notes.append(f"the split is respected as given by {found}")
        return Table(str(path), path, {"file": files, "label": labels}, names, parts, aside, notes)


def _nothing(path: Path, aside: list[SetAside]) -> str:
    if not aside:
        return f"{path}: the folder is empty. Expected a sub-folder per class with files in it."
    listed = "; ".join(f"{s.where}: {s.reason}" for s in aside[:3])
    return (
        f"{path}: no picture or text was found in a sub-folder per class. "
        f"{len(aside)} other files are there ({listed})."
    )


readers.register("folder", FolderReader())
