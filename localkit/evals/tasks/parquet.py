"""Rows of a Parquet file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1 << 30
# Few at a time: a file of a megabyte may unpack to rows of a megabyte each.
BATCH_ROWS = 64


def parquet_rows(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file's bytes.

    Raises:
        DatasetInvalid: it is no Parquet file, unpacks to more than 1 GiB, or pyarrow
            is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        msg = f"{name} is Parquet, and pyarrow is not installed"
        hint = "pip install 'localkit[datasets]', or save it as JSON Lines"
        raise DatasetInvalid(msg, hint=hint) from error
    n_bytes = 0
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        for batch in file.iter_batches(BATCH_ROWS):
            n_bytes += batch.nbytes
            if n_bytes > MAX_BYTES:
                msg = f"{name} unpacks to more than {MAX_BYTES >> 20} MiB"
                raise DatasetInvalid(msg, hint="cut it to the part that you need")
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        msg = f"{name} is not Parquet: {said}"
        raise DatasetInvalid(msg, hint="write it again, or as JSON Lines") from error
