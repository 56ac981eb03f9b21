"""A bundle that is kept in the repository, so that the device's tests need no TensorFlow."""

from pathlib import Path

from device.contract import bundle as contract
from tests.support.device.bundle_files import write_folder

TAR = Path(__file__).with_name("tiny_bundle.tar")
"""Made by `tests.support.builds.make_tiny_bundle`."""


def unpack(folder: Path) -> Path:
    """The bundle as `folder`/bundle, with `bundle.tar` beside it; returns the bundle's folder."""
    (folder / "bundle.tar").write_bytes(TAR.read_bytes())
    return write_folder(folder / "bundle", contract.read_files(TAR))
