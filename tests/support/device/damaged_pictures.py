"""Feeds damaged pictures to the decoders of photos and of camera streams: `python damage.py N`.

In a process of its own, so that a decoder that crashes is a failed test and not the end of all.
"""

import sys

import av
import numpy as np

from device.contract.photos import decode
from device.contract.preprocess import prepare
from device.errors import PhotoError
from tests.support.pictures import RULES, encoded, picture


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A picture file with flipped bytes, cut off, or with a part of it elsewhere."""
    broken = bytearray(data)
    kind = int(rng.integers(0, 4))
    for _ in range(int(rng.integers(1, 12))):
        broken[int(rng.integers(2, len(broken)))] = int(rng.integers(0, 256))
    if kind == 1:
        del broken[int(rng.integers(2, len(broken))) :]
    if kind == 2:
        start, length = (int(n) for n in rng.integers(2, len(broken), 2))
        to = int(rng.integers(2, len(broken)))
        broken[to:to] = broken[start : start + length]
    if kind == 3:
        # The header, where sizes and tables are.
        broken[int(rng.integers(2, min(64, len(broken))))] ^= 0xFF
    return bytes(broken)


def photo(data: bytes) -> bool:
    """Whether the decoder of photos gave a picture; anything but a PhotoError is a bug."""
    try:
        assert prepare(decode(data, RULES), RULES).shape == RULES.shape
    except PhotoError as error:
        assert str(error) and "\n" not in str(error)
        return False
    return True


def stream_frame(data: bytes) -> bool:
    """Whether the decoder of MJPEG streams gave a picture."""
    codec = av.CodecContext.create("mjpeg", "r")
    codec.options = {"err_detect": "explode"}
    try:
        for frame in codec.decode(av.Packet(data)):
            frame.to_ndarray(format="rgb24")
            return True
    except av.FFmpegError:
        pass
    return False


def main(count: int) -> None:
    """Print how many pictures were refused and taken."""
    rng = np.random.default_rng(0)
    whole = [(kind, encoded(picture(i, i, 96, 72), kind)) for i, kind in enumerate(("JPEG", "PNG"))]
    taken = 0
    for number in range(count):
        kind, data = whole[number % 2]
        broken = damaged(data, rng)
        taken += photo(broken)
        if kind == "JPEG":
            stream_frame(broken)
    print(f"{count} damaged, {taken} taken, {count - taken} refused")


if __name__ == "__main__":
    main(int(sys.argv[1]))
