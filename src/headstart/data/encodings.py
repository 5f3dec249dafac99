"""Encodings: from the bytes of a text file to its text."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from headstart.errors import DataError

STRAY = 0.01
"""Share of zero bytes, or of letters that are not UTF-8, up to which a text is damaged; with more
it is no text, or in another encoding."""
_FOREIGN = re.compile(r"[^\x00-\x7f\ufffd]")


def decode(content: bytes, stray: bool = False) -> tuple[str, int | None]:
    """Return the text, and the first byte that is not UTF-8 (None if all are).

    What begins with UTF-16's byte order mark is read so; what is not UTF-8 as Windows-1252, in
    which every common byte has a meaning. Where a few `stray` zero bytes are allowed after the
    first line, they stand in the text, and in place of the few letters of a text that are not UTF-8
    as all others are.

    Raises
    ------
    ValueError
        If it is binary.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16", errors="replace")
        if _is_binary(text.encode(), stray):
            raise ValueError("binary")
        return text, None
    if _is_binary(content, stray):
        raise ValueError("binary")
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        text = content.decode("utf-8-sig", errors="replace")
        broken = text.count("\ufffd")
        if broken <= STRAY * len(_FOREIGN.findall(text)):
            return (text.replace("\ufffd", "\0") if stray else text), None
        return content.decode("cp1252", errors="replace"), error.start


def _is_binary(content: bytes, stray: bool) -> bool:
    """Say whether there are zero bytes, or more of them than stray ones."""
    first = content.find(0)
    if first < 0 or not stray:
        return first >= 0
    return b"\n" not in content[:first] or content.count(0) > STRAY * len(content)


def spelt(text: str) -> str:
    """Return `text` such that it can be written: half a surrogate pair is spelt out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def table_text(path: Path, kind: str) -> tuple[str, list[str]]:
    """Return the text of a file that holds a table, and what is to be said of its encoding.

    A name that ends in ``.gz`` is decompressed; `kind` is such as ``a CSV table``. A zero byte
    stands where it is damaged, for that row to be set aside.

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
        text, strange = decode(content, stray=True)
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
