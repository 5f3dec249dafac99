"""The floors: imports go down only, and heavy libraries wait."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "headstart"
FLOORS = [
    {"errors", "registry", "digest", "places", "devices", "allocator", "hub", "table", "wording"},
    {"data"},
    {"sources"},
    {"features"},
    {"models"},
    {"tasks"},
    {"recipes"},
    {"training"},
    {"evidence"},
    {"artifact"},
    {"search"},
    {"report"},
    {"api", "auditing", "distilling", "embedding", "estimators", "ranking"},
    {"cli"},
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


def floor(dotted: str) -> int | None:
    parts = dotted.split(".")
    return FLOOR_OF.get(parts[1]) if parts[0] == "headstart" and len(parts) > 1 else None


def imported(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "headstart":
            found += [f"headstart.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path):
    place = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert place in FLOOR_OF, f"{path} stands on no floor"
    above = [name for name in imported(path) if (floor(name) or 0) > FLOOR_OF[place]]
    assert not above
