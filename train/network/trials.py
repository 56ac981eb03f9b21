"""Which networks a sweep tries: `SWEEP="mobilenet-v2@160,192 efficientnet-lite0"` as names."""

from collections.abc import Iterator

from train.errors import TrainingError
from train.network.backbones import BACKBONES

SIZES_PX = (160, 192, 224, 256)
"""Tried of each backbone, beside the size that it was made for."""
ALL = "all"
EXAMPLE = "SWEEP='mobilenet-v2@160,192 efficientnet-lite0' or SWEEP=all"


def trials(text: str) -> list[str]:
    """The names of all trials that a text stands for, in its order, each once.

    Args:
        text: words with spaces between them: BACKBONE@SIZE or BACKBONE@SIZE,SIZE; a backbone alone
            for all its sizes; @SIZE for all backbones; "all".

    Returns:
        Names like "mobilenet-v2@160".

    Raises:
        TrainingError: if it names nothing, an unknown backbone, or a size that one cannot have.
    """
    words = text.split()
    if not words:
        raise TrainingError(f"SWEEP is empty: give {EXAMPLE}")
    return list(dict.fromkeys(name for word in words for name in _names(word)))


def _names(word: str) -> Iterator[str]:
    named, at, given = word.partition("@")
    if word != ALL and named and named not in BACKBONES:
        raise TrainingError(f"SWEEP: no backbone is called {named}: use {', '.join(BACKBONES)}")
    backbones = [named] if named and word != ALL else list(BACKBONES)
    for backbone in backbones:
        sizes = _numbers(word, given) if at else _tried(backbone)
        for size_px in sizes:
            if not BACKBONES[backbone].takes(size_px):
                raise TrainingError(
                    f"SWEEP: {backbone}@{size_px}: {BACKBONES[backbone].sizes_allowed}"
                )
            yield f"{backbone}@{size_px}"


def _numbers(word: str, given: str) -> list[int]:
    numbers = given.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise TrainingError(f"SWEEP: {word} is no network: give {EXAMPLE}")
    return [int(number) for number in numbers]


def _tried(backbone: str) -> list[int]:
    return sorted({*SIZES_PX, BACKBONES[backbone].size_px})
