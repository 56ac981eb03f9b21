"""Convolutions by their definition."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def convolve(x: Floats, kernel: Floats, stride: int = 1) -> Floats:
    """An HWIO convolution of (n, h, w, c) without padding, by its definition."""
    size, c = kernel.shape[0], x.shape[3]
    depthwise = kernel.shape[2] == c and kernel.shape[3] == 1 and c > 1
    rows, columns = (1 + (side - size) // stride for side in x.shape[1:3])
    total = np.zeros(())
    for i in range(size):
        for j in range(size):
            seen = x[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
            total = total + (seen * kernel[i, j, :, 0] if depthwise else seen @ kernel[i, j])
    return np.asarray(total)
