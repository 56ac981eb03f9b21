"""Make the kept tiny bundle again: `.venv/bin/python -m tests.support.builds.make_tiny_bundle`.

The device's tests classify with it where there is no TensorFlow to make one. Needed after a change
of the bundle's contract or of what convert writes into it; a test says when.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from convert.pack.bundle import tar_bytes
from device.commit import UNKNOWN
from tests.support.builds.tiny_network import tiny_files
from tests.support.device.bundle_files import resealed
from tests.support.device.tiny_bundle import TAR

STEPS = ("training", "export", "verification", "bundle")


def kept_files(base: Path) -> dict[str, bytes]:
    """The files that are kept; of no commit, so that each commit makes the same."""
    return resealed(tiny_files(base), commit=UNKNOWN, commits=dict.fromkeys(STEPS, UNKNOWN))


def main() -> int:
    """Write the tar; returns the exit status."""
    # With --help nothing is written: a test asks every program for it.
    argparse.ArgumentParser(description=__doc__).parse_args()
    with TemporaryDirectory() as folder:
        TAR.write_bytes(tar_bytes(kept_files(Path(folder))))
    print(f"{TAR}: {TAR.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
