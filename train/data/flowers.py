"""The example photos of five flowers: downloading and unpacking them."""

import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from device.errors import one_line
from train.errors import DownloadError

FLOWERS_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
)
FLOWERS_BYTES = 228_813_984
FLOWERS_SHA256 = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"

CONNECT_TIMEOUT_S = 10
TOTAL_TIMEOUT_S = 600
CHUNK_BYTES = 256 * 1024


def fetch_flowers(folder: Path) -> Path:
    """Download, check and unpack the official flower photos; returns `folder/flower_photos`.

    An interrupted download continues where it stopped.

    Raises:
        DownloadError: if it cannot be fetched in `TOTAL_TIMEOUT_S`, or is not the pinned file.
    """
    target = folder / "flower_photos"
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "flower_photos.tgz"
    download(FLOWERS_URL, archive, FLOWERS_BYTES, FLOWERS_SHA256)
    unpacked = folder / ".unpacking"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive, "r:gz") as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(unpacked, filter="data")
        else:
            # Python before 3.11.4, such as Debian 12's, knows no filters.
            tar.extractall(unpacked, members=[_inside(member) for member in tar])
    os.replace(unpacked / "flower_photos", target)
    shutil.rmtree(unpacked)
    archive.unlink()
    return target


def _inside(member: tarfile.TarInfo) -> tarfile.TarInfo:
    path = Path(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise tarfile.ExtractError(f"{member.name} is no file within the archive's folder")
    return member


def download(url: str, path: Path, size_bytes: int, sha256: str) -> None:
    """Fetch a file of known size and digest; resumes an earlier `path` + ".part".

    Raises:
        DownloadError: without network, on a stall, a time-out, or unexpected bytes.
    """
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    if have > size_bytes:
        part.unlink()
        have = 0
    try:
        if have < size_bytes:
            _fetch(url, part, have, size_bytes)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # urllib wraps the cause.
        cause = getattr(error, "reason", None) or error
        raise DownloadError(f"{url}: {one_line(cause)}") from error
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        part.unlink()
        raise DownloadError(f"{url}: not the expected file (SHA-256 differs); removed")
    part.replace(path)


def _fetch(url: str, part: Path, have: int, size_bytes: int) -> None:
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    deadline = time.monotonic() + TOTAL_TIMEOUT_S
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S) as response,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        resumed = response.status == 206
        start = have if resumed else 0
        if response.length not in (None, size_bytes - start):
            raise OSError(
                f"the server offers {response.length:,} bytes, not {size_bytes - start:,}"
            )
        with part.open("ab" if resumed else "wb") as file:
            task = progress.add_task(part.stem, total=size_bytes, completed=start)
            written = start
            # read1 gives what has arrived; read would wait for a whole chunk, past any deadline.
            while chunk := response.read1(CHUNK_BYTES):
                written += len(chunk)
                if written > size_bytes:
                    raise OSError(f"the server sends more than {size_bytes:,} bytes")
                file.write(chunk)
                progress.advance(task, len(chunk))
                if time.monotonic() > deadline:
                    raise OSError(f"not finished after {TOTAL_TIMEOUT_S} s; run again to resume")
    if written < size_bytes:
        raise OSError(f"stopped after {written:,} of {size_bytes:,} bytes; run again to resume")
