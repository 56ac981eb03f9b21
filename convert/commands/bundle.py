"""Packs the bundle: the verified model with everything a device needs, as a folder and a tar."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from convert.artifacts.exported import read_export
from convert.artifacts.training import read_training
from convert.pack import bundle
from convert.targets import tolerance
from device.files import write_bytes
from device.workstation.conversion import EDGETPU_MODEL, VERIFICATION


@dataclass(frozen=True)
class BundleInputs:
    """What a bundle is packed from and where it goes."""

    training: Path
    """The folder of the training."""
    models: Path
    """The folder of export and verification."""
    out: Path
    """The bundle's folder; the tar goes beside it."""
    measured: Path
    """The measurements of `make test-arm`; the file may be missing."""
    thumbnails: bool = False
    """Whether small pictures of training photos travel in it."""

    @property
    def tar(self) -> Path:
        """The bundle as one file."""
        return self.out.with_name(f"{self.out.name}.tar")


def pack_bundle(inputs: BundleInputs) -> Mapping[str, bytes]:
    """Write the bundle's folder and tar; gives the files by name, as they are in the tar.

    Raises:
        InputError: if a file of training or export is missing or damaged, or is not the one that
            was verified.
        RecordError: if a record of export or verification is missing, damaged or of another
            version.
        GateError: if the model did not pass verification.
    """
    training = read_training(inputs.training)
    exported = read_export(inputs.models, training)
    verified = inputs.models / VERIFICATION
    files = bundle.build(
        bundle.Inputs(
            training,
            exported,
            bundle.read_verification(verified, exported.int8_model),
            _compiled(inputs.models),
            tolerance.read_tolerances(inputs.measured),
            thumbnails=inputs.thumbnails,
        )
    )
    proof = {VERIFICATION: verified.read_bytes()}
    bundle.write_folder(inputs.out, {**files, **proof})
    write_bytes(inputs.tar, bundle.tar_bytes(files))
    return files


def _compiled(models: Path) -> bytes | None:
    """The model for the Edge TPU, if a compiler was there to make it."""
    path = models / EDGETPU_MODEL
    return path.read_bytes() if path.exists() else None
