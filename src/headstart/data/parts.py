"""Parts: the names that people give to the parts of a split."""

from __future__ import annotations

from collections.abc import Iterable

from headstart.data.dataset import Part

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


def layout(names: Iterable[str]) -> dict[str, Part] | None:
    """Return the part that each name of a part stands for, or None if together they are no split.

    They are one if there are two parts or more, training among them; what else lies beside them is
    none of it.
    """
    given = {name: PARTS[name.lower()] for name in names if name.lower() in PARTS}
    several = len({*given.values()}) > 1
    return given if "train" in given.values() and several else None
