"""A number of moments, for a program that counts instructions; the difference of two runs counts.

    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
        python -m tests.bench.drift.counted 20

With NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F" NumPy works on 16 bytes at once, as a Pi's NEON.
"""

import sys

import numpy as np

from device.contract.preprocess import FrameResizer, Preprocessing, crop_box
from device.drift import sample
from device.drift.monitor import Monitor
from device.drift.sample import Sample

WIDTH_PX, HEIGHT_PX = 640, 480
CLASSES = ("daisy", "rose", "tulip")


def main() -> None:
    """Note as many moments as is said, each from a whole frame, as the service does."""
    rng = np.random.default_rng(0)
    frame = rng.integers(60, 180, (HEIGHT_PX // 20, WIDTH_PX // 20, 3), dtype=np.uint8)
    frame = np.ascontiguousarray(frame.repeat(20, 0).repeat(20, 1))
    monitor, resizer, rules = Monitor(CLASSES), FrameResizer(), Preprocessing()
    box, scores = crop_box(WIDTH_PX, HEIGHT_PX, rules), np.array([0.8, 0.15, 0.05], np.float32)
    for number in range(int(sys.argv[1])):
        pixels = resizer.prepare_box(frame, box, rules)
        facts = sample.look(pixels)
        monitor.add(Sample(facts, sample.answer(scores, distance=0.1)), 1.7e9 + 10 * number)
    print(monitor.memory.today.moments)


if __name__ == "__main__":
    main()
