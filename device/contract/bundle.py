"""The bundle: what was verified, and proof that nothing has changed since.

A bundle is a folder, or the same as one tar file. `manifest.json` names every other file with its
SHA-256 and size, and carries a digest of itself. Everything is read once and compared; the
interpreter is later built from the very bytes that were compared (truncated and corrupted models
load far too often for "it loads" to prove anything).
"""

import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.contract.accuracy import (
    TAKEN_AT_THEIR_WORD,
    Accuracy,
    ScoreOffset,
    accuracy_of,
    is_count,
    is_threshold,
    score_offset_of,
)
from device.contract.look.rules import LookRules, Region
from device.contract.preprocess import Preprocessing
from device.contract.statistics import STATISTICS_FILE, FeatureStatistics
from device.contract.thumbnails import record as thumbnails
from device.contract.thumbnails.record import THUMBNAILS_FILE, Thumbnails
from device.errors import BundleError, ThumbnailsError

SCHEMA = 2
"""The manifest schema that this version reads and writes."""

MANIFEST = "manifest.json"
MODEL = "model_int8.tflite"
EDGETPU_MODEL = "model_edgetpu.tflite"
LABELS = "labels.txt"
GOLDEN = "golden.npz"
STATISTICS = STATISTICS_FILE
THUMBNAILS = THUMBNAILS_FILE
MODEL_CARD = "MODEL_CARD.md"
REQUIRED_FILES = (MODEL, LABELS, GOLDEN, STATISTICS, MODEL_CARD)
OPTIONAL_FILES = (EDGETPU_MODEL, THUMBNAILS)

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_LABELS = 100_000

_SELF_DIGEST = "manifest_sha256"
_REBUILD = "build it again with `make bundle` or copy it again"
_UNSEEN = "the page shows no training photos until the bundle is installed again"


