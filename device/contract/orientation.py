"""How pictures of films and streams are turned upright, for workstation and board.

Phones store pixels as their sensor lies, and say beside each picture how it is to be shown.
"""

from typing import Any

import numpy as np

from device.contract.arrays import Pixels

Matrix = tuple[int, int, int, int]
"""x' = a x + c y, y' = b x + d y: where a pixel is shown."""
UPRIGHT: Matrix = (1, 0, 0, 1)


class Orientation:
    """How to rotate pictures; files say so for each one, streams about once per key frame."""

    def __init__(self) -> None:
        self._matrix = UPRIGHT
        # Of the group of pictures since the last key frame: whether it had the information, and
        # whether more than its key frame was decoded.
        self._named = self._continued = False

    def see(self, picture: Any) -> Matrix:
        """The orientation of PyAV's next picture; groups without any information are upright."""
        data = next((d for d in picture.side_data if d.type.name == "DISPLAYMATRIX"), None)
        if picture.key_frame:
            # With some encoders the picture after the key frame has it, and a late stream is
            # followed from key frame to key frame: a key frame alone proves nothing.
            if self._continued and not self._named:
                self._matrix = UPRIGHT
            self._named = False
        self._continued = not picture.key_frame
        if data is not None:
            a, b, _, c, d = (
                int(number) for number in np.frombuffer(memoryview(data), np.int32)[:5]
            )
            self._matrix, self._named = (a, b, c, d), True
        return self._matrix


def upright(pixels: Pixels, matrix: Matrix) -> Pixels:
    """The picture rotated and mirrored as the video says: phones store pixels as their sensor lies.

    Args:
        pixels: uint8 (h, w, 3).
        matrix: its angle is rounded to a quarter turn.
    """
    if matrix == UPRIGHT:
        return pixels
    a, b, c, d = matrix
    # Three bytes at a time: four times as fast as one by one.
    whole_pixels = pixels.view("V3")[..., 0]
    if abs(b) + abs(c) > abs(a) + abs(d):
        whole_pixels, a, d = whole_pixels.T, c, b
    turned = np.ascontiguousarray(whole_pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
    return turned[..., np.newaxis].view(np.uint8)
