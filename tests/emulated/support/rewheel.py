"""The device package's wheel with another version, and with faults for a board to find."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

NAME = "fieldguide_device"


def rewheel(
    wheel: Path, folder: Path, version: str, added: Mapping[str, str] | None = None
) -> Path:
    """Write such a wheel.

    Args:
        wheel: the real one.
        folder: where to; it holds no other wheel afterwards.
        version: of the new one.
        added: Python source to append to a module, by its path in the wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.whl"):
        path.unlink()
    old, info = wheel.name.split("-")[1], f"{NAME}-{version}.dist-info"
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            files[name.replace(f"{NAME}-{old}.dist-info", info)] = archive.read(name)
    del files[f"{info}/RECORD"]
    for name, text in {**(added or {}), "device/__init__.py": _version(version)}.items():
        files[name] += text.encode()
    metadata = files[f"{info}/METADATA"].decode()
    files[f"{info}/METADATA"] = metadata.replace(f"Version: {old}", f"Version: {version}").encode()
    out = folder / wheel.name.replace(f"-{old}-", f"-{version}-")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # Without a date: the same always gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        record = "".join(_record(name, data) for name, data in files.items())
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), f"{record}{info}/RECORD,,\n")
    return out


def _version(version: str) -> str:
    return f'\n__version__ = "{version}"\n'


def _record(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"
