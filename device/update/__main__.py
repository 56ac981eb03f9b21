"""`python -m device.update`: as `fieldguide update`, for the units, which start it often."""

import device.interrupt  # noqa: F401

import sys

from device import console
from device.update import command


def main() -> int:
    """Run one action; returns the exit status."""
    parser = console.parser("python -m device.update", "Fetch and install signed releases.", "")
    command.add(parser)
    return console.run(parser, None)


if __name__ == "__main__":
    sys.exit(main())
