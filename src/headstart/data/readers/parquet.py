"""Parquet files."""

from __future__ import annotations

from pathlib import Path

from headstart.data.arrow import raw_columns
from headstart.data.cells import Rows, distinct
from headstart.data.readers import readers
from headstart.data.readers.files import FileReader
from headstart.errors import DataError


class ParquetReader(FileReader):
    """Reads a Parquet file; pictures may be columns of bytes, or `datasets`' structs of them."""

    form = "a Parquet file"
    suffixes = (".parquet", ".pq")

    def rows(self, path: Path) -> Rows:
        """Return the file's columns; row 0 is the first."""
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(path) as file:
                distinct(file.schema_arrow.names, str(path))
                table = file.read()
        except (ArrowException, OSError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise DataError(
                f"{path}: no whole Parquet file ({reason}). It may be cut short; copy it again."
            ) from None
        return Rows(raw_columns(table), [f"{path.name}, row {i}" for i in range(table.num_rows)])


readers.register("parquet", ParquetReader())
