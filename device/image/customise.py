"""Adds Fieldguide to a stock Raspberry Pi OS by writing only to its boot partition.

The first boot unpacks from there what `build` makes for our own image: same software, same bundle,
same settings. It needs no network.
"""

import gzip
import lzma
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from device.files import SECRET, replacing
from device.image import disk
from device.image.build import RECIPE, Parts
from device.image.errors import ImageError
from device.image.identity import Identity, seed

FOLDER = "fieldguide"
INSTALL = f"test -e /opt/fieldguide/installed || sh /boot/firmware/{FOLDER}/install.sh"
"""Runs at every boot: after a power cut in the first one, the next one installs it again."""


def customise(base: Path, parts: Parts, folder: Path, identity: Identity) -> Path:
    """Write `raspios-fieldguide.img`: the stock image with our files on its boot partition.

    Raises:
        ImageError: if `base` is not such an image, is damaged, or its boot partition is too small.
    """
    image = folder / "raspios-fieldguide.img"
    with TemporaryDirectory(dir=folder) as temporary, replacing(image, mode=SECRET) as part:
        _unpack(base, part)
        _pack(parts, Path(temporary) / FOLDER)
        disk.write_files(part, Path(temporary))
        disk.write_texts(part, texts(identity))
    return image


def texts(identity: Identity) -> dict[str, str]:
    """Text files for the boot partition of a stock system, by name."""
    # Raspberry Pi OS starts its ssh server only if it finds such a file.
    enabled = {"ssh": ""} if identity.ssh_key else {}
    return {**seed(identity, each_boot=INSTALL), **enabled}


def _unpack(base: Path, out: Path) -> None:
    try:
        if base.suffix == ".xz":
            with lzma.open(base) as source, out.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        else:
            shutil.copyfile(base, out)
    except (lzma.LZMAError, EOFError) as error:
        raise ImageError(f"{base}: damaged ({error}): download it again") from error


def _pack(parts: Parts, folder: Path) -> None:
    folder.mkdir()
    shutil.copyfile(RECIPE / "install.sh", folder / "install.sh")
    shutil.copyfile(parts.state, folder / "state.tar")
    with (
        parts.software.open("rb") as source,
        (folder / "software.tar.gz").open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
