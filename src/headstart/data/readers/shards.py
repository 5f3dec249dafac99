"""Folders of tables: one in several files, or one file for each part of a split."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from headstart.data.cells import Rows, joined, tabulate
from headstart.data.dataset import Data, Part, SetAside, Table
from headstart.data.modalities import is_medium
from headstart.data.parts import PARTS, layout
from headstart.data.readers import readers
from headstart.data.readers.files import FileReader
from headstart.data.readers.folder import visible


def tables_in(folder: Path) -> list[tuple[Path, FileReader]]:
    """Return the tables right in `folder`, in its ``data/``, or in its folders of parts.

    There are none where pictures or other folders lie beside them: those are what is to be read.
    A ``.json`` file beside tables describes them.
    """
    below = [p for p in visible(folder) if p.is_dir()]
    if any(p.name.lower() not in {*PARTS, "data"} for p in below):
        return []
    files = [p for place in (folder, *below) for p in visible(place) if p.is_file()]
    if any(is_medium(file) for file in files):
        return []
    return [
        (file, reader)
        for file in files
        for reader in readers
        if isinstance(reader, FileReader) and file.suffix != ".json" and reader.recognises(file)
    ]


class ShardsReader:
    """Reads the tables of a folder one after the other, each with the reader of its kind."""

    form = "a folder of such files"
    rank = 0

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is a folder that holds tables, and no folders of classes."""
        return isinstance(data, Path) and data.is_dir() and bool(tables_in(data))

    def read(self, data: Data) -> Table:
        """Return the rows of all tables; files named for parts, such as ``train-00``, are those.

        Paths in cells are relative to the folder.

        Raises
        ------
        DataError
            If one of the files is damaged.
        """
        folder = Path(str(data))
        files = tables_in(folder)
        named = {file: _part_name(file, folder) for file, _ in files}
        given = layout(named.values())
        left_out, found, parts = list[Path](), list[Rows](), list[Part | None]()
        for file, reader in files:
            if given and named[file] not in given:
                left_out.append(file)
                continue
            found.append(_within(folder, file, reader.rows(file)))
            parts += [given[named[file]] if given else None] * len(found[-1].names)
        table = tabulate(str(folder), folder, joined(found), parts)
        if given:
            table.notes.append(f"the split is respected as given by {', '.join(sorted(given))}")
        if left_out:
            table.notes.append(f"left out: {', '.join(file.name for file in left_out)}")
        return table


def _within(folder: Path, file: Path, rows: Rows) -> Rows:
    """Return rows called after their file's place in `folder`: others may share its name."""
    place = str(file.parent.relative_to(folder))
    if place == ".":
        return rows
    return replace(
        rows,
        names=[f"{place}/{name}" for name in rows.names],
        set_aside=[SetAside(f"{place}/{one.where}", one.reason) for one in rows.set_aside],
    )


def _part_name(file: Path, root: Path) -> str:
    """Return what says the part of a file: its folder, or the beginning of its name."""
    if file.parent != root and file.parent.name.lower() in PARTS:
        return file.parent.name
    return re.split(r"[-_.]", file.name)[0]


readers.register("shards", ShardsReader())
