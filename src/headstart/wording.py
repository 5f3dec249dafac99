"""How numbers are said."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with what it counts, such as ``1 row is`` or ``1,200 rows are``.

    `several` is `one` with an s where it is empty.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
