"""Tasks that are cheap, and note what they were asked to do."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import PhotoError

Row = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stub:
    """Gives a few numbers for a number; appends it to a file first."""

    noted: Path | None = None
    """None: nothing is noted."""
    takes_s: float = 0.0
    fails_at: int = -1
    dies_at: int = -1
    breaks_at: int = -1

    def setup(self) -> Callable[[int], Row]:
        return self.of

    def of(self, number: int) -> Row:
        if self.noted:
            with self.noted.open("a") as file:
                file.write(f"{number}\n")
        time.sleep(self.takes_s)
        if number == self.fails_at:
            raise PhotoError(f"shard-{number}.tar: cannot be read")
        if number == self.breaks_at:
            raise RuntimeError("a mistake in the code")
        if number == self.dies_at:
            os._exit(9)
        return np.random.default_rng(number).normal(size=4).astype(np.float32)


def computed(noted: Path) -> Counter[int]:
    """How often each number was computed."""
    return Counter(int(line) for line in noted.read_text().split())
