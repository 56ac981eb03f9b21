"""A stick with a folder of releases, as somebody copied it, or who lies as a test wants."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.device.release_server import Body, Lie, Pointing, endless

ENDLESS_BYTES = 1 << 40
"""Without a byte of it on the disk."""


class ReleaseStick:
    """It is used like `ReleaseServer`; `fill` copies the folder anew, with its lies."""

    def __init__(self, folder: Path, stick: Path) -> None:
        self.folder, self.stick = folder, stick
        self.lies: dict[str, Lie] = {}
        self.asked: list[str] = []
        """Nobody is asked."""
        self.url = stick.as_uri()

    def fill(self) -> None:
        """Copy what is published now."""
        self.pull()
        shutil.copytree(self.folder, self.stick)
        for end, lie in self.lies.items():
            ends = [path for path in self.stick.rglob("*") if path.name.endswith(end)]
            for path in ends or [self.stick / "metadata" / end]:
                self._tell(path, lie)

    def pull(self) -> None:
        """It is not there any more."""
        shutil.rmtree(self.stick, ignore_errors=True)

    def _tell(self, path: Path, lie: Lie) -> None:
        honest = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        if isinstance(lie, Pointing):
            elsewhere = self.stick.with_name(lie.elsewhere)
            elsewhere.write_bytes(honest)
            path.symlink_to(elsewhere)
        elif lie is endless:
            path.touch()
            os.truncate(path, ENDLESS_BYTES)
        elif isinstance(lie, Body) and lie.status == 200:
            path.write_bytes(lie.data)
        else:
            assert isinstance(lie, Body), "no lie for a stick"


@contextmanager
def plugged(folder: Path) -> Iterator[ReleaseStick]:
    """Such a stick beside the folder, for the length of a test."""
    stick = ReleaseStick(folder, folder.with_name("stick"))
    stick.fill()
    yield stick
