"""A sweep as a terminal shows it."""

from collections.abc import Sequence

from convert.sweep.page import Compared, Row, rows
from convert.sweep.trial import CORES

HEADS = ("network", "int8 val", "int8 test (95%)", "MB", "M MACs", "ms here", "MiB")
NOT_COUNTED = "-"


def table(compared: Compared) -> str:
    """One line for each trial; one that is dominated has brackets around its name."""
    cores = tuple(f"{name} M instr." for name in CORES.values())
    shown = [_cells(row) for row in rows(compared) if row.entry is not None]
    lines = _aligned([(*HEADS, *cores), *shown]) if shown else []
    lines += [f"{row.name}: failed: {row.error}" for row in rows(compared) if row.entry is None]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    assert row.entry is not None
    figures, counts = row.entry.figures, row.entry.counts
    cost, (low, high) = figures.cost, figures.test.interval
    return (
        f"({row.name})" if row.dominator else row.name,
        f"{figures.validation.accuracy:.1%}",
        f"{figures.test.accuracy:.1%} ({100 * low:.1f} to {100 * high:.1f})",
        f"{cost.model_bytes / 1e6:.2f}",
        f"{cost.macs / 1e6:.0f}",
        f"{cost.invoke_ms:.1f}",
        NOT_COUNTED if cost.memory_mib is None else f"{cost.memory_mib:.0f}",
        *(f"{counts[core] / 1e6:.1f}" if core in counts else NOT_COUNTED for core in CORES),
    )


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in lines
    ]
