"""A folder with a sub-folder per class, or with train/, validation/ and test/ of such folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headstart.data.cells import Rows, tabulate
from headstart.data.dataset import Data, Part, SetAside, Table
from headstart.data.modalities import recognised, strange
from headstart.data.parts import layout
from headstart.data.readers import readers
from headstart.errors import DataError
from headstart.wording import counted

_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})


def visible(folder: Path) -> list[Path]:
    """Return what lies in `folder`, sorted, without hidden files and clutter."""
    return sorted(
        p
        for p in folder.iterdir()
        if not p.name.startswith((".", "__MACOSX")) and p.name.lower() not in _CLUTTER
    )


def files_in(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield all files in `folder` but clutter; links back to a folder `above` are not followed."""
    above = (*above, folder.resolve())
    try:
        inside = visible(folder)
    except PermissionError:  # as a file that cannot be read
        yield folder
        return
    for path in inside:
        if not path.is_dir():
            yield path
        elif not any(known.is_relative_to(path.resolve()) for known in above):
            yield from files_in(path, above)


class FolderReader:
    """Reads class folders; a class is the name of the folder, whatever characters it has."""

    form = "a folder with a sub-folder per class"
    rank = 1

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is a folder; one that is of another kind is recognised before."""
        return isinstance(data, Path) and data.is_dir()

    def read(self, data: Data) -> Table:
        """Return columns ``file`` and ``label``; given parts are respected."""
        path = Path(str(data))
        folders = [p for p in visible(path) if p.is_dir()]
        given = layout(p.name for p in folders)
        roots: list[tuple[Path, Part | None]] = [(path, None)]
        left_out: list[Path] = []
        if given:
            roots = [(folder, given[folder.name]) for folder in folders if folder.name in given]
            left_out = [folder for folder in folders if folder.name not in given]
        files: list[Path] = []
        labels: list[str] = []
        names: list[str] = []
        parts: list[Part | None] = []
        aside: list[SetAside] = []
        for root, part in roots:
            for entry in visible(root):
                if not entry.is_dir():
                    where = str(entry.relative_to(path))
                    aside.append(SetAside(where, "outside the class folders, so without a label"))
                    continue
                for file in files_in(entry):
                    where = str(file.relative_to(path))
                    if recognised(file):
                        files.append(file)
                        labels.append(entry.name)
                        names.append(where)
                        parts.append(part)
                    else:
                        aside.append(SetAside(where, strange(file)))
        if not files:
            raise DataError(_nothing(path, aside))
        notes = [f"classes are the sub-folders of {path}"]
        if given:
            found = ", ".join(f"{root.name}/" for root, _ in roots)
            notes.append(f"the split is respected as given by {found}")
        if left_out:
            notes.append(f"left out: {', '.join(f'{folder.name}/' for folder in left_out)}")
        rows = Rows({"file": files, "label": labels}, names, aside, notes)
        return tabulate(str(path), path, rows, parts)


def _nothing(path: Path, aside: list[SetAside]) -> str:
    if not aside:
        return f"{path}: the folder is empty. Expected a sub-folder per class with files in it."
    listed = "; ".join(f"{s.where}: {s.reason}" for s in aside[:3])
    return (
        f"{path}: no picture, text or recording was found in a sub-folder per class. "
        f"{counted(len(aside), 'other file is', 'other files are')} there ({listed})."
    )


readers.register("folder", FolderReader())
