"""Data sets on the Hugging Face hub, by name."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from headstart import hub
from headstart.data.dataset import Data, Table
from headstart.data.readers import readers
from headstart.data.readers.datasets import table_of
from headstart.errors import DataError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_FILE = re.compile(r"\.(csv|tsv|tab|txt|jsonl?|ndjson|parquet|pq|zip|gz|xlsx?|png|jpe?g)$", re.I)


class HubReader:
    """Reads a data set that the hub has, or that was fetched from it before; runs none of its code.

    A name counts as one of the hub where nothing on this machine is called so.
    """

    form = "the name of a data set on the Hugging Face hub"
    rank = 2

    def recognises(self, data: Data) -> bool:
        """Say whether the hub has a data set of this name; it is fetched to know.

        Raises
        ------
        DataError
            If it is written like one, but is not there, or the hub cannot be reached.
        """
        if not isinstance(data, str) or not _NAME.fullmatch(data) or _FILE.search(data):
            return False
        return _fetched(data) is not None

    def read(self, data: Data) -> Table:
        """Return the columns; the splits are the parts, and paths stay inside the hub's cache."""
        import datasets

        cache = Path(datasets.config.HF_CACHE_HOME)
        return table_of(_fetched(str(data)), str(data), cache, confined=True)


@functools.lru_cache(maxsize=2)
def _fetched(name: str) -> Any:
    import datasets

    known = datasets.config.HF_HUB_OFFLINE
    reached = hub.answers()
    try:
        datasets.config.HF_HUB_OFFLINE = known or not reached  # then its cache alone is asked
        return datasets.load_dataset(name)
    except Exception as error:  # the hub's client raises whatever its parts raise
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise DataError(
            f"{name}: there is no such file or folder, and no data set of this name could be "
            f"fetched from the Hugging Face hub "
            f"({reason if reached else 'the hub cannot be reached'}). Where it can be, run in "
            f"Python datasets.load_dataset({name!r}).save_to_disk('folder'), and bring that folder."
        ) from None
    finally:
        datasets.config.HF_HUB_OFFLINE = known


readers.register("hub", HubReader())
