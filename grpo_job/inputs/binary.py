"""Reads one Parquet or Arrow file, as long as its rows fit into memory: a few kilobytes can stand for all of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from grpo_job.inputs import class_labels
from grpo_job.inputs.content import MOST_UNPACKED, Damaged, Item

Columns = tuple[list[str], list[Item]]  # the columns' names, and the rows

BATCH, MOST_ROWS = 1000, 10_000_000  # rows at a time, and in all: a column of one value needs no bytes in the file


def parquet(path: Path) -> Columns:
    """Raises `Damaged`, as `arrow` does."""
    import pyarrow.parquet

    def batches() -> Iterator[Any]:
        file = pyarrow.parquet.ParquetFile(path)
        yield file.schema_arrow
        yield from file.iter_batches(batch_size=BATCH)

    return _of_arrow(batches(), "Parquet")


def arrow(path: Path) -> Columns:
    """A stream, as `datasets` writes it, or a file, as Feather does."""
    import pyarrow

    def batches() -> Iterator[Any]:
        with pyarrow.memory_map(str(path)) as file:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            reader = pyarrow.ipc.open_file(file) if is_file else pyarrow.ipc.open_stream(file)
            yield reader.schema
            yield from map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader

    return _of_arrow(batches(), "Arrow")


def _of_arrow(batches: Iterator[Any], kind: str) -> Columns:
    """The columns and the rows of all batches, as long as they fit into memory; the schema comes first."""
    import pyarrow

    rows: list[Item] = []
    try:
        schema = next(batches)
        require_distinct(columns := schema.names)
        features, unpacked = class_labels.in_schema(schema), 0
        for batch in batches:
            if len(rows) + batch.num_rows > MOST_ROWS:
                raise Damaged(f"it unpacks to more than {MOST_ROWS:,} rows; split the file")
            for found in _parts(batch):
                unpacked += sum(map(_size, found))
                if unpacked > MOST_UNPACKED:
                    raise Damaged(f"it unpacks to more than {MOST_UNPACKED:,} bytes; split the file")
                rows += class_labels.named(found, features)
    except Damaged:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, EOFError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise Damaged(f"it is not {kind}, or it is truncated ({reason}); copy or write the file again") from error
    if not rows:
        raise Damaged(f"it has no rows, only the columns {', '.join(columns)}")
    return columns, rows


def _parts(batch: Any) -> Iterator[list[Item]]:
    """The rows, so many at a time as fit into memory: each may hold all bytes of its part, as in a dictionary."""
    for start in range(0, batch.num_rows, BATCH):
        part = batch.slice(start, BATCH)
        step = max(1, min(BATCH, MOST_UNPACKED // max(1, part.nbytes)))
        for at in range(0, part.num_rows, step):
            yield with_digits(part.slice(at, step).to_pylist(), batch.schema)


def with_digits(rows: list[Item], schema: Any) -> list[Item]:
    """The rows, in which floats of 32 or 16 bits have their own digits: 0.1 for Python's 0.10000000149011612."""
    import pyarrow

    for column in schema:
        if column.type in (pyarrow.float32(), pyarrow.float16()):
            narrow = column.type.to_pandas_dtype()
            for row in rows:
                row[column.name] = _by_digits(row[column.name], narrow)
    return rows


def _by_digits(value: float | None, narrow: Callable[[float], Any]) -> float | None:
    return value if value is None or value.is_integer() else float(str(narrow(value)))


def _size(value: Any) -> int:
    """About the bytes of a cell or a row."""
    match value:
        case str() | bytes():
            return len(value)
        case dict():
            return sum(map(_size, value.values()))
        case list():
            return sum(map(_size, value))
    return 8


def require_distinct(names: list[str]) -> None:
    if (name := twice(names)) is not None:
        raise Damaged(f"it has two columns named {name!r}; name each column once")


def twice(names: list[str]) -> str | None:
    """The first name that occurs twice."""
    return next((name for number, name in enumerate(names) if name in names[:number]), None)
