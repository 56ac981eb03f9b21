"""The record of the field as lines for a terminal."""

from collections.abc import Iterator

from convert.field.record import FieldRecord, Figure
from convert.field.words import percent, with_interval
from device.contract.provenance import OTHER
from device.workstation.wording import counted, shown


def summary(record: FieldRecord) -> str:
    """The figures, what was left out and why, what to do next, and the verdict first."""
    figures = [f"{name:22}{value}" for name, value in _figures(record)]
    skipped = [f"left out, {each.line()}" for each in record.left_out]
    skipped += [f"skipped, {line}" for line in record.skipped]
    todo = [f"{number}. {line}" for number, line in enumerate(record.advice, 1)]
    blocks = ([record.verdict_line], record.notes, figures, skipped, ["what to do next:", *todo])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _figures(record: FieldRecord) -> Iterator[tuple[str, str]]:
    promised, seen = record.promised, record.figures
    yield "right class", f"{_shown(seen.right)}, promised {percent(promised.accuracy)}"
    yield "called unknown", f"{_shown(seen.unknown)}, promised {percent(promised.unknown)}"
    yield "right of names given", _shown(seen.names_right)
    yield f"{OTHER}: unknown", _shown(seen.other_unknown)
    groups = (*seen.by_class, *seen.by_device, *seen.by_day)
    for group in groups:
        odd = ", worse than the rest" if group.stands_out else ""
        yield f"  {shown(group.name)}", f"{_shown(group.right)}{odd}"


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "no photos"
    return f"{with_interval(figure)}, n = {counted(figure.n, figure.events)}"
