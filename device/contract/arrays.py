"""Types of the arrays that the stages exchange."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Left, upper, right, lower, in pixels; right and lower are exclusive."""
Scores = npt.NDArray[np.float32]
