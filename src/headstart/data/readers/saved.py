"""Folders that the `save_to_disk` of Hugging Face's `datasets` wrote."""

from __future__ import annotations

from pathlib import Path

from headstart.data.dataset import Data, Table
from headstart.data.readers import readers
from headstart.data.readers.datasets import table_of
from headstart.errors import DataError


class SavedReader:
    """Reads a saved `Dataset` or `DatasetDict`; no code of it is run."""

    form = "a folder written by datasets' save_to_disk"
    rank = 0

    def recognises(self, data: Data) -> bool:
        """Say whether `data` is a folder with the files that `save_to_disk` leaves."""
        if not isinstance(data, Path):
            return False
        one = (data / "state.json").is_file() and (data / "dataset_info.json").is_file()
        return one or (data / "dataset_dict.json").is_file()

    def read(self, data: Data) -> Table:
        """Return the columns; the splits of a `DatasetDict` are the parts."""
        import datasets

        path = Path(str(data))
        try:
            found = datasets.load_from_disk(path)
        except Exception as error:  # whatever a damaged file brings about
            raise DataError(
                f"{path}: this saved data set cannot be loaded ({error}). Is the folder whole?"
            ) from None
        return table_of(found, str(path), path, confined=True)


readers.register("saved", SavedReader())
