"""Findings of the audit, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMED = 5
"""Rows of a finding that are named."""


def finding_lines(findings: Sequence[dict[str, Any]], most: int = NAMED) -> list[str]:
    """Return findings, as `Finding.data` gives them, as lines of text."""
    if not findings:
        return ["", "Nothing was found that is wrong with the data."]
    lines = []
    for finding in findings:
        lines += ["", f"{finding['severity']}: {finding['says']}.", f"  {finding['does']}."]
        for row in finding["rows"][:most]:
            lines.append(f"    {row['name']}" + (f": {row['about']}" if "about" in row else ""))
        if finding["count"] > most:
            lines.append(f"    … and {finding['count'] - most:,} more")
    return lines
