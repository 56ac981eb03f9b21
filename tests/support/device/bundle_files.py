"""The files of bundles, changed and sealed again as a test wants them."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from device.contract import bundle as contract

THRESHOLD = {
    "value": 0.5,
    "n": 20,
    "coverage": 0.9,
    "coverage_interval": [0.7, 0.97],
    "precision": 0.95,
    "precision_interval": [0.7, 0.99],
}
"""A whole record, as the manifest has it."""


def read_folder(folder: Path) -> dict[str, bytes]:
    """Name to content of the files that the manifest of a bundle covers, and the manifest."""
    names = (*contract.REQUIRED_FILES, contract.MANIFEST)
    return {name: (folder / name).read_bytes() for name in names}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a new folder; returns it."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def tar_bytes(files: Mapping[str, bytes]) -> bytes:
    """A tar of the files, as `make bundle` packs it but for their order."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def resealed(files: Mapping[str, bytes], /, **changes: Any) -> dict[str, bytes]:
    """The files of a bundle with a manifest that fits them, as a forger would seal it."""
    body = json.loads(files[contract.MANIFEST])
    body["files"] = {
        name: contract.file_record(data)
        for name, data in files.items()
        if name != contract.MANIFEST
    }
    return {**files, contract.MANIFEST: contract.seal_manifest({**body, **changes})}


def with_other_answers(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle whose golden outputs belong to other inputs, under a fitting manifest."""
    files = read_folder(bundle)
    with np.load(io.BytesIO(files[contract.GOLDEN])) as archive:
        arrays = dict(archive)
    arrays["probabilities"] = np.roll(arrays["probabilities"], 1, axis=0)
    data = io.BytesIO()
    np.savez(data, **arrays)
    return write_folder(folder, resealed({**files, contract.GOLDEN: data.getvalue()}))
