"""Writes a bundle's model as C++ sources for firmware, measured in tflite-micro."""

from dataclasses import dataclass
from pathlib import Path

from convert.targets import micro
from device.contract import bundle as contract
from device.files import write_bytes


@dataclass(frozen=True)
class Firmware:
    """What was written."""

    model_bytes: int
    measured: micro.Measurement


def write_firmware(bundle: Path, out: Path) -> Firmware:
    """Write the sources for a bundle into a folder.

    Raises:
        BundleError: if the bundle does not match its manifest.
        InputError: if tflite-micro is not installed or cannot run the model.
        GateError: if its outputs are too far from the golden ones; then nothing is written.
    """
    loaded = contract.load(bundle)
    measured = micro.measure_arena(loaded)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in micro.sources(loaded, measured).items():
        write_bytes(out / name, text.encode())
    return Firmware(len(loaded.model), measured)
