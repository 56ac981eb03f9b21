"""Running programs of Debian 13 from a folder, on any workstation.

The board's byte code and file systems are made with the board's versions of the programs, so they
are the same everywhere. They take seconds, where emulated programs would take minutes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from device.image.errors import ImageError
from device.image.tools import EPOCH_S, run

PYTHON = "3.13"


class Native:
    """The programs in an unpacked tar of recipe/tools.sh."""

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
        """Write byte code beside all Python files below `folder`; `stripped` is cut from its paths.

        It is valid as long as the source's hash: file dates in images mean nothing.
        """
        self._run(
            f"usr/bin/python{PYTHON}",
            *("-m", "compileall", "-q", "--invalidation-mode", "checked-hash"),
            *("-s", stripped, "-p", "/", folder),
        )

    def make_ext4(self, tar: Path, out: Path, *, label: str, uuid: str, size_mib: int) -> None:
        """Write a file system with the tar's content, owners and modes included.

        It does not depend on the workstation's file system, user or clock, and needs no root.
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
    """The unpacked programs, for the duration of the `with` block."""
    with TemporaryDirectory(dir=tools.parent) as temporary:
        run("tar", "-xf", tools, "-C", temporary, "--exclude=./dev")
        yield Native(Path(temporary))
