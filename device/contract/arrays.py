"""The arrays that stages hand to each other."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Left, upper, right, lower, in pixels; the last two are outside."""
Scores = npt.NDArray[np.float32]