@dataclass(frozen=True)
class Bundle:
    """A bundle in which every byte has been compared with the manifest."""

    manifest: Mapping[str, Any]
    model: bytes
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    golden: bytes
    """The bytes of `golden.npz`; see `golden_arrays`."""
    statistics: FeatureStatistics = field(compare=False)
    """Of the model's features of the training photos; equal manifests have equal ones."""
    region: Region
    """What of a picture the model was trained to see."""
    look: LookRules
    """How the boxes of its photos were found."""
    edgetpu_model: bytes = b""
    """The same model compiled for the Edge TPU; empty if the bundle has none."""
    thumbnails: Thumbnails | None = field(default=None, compare=False, repr=False)
    """Of some training photos; None if the bundle has none, or none that can be used."""
    thumbnails_problem: str = ""
    """Why thumbnails that the manifest names cannot be used, one line; else empty."""

    @property
    def name(self) -> str:
        """What the bundle classifies, as given when it was built."""
        return str(self.manifest.get("name", "unnamed"))

    @property
    def data(self) -> str:
        """One line that says which photos it was made from."""
        return str(self.manifest.get("data", {}).get("description", "unknown data"))

    @property
    def limit(self) -> float | None:
        """Beyond this distance a picture shows nothing that the model knows; None: none does."""
        value = self.manifest["threshold"]["value"]
        return None if value is None else float(value)

    @property
    def accuracy(self) -> Accuracy | None:
        """What convert measured; None if the manifest does not say it."""
        return accuracy_of(self.manifest.get("verification"))

    @property
    def score_offset(self) -> ScoreOffset:
        """How far scores are below the accuracy of what is accepted."""
        return score_offset_of(self.manifest.get("score_offset")) or TAKEN_AT_THEIR_WORD

    def golden_arrays(self) -> dict[str, npt.NDArray[np.uint8]]:
        """The golden inputs ("inputs", (k, h, w, 3)) and raw outputs by output name.

        Raises:
            BundleError: if the archive is not what convert writes.
        """
        try:
            with np.load(io.BytesIO(self.golden), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except Exception as error:
            raise BundleError(f"{GOLDEN} cannot be read ({error}); {_REBUILD}") from error
        counts = {len(array) if array.ndim else 0 for array in arrays.values()}
        if not {"inputs", "probabilities"} <= set(arrays) or len(counts) != 1 or 0 in counts:
            raise BundleError(f"{GOLDEN} lacks its inputs or outputs; {_REBUILD}")
        inputs = arrays["inputs"]
        if inputs.dtype != np.uint8 or inputs.shape[1:] != self.preprocessing.shape:
            raise BundleError(f"{GOLDEN}: its inputs are not prepared pictures; {_REBUILD}")
        return arrays


def load(path: Path) -> Bundle:
    """Read a bundle folder or tar and compare every file with the manifest.

    Thumbnails only decorate a page, so without them, or with damaged ones, it is read all the same.

    Raises:
        BundleError: if anything else is missing, truncated, edited or of a newer schema.
    """
    return from_files(checked_files(_reader(path), spared=(THUMBNAILS,)))


def read_files(path: Path) -> dict[str, bytes]:
    """The bytes of a bundle's files by name, manifest included, each compared with the manifest.

    Raises:
        BundleError: if anything is missing, truncated, edited or of a newer schema.
    """
    return checked_files(_reader(path))


def checked_files(
    read: Callable[[str, int], bytes], spared: Collection[str] = ()
) -> dict[str, bytes]:
    """The same from anywhere.

    Args:
        read: returns the bytes of a file by its name, at most so many; raises BundleError.
        spared: files that are left out if they are missing or damaged.

    Raises:
        BundleError: if anything else is missing, truncated, edited or of a newer schema.
    """
    files = {MANIFEST: read(MANIFEST, MAX_MANIFEST_BYTES)}
    manifest = parse_manifest(files[MANIFEST])
    for name in sorted(manifest["files"]):
        try:
            files[name] = _read_checked(read, name, manifest)
        except BundleError:
            if name not in spared:
                raise
    return files


def from_files(files: Mapping[str, bytes]) -> Bundle:
    """The bundle made of the files that `read_files` returned.

    Raises:
        BundleError: if labels, preprocessing or statistics are not what convert writes.
    """
    manifest, labels = parse_manifest(files[MANIFEST]), parse_labels(files[LABELS])
    statistics = FeatureStatistics.read(files[STATISTICS], len(labels))
    small, problem = _thumbnails(files, manifest, labels, statistics)
    return Bundle(
        manifest=manifest,
        model=files[MODEL],
        labels=labels,
        preprocessing=_preprocessing(manifest),
        golden=files[GOLDEN],
        statistics=statistics,
        region=_region(manifest),
        look=_look(manifest),
        edgetpu_model=files.get(EDGETPU_MODEL, b""),
        thumbnails=small,
        thumbnails_problem=problem,
    )


def parse_manifest(data: bytes) -> dict[str, Any]:
    """Check a manifest's form, schema and self-digest.

    Raises:
        BundleError: if it is not a manifest, was edited, or this version does not know its schema.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} is not JSON: truncated or edited; {_REBUILD}") from error
    if not isinstance(manifest, dict) or not is_count(manifest.get("schema")):
        raise BundleError(f"{MANIFEST} has no schema number: not a Fieldguide bundle")
    if manifest["schema"] > SCHEMA:
        raise BundleError(
            f"the bundle has schema {manifest['schema']}, this version reads {SCHEMA}: "
            "update the device package"
        )
    if manifest["schema"] < SCHEMA:
        raise BundleError(
            f"the bundle has schema {manifest['schema']}, this version reads {SCHEMA}: build it "
            "again with `make bundle`"
        )
    if manifest.get(_SELF_DIGEST) != manifest_digest(manifest):
        raise BundleError(f"{MANIFEST} was edited or damaged (its digest differs); {_REBUILD}")
    _check_files(manifest.get("files"))
    _check_form(manifest.get("data", {}), manifest.get("tolerance", {}))
    _check_measured(manifest.get("threshold"), manifest.get("score_offset"))
    return manifest


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a manifest without its own digest."""
    body = {key: value for key, value in manifest.items() if key != _SELF_DIGEST}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def seal_manifest(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of `manifest.json`: readable, ordered, with its own digest."""
    sealed = {**manifest, _SELF_DIGEST: manifest_digest(manifest)}
    return (json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()


def file_record(data: bytes) -> dict[str, Any]:
    """The manifest's entry for one file."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def parse_labels(data: bytes) -> tuple[str, ...]:
    """The class names of `labels.txt`, one per line.

    Raises:
        BundleError: if there are none or too many, or they are not UTF-8 text.
    """
    try:
        labels = tuple(data.decode("utf-8").removesuffix("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise BundleError(f"{LABELS} is not UTF-8 text") from error
    if not all(labels) or not 1 <= len(labels) <= MAX_LABELS:
        raise BundleError(f"{LABELS} has empty lines, or not 1..{MAX_LABELS} of them")
    return labels


def _check_files(files: Any) -> None:
    known = {*REQUIRED_FILES, *OPTIONAL_FILES}
    if isinstance(files, dict) and {*REQUIRED_FILES} - set(files) == {STATISTICS}:
        raise BundleError(f"the bundle has no {STATISTICS}: build it again with `make bundle`")
    if not isinstance(files, dict) or not set(REQUIRED_FILES) <= set(files) <= known:
        raise BundleError(f"{MANIFEST} does not list the files of a bundle; {_REBUILD}")
    for name, record in files.items():
        whole = isinstance(record, dict) and set(record) == {"sha256", "bytes"}
        if not whole or not is_count(record["bytes"], least=0):
            raise BundleError(f"{MANIFEST}: the record of {name} is damaged; {_REBUILD}")


def _check_form(data: Any, tolerance: Any) -> None:
    if not isinstance(data, dict) or not isinstance(tolerance, dict):
        raise BundleError(f"{MANIFEST}: the record of data or tolerance is damaged; {_REBUILD}")
    for runtime, record in tolerance.items():
        if not _is_tolerance(record):
            raise BundleError(f"{MANIFEST}: the tolerance of {runtime!r} is damaged; {_REBUILD}")


def _is_tolerance(record: Any) -> bool:
    """Steps that outputs and features may differ by, photos of another class, exact outputs."""
    if not isinstance(record, dict) or not isinstance(record.get("exact", []), list):
        return False
    limits = [record.get("max_steps"), record.get("max_other_top1", 0)]
    names = all(isinstance(name, str) for name in record.get("exact", []))
    if record.get("max_feature_steps") is not None:
        limits.append(record["max_feature_steps"])
    return names and all(is_count(limit, least=0) for limit in limits)


def _check_measured(threshold: Any, score_offset: Any) -> None:
    if not is_threshold(threshold):
        raise BundleError(f"{MANIFEST}: the record of threshold is damaged; {_REBUILD}")
    if score_offset_of(score_offset) is None:
        raise BundleError(f"{MANIFEST}: the record of score_offset is damaged; {_REBUILD}")


def _read_checked(
    read: Callable[[str, int], bytes], name: str, manifest: Mapping[str, Any]
) -> bytes:
    most = thumbnails.MAX_BYTES if name == THUMBNAILS else MAX_FILE_BYTES
    data, expected = read(name, most), manifest["files"][name]
    if len(data) != expected["bytes"]:
        raise BundleError(
            f"{name} has {len(data):,} bytes, the manifest says {expected['bytes']:,}: truncated "
            f"or edited; {_REBUILD}"
        )
    if hashlib.sha256(data).hexdigest() != expected["sha256"]:
        raise BundleError(f"{name} differs from the manifest (SHA-256); {_REBUILD}")
    return data


def _thumbnails(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    labels: Sequence[str],
    statistics: FeatureStatistics,
) -> tuple[Thumbnails | None, str]:
    """The bundle's thumbnails if they can be used, and why they cannot."""
    if THUMBNAILS not in manifest["files"]:
        return None, ""
    if THUMBNAILS not in files:
        return None, f"{THUMBNAILS} is missing or differs from the manifest; {_UNSEEN}"
    try:
        return Thumbnails.read(files[THUMBNAILS], len(labels), statistics.directions), ""
    except ThumbnailsError as error:
        return None, f"{error}; {_UNSEEN}"


def _preprocessing(manifest: Mapping[str, Any]) -> Preprocessing:
    rules = Preprocessing.from_record(manifest.get("preprocess", {}))
    if rules.sha256() != manifest.get("preprocess_sha256"):
        raise BundleError(f"{MANIFEST}: the preprocessing record differs from its digest")
    return rules


def _region(manifest: Mapping[str, Any]) -> Region:
    try:
        return Region(manifest.get("region", ""))
    except ValueError as error:
        raise BundleError(f"{MANIFEST}: region is not one of {', '.join(Region)}") from error


def _look(manifest: Mapping[str, Any]) -> LookRules:
    rules = LookRules.from_record(manifest.get("look", {}))
    if rules.sha256() != manifest.get("look_sha256"):
        raise BundleError(f"{MANIFEST}: the rules of looking differ from their digest")
    return rules


def _reader(path: Path) -> Callable[[str, int], bytes]:
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{path}: no such bundle; build one with `make bundle`") from error
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(kind):
        return lambda name, limit: _read_limited(path / name, name, limit)
    if stat.S_ISREG(kind):
        return _tar_reader(path)
    raise BundleError(f"{path}: neither a bundle folder nor a bundle tar")


def _read_limited(path: Path, name: str, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise BundleError(f"{path.parent}: {name} is missing; {_REBUILD}") from error
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    if len(data) > limit:
        raise BundleError(f"{path}: larger than {limit:,} bytes")
    return data


def _tar_reader(path: Path) -> Callable[[str, int], bytes]:
    contents: dict[str, bytes] = {}
    known = {MANIFEST, *REQUIRED_FILES, *OPTIONAL_FILES}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in known and member.isfile() and member.size <= MAX_FILE_BYTES:
                    file = archive.extractfile(member)
                    contents[name] = file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        # tarfile does not catch integer errors from headers that claim absurd sizes.
        raise BundleError(f"{path}: not a whole bundle tar ({error}); {_REBUILD}") from error

    def read(name: str, limit: int) -> bytes:
        if name not in contents or len(contents[name]) > limit:
            raise BundleError(f"{path}: {name} is missing; {_REBUILD}")
        return contents[name]

    return read
