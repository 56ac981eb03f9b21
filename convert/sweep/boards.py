"""Where a network may run, and an estimate of how long one inference takes there.

Nothing here has run on a board. The times that others published for MobileNetV2 1.0 at 224 pixels
in int8 are multiplied by how much more, or less, a network asks of that processor: instructions
where an emulator counted them, multiply-accumulate operations otherwise.
"""

from dataclasses import dataclass

from convert.sweep.compare import Entry

REFERENCE_MACS = 299_800_000
"""Of MobileNetV2 1.0 at 224 pixels with five classes."""
REFERENCE_INSTRUCTIONS = {
    "cortex-a53": 132_050_000,
    "cortex-a72": 113_770_000,
    "cortex-a76": 49_440_000,
}
"""Of the same network, counted by `make test-arm` (device/RESULTS.md)."""
MOST_MS = 100.0
"""A camera that answers ten times a second has this long for a frame."""


@dataclass(frozen=True)
class Board:
    """A board or accelerator that people have."""

    name: str
    core: str
    """Of its processor, as emulators name it; empty if the processor does not run the network."""
    reference_ms: float
    """One inference of MobileNetV2 1.0 at 224 pixels in int8, as published for it."""
    published: str
    """Where that time is from, in a few words."""
    most_model_bytes: float = float("inf")
    """A larger model is slower than the estimate."""
    edge_tpu: bool = False
    """Whether every operator must be one that an Edge TPU runs."""


BOARDS = (
    Board(
        "Pi Zero 2 W",
        "cortex-a53",
        42.0,
        "30 ms on a Pi 3B+ with XNNPACK, times 1.4 GHz / 1.0 GHz",
    ),
    Board("Pi 4", "cortex-a72", 17.0, "17 ms with XNNPACK, 64-bit"),
    Board("Pi 5", "cortex-a76", 4.0, "4.0 ms with ExecuTorch and XNNPACK"),
    Board(
        "Coral",
        "",
        4.6,
        "4.6 ms with the USB Accelerator on a Pi 4",
        # Coral's documentation: about 8 MB of memory on the chip hold the weights, and what does
        # not fit is sent again for each inference.
        most_model_bytes=8e6,
        edge_tpu=True,
    ),
)


@dataclass(frozen=True)
class Estimate:
    """How long one inference may take on a board."""

    ms: float
    by: str
    """What it is proportional to: "instructions" or "MACs"."""


def estimate(board: Board, entry: Entry) -> Estimate:
    """The time of one inference, in proportion to the published one."""
    counted = entry.counts.get(board.core)
    if counted is not None:
        share = counted / REFERENCE_INSTRUCTIONS[board.core]
        return Estimate(board.reference_ms * share, "instructions")
    return Estimate(board.reference_ms * entry.figures.cost.macs / REFERENCE_MACS, "MACs")


def obstacle(board: Board, entry: Entry) -> str:
    """Why a network is not for a board, in a few words; empty if it is."""
    time_ms = estimate(board, entry).ms
    if board.edge_tpu and entry.figures.edge_tpu_failures:
        return "an Edge TPU would leave operators of it to the CPU"
    if entry.figures.cost.model_bytes > board.most_model_bytes:
        return f"its weights do not fit into {board.most_model_bytes / 1e6:.0f} MB on the chip"
    if time_ms > MOST_MS:
        return f"it would take about {time_ms:.0f} ms, more than {MOST_MS:.0f} ms"
    return ""
