"""Times: when rows came about, from a column of numbers or of dates."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np

from headstart.data.dataset import Cell

_SHORT = re.compile(r"(\d{1,2})([./-])(\d{1,2})[./-]\d{2,4}\b")
"""A date that begins with its day or its month."""


def in_time(cells: Sequence[Cell]) -> tuple[list[float], list[int], list[str]]:
    """Return when each row came about, the rows of which it cannot be said, and what to tell.

    Numbers are taken as they are (a year, seconds) where most are numbers; else all are dates, in
    seconds since 1970. Whether the day or the month comes first is the same for the whole column.
    """
    texts = [str(cell).strip() for cell in cells]
    numbers = [_number(text) for text in texts]
    notes: list[str] = []
    if 2 * int(np.isfinite(numbers).sum()) < sum(map(bool, texts)):
        day_first, said = _day_first(texts)
        numbers, notes = _seconds(texts), [said] if said else []
        short = [i for i, text in enumerate(texts) if day_first and _SHORT.match(text)]
        # these alone: pandas would turn dates that begin with the year as well
        for i, time in zip(short, _seconds([texts[i] for i in short], True), strict=True):
            numbers[i] = time
    return numbers, [i for i, time in enumerate(numbers) if not np.isfinite(time)], notes


def _number(text: str) -> float:
    """Return the number that is written, with a decimal comma too, or NaN."""
    try:
        return float(text.replace(",", ".", 1))
    except ValueError:
        return float("nan")


def _day_first(texts: Sequence[str]) -> tuple[bool, str]:
    """Say whether dates such as ``05/03/2021`` begin with the day, and what to tell of it.

    A number over 12 decides; where there is none, a point says so.
    """
    found = [match for text in texts if (match := _SHORT.match(text))]
    if not found:
        return False, ""
    begins = any(int(match[1]) > 12 for match in found)
    follows = any(int(match[3]) > 12 for match in found)
    if begins and follows:
        return (
            True,
            "some dates begin with the day, others with the month; write them as 2021-03-05",
        )
    if begins or follows:
        return begins, ""
    points = found[0][2] == "."
    first = "day" if points else "month"
    return points, f"{found[0][0]!r} is taken to begin with the {first}; 2021-03-05 leaves no doubt"


def _seconds(texts: Sequence[str], day_first: bool = False) -> list[float]:
    """Return seconds since 1970, NaN for what is no date."""
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a year is first here and there does no harm
        dates = pandas.to_datetime(
            pandas.Series(texts, dtype=object),
            errors="coerce",
            utc=True,
            format="mixed",
            dayfirst=day_first,
        )
    plain = dates.dt.tz_localize(None).to_numpy("datetime64[s]")
    seconds = plain.astype("int64").astype(float)
    seconds[np.isnat(plain)] = np.nan
    found: list[float] = seconds.tolist()
    return found
