"""A number of looks, for a program that counts instructions; the difference of two runs counts.

    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
        python -m tests.bench.look.counted nothing 20

With NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F" NumPy works on 16 bytes at once, as a Pi's NEON.
"""

import sys

import numpy as np

from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules

WIDTH_PX, HEIGHT_PX = 640, 480
KINDS = ("nothing", "subject")
LEARN_MS, STEP_MS = 11_000, 1


def main() -> None:
    """Learn, then look as often as is said; a step of the background is not among them."""
    kind, count = sys.argv[1], int(sys.argv[2])
    rng = np.random.default_rng(0)
    still = rng.integers(60, 180, (HEIGHT_PX // 20, WIDTH_PX // 20, 3), dtype=np.uint8)
    still = np.ascontiguousarray(still.repeat(20, 0).repeat(20, 1))
    looker = Looker(LookRules())
    for at_ms in range(0, LEARN_MS, 500):
        looker.see(still, at_ms)
    if kind == "subject":
        still[150:300, 200:350] = 20
    seen = [looker.see(still, LEARN_MS + number * STEP_MS) for number in range(count)]
    print(kind, seen[-1])


if __name__ == "__main__":
    main()
