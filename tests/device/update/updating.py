"""What tests do with slots: install into them, look at all that is in them."""

import os
from pathlib import Path

from tests.support.cli import Call
from tests.support.device.bundle_files import tar_bytes

Files = dict[str, bytes]


def tarred(path: Path, files: Files) -> Path:
    path.write_bytes(tar_bytes(files))
    return path


def install(call: Call, root: Path, path: Path) -> tuple[int, str, str]:
    return call("slots", "install", path, "--root", root)


def everything(folder: Path) -> dict[str, str | bytes]:
    """Each file and link below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {str(p): os.readlink(p) if p.is_symlink() else p.read_bytes() for p in paths}
