"""Tables as CSV files."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

PART_CHARACTERS = 2**16


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The text of a CSV file with a header; any text in a cell is read back as it was."""
    return "".join(csv_parts(columns, rows))


def csv_parts(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The same in parts, for files that are too large for the memory."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    # Before Python 3.13 a carriage return alone is not quoted, and ends the line when read back.
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        (quoted if any("\r" in value for value in row) else plain).writerow(row)
        if text.tell() >= PART_CHARACTERS:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()
