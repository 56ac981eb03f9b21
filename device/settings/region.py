"""The part of the frame that `[camera] region` names, in pixels."""

from device.contract.arrays import Box

Region = tuple[float, float, float, float]
"""Left, top, right, bottom in fractions of the frame."""
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


def region_pixels(region: Region, width: int, height: int) -> Box:
    """A region of a frame in pixels, at least 1x1.

    Args:
        region: of the settings.
        width: of the frame, pixels.
        height: of the frame, pixels.
    """
    left, top = int(region[0] * width), int(region[1] * height)
    right = max(left + 1, round(region[2] * width))
    return left, top, right, max(top + 1, round(region[3] * height))
