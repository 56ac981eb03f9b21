"""Tables as CSV files."""

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The text of a CSV file with a header; any text in a cell is read back as it was."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    # Before Python 3.13 a carriage return alone is not quoted, and ends the line when read back.
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        (quoted if any("\r" in value for value in row) else plain).writerow(row)
    return text.getvalue()
