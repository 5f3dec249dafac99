"""Encodings: from the bytes of a text file to its text."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from headstart.errors import DataError


def decode(content: bytes) -> tuple[str, int | None]:
    """Return the text, and the first byte that is not UTF-8 (None if all are).

    What begins with UTF-16's byte order mark is read so; what is not UTF-8 as Windows-1252, in
    which every common byte has a meaning.

    Raises
    ------
    ValueError
        If it is binary.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16", errors="replace")
        if "\0" in text:
            raise ValueError("binary")
        return text, None
    if b"\0" in content:
        raise ValueError("binary")
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        return content.decode("cp1252", errors="replace"), error.start


def table_text(path: Path, kind: str) -> tuple[str, list[str]]:
    """Return the text of a file that holds a table, and what is to be said of its encoding.

    A name that ends in ``.gz`` is decompressed; `kind` is such as ``a CSV table``.

    Raises
    ------
    DataError
        If it is empty, binary, or cannot be decompressed.
    """
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be decompressed ({error}). Is it whole?") from None
    try:
        text, strange = decode(content)
    except ValueError:
        raise DataError(f"{path}: this is a binary file, not {kind}.") from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty.")
    if strange is None:
        return text, []
    line = content.count(b"\n", 0, strange) + 1
    note = (
        f"{path} is not UTF-8 (first at line {line}) and was read as Windows-1252; "
        "if letters look wrong, save it as UTF-8"
    )
    return text, [note]
