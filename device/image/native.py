"""Programs of Debian 13 that run on the workstation, whatever it is: out of a folder.

The board's byte code and file systems are made by the versions that the board has, and so come
out the same everywhere; and they take seconds where emulated programs take minutes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from device.image.errors import ImageError
from device.image.tools import EPOCH_S, run

PYTHON = "3.13"


class Native:
    """An unpacked tar of recipe/tools.sh."""

    def __init__(self, folder: Path) -> None:
        """Find the program loader and the libraries.

        Raises:
            ImageError: if they are not there.
        """
        loaders = sorted(folder.glob("usr/lib/*-linux-gnu/ld-linux*"))
        if not loaders:
            raise ImageError(f"{folder} has no programs of Debian: make clean, then make image")
        self._folder, self._loader = folder, loaders[0]

    def compile_python(self, folder: Path, stripped: Path) -> None:
        """Write byte code beside all Python below `folder`; its paths lose `stripped`.

        It holds as long as the source's hash does: dates of images tell nothing.
        """
        self._run(
            f"usr/bin/python{PYTHON}",
            *("-m", "compileall", "-q", "--invalidation-mode", "checked-hash"),
            *("-s", stripped, "-p", "/", folder),
        )

    def make_ext4(self, tar: Path, out: Path, *, label: str, uuid: str, size_mib: int) -> None:
        """Write a file system with what the tar holds, owners and modes included.

        Neither root nor the workstation's file system, user or clock come into it.
        """
        out.unlink(missing_ok=True)
        self._run(
            "usr/sbin/mke2fs",
            *("-q", "-F", "-t", "ext4", "-L", label, "-U", uuid, "-d", tar),
            *("-E", f"hash_seed={uuid},lazy_itable_init=0,lazy_journal_init=0"),
            *(out, f"{size_mib}M"),
        )

    def _run(self, program: str, *words: str | Path) -> None:
        run(
            *(self._loader, "--library-path", self._loader.parent, self._folder / program),
            *words,
            PYTHONHOME=str(self._folder / "usr"),
            MKE2FS_CONFIG=str(self._folder / "etc/mke2fs.conf"),
            E2FSPROGS_FAKE_TIME=str(EPOCH_S),
        )


@contextmanager
def unpacked(tools: Path) -> Iterator[Native]:
    """The programs, as long as they are needed."""
    with TemporaryDirectory(dir=tools.parent) as temporary:
        run("tar", "-xf", tools, "-C", temporary, "--exclude=./dev")
        yield Native(Path(temporary))
