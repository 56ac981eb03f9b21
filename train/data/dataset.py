"""The photos: where they come from, what is in them, and the record of both."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from device.contract import provenance
from device.contract.folders import is_raw
from device.contract.preprocess import Pixels, Preprocessing, decode, prepare, read_photo
from device.errors import PhotoError
from train.data import folder as folders
from train.data.copies import detail
from train.data.fetch import fetch_flowers
from train.data.folder import RENDERED_MARK
from train.data.rendered import render_data_set
from train.data.split import LEFT_OUT, PARTS, Photo, Row, thumbnail
from train.errors import DataError, DownloadError

RENDERED = "rendered"
"""`DATA=rendered` asks for the rendered set, whatever the network offers."""
DATA_RECORD = "data.json"
SPLIT = "split.csv"


@dataclass(frozen=True)
class DataSet:
    """Which photos everything downstream was made from."""

    folder: str
    kind: str
    """"photos" or "rendered"."""
    name: str
    description: str
    """One line for every report."""
    fingerprint: str
    """SHA-256 over the sorted digests and classes of all files."""
    counts: dict[str, dict[str, int]]
    """Photos by class and part."""
    correlations: dict[str, int] = field(default_factory=dict)
    """How many of the photos that judge and teach were grouped with what is from this correlation
    on nearly identical to them."""
    edited_copies: int = 0
    """Photos grouped with another that they are an edited copy of, or that is one of them."""

    def record(self) -> dict[str, Any]:
        """As the JSON object of `data.json`."""
        return asdict(self)

    def public_record(self) -> dict[str, Any]:
        """Without the folder's path, which says more about a machine than about the data."""
        return {key: value for key, value in self.record().items() if key != "folder"}


def locate(data: str | None, store: Path) -> Path:
    """The folder to train on.

    `data` if given; else `store`/flower_photos; else the official flowers, if they can be
    fetched; else pictures that the project renders itself. What was rendered once hides neither:
    without DATA= the official flowers are asked for each time.

    Raises:
        DataError: if `data` is no folder.
    """
    if data and data != RENDERED:
        # No shell has seen a "~" behind DATA=.
        folder = Path(os.path.expanduser(data))
        if not folder.is_dir():
            raise DataError(f"DATA={data}: no such folder; it must hold one folder per class")
        return folder
    rendered = store / "rendered_flowers"
    if data == RENDERED:
        render_data_set(rendered)
        return rendered
    try:
        return fetch_flowers(store)
    except DownloadError as error:
        Console(stderr=True).print(
            f"The official flower photos cannot be fetched ({error}).\n"
            "Rendering a small stand-in set instead; use your own photos with DATA=folder.\n"
            f"To ask for the official ones again: remove {rendered}, then `make`.",
            highlight=False,
            markup=False,
        )
    render_data_set(rendered)
    return rendered


def scan(folder: Path, rules: Preprocessing) -> list[Photo]:
    """Read every photo of every class folder once; what is passed over is told on stderr.

    Raises:
        DataError: as `train.data.folder.look` does.
    """
    contents = folders.look(folder)
    console = Console(stderr=True)
    for note in contents.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)

    def read(item: tuple[Path, str]) -> Photo:
        path, label = item
        return _read(path, path.relative_to(folder).as_posix(), label, rules)

    files = (*contents.photos, *contents.raw)
    with ThreadPoolExecutor(max_workers=2) as pool:
        reading = pool.map(read, files)
        return list(track(reading, f"{'reading photos':24}", total=len(files), console=console))


def _read(path: Path, name: str, label: str, rules: Preprocessing) -> Photo:
    readable = os.fsencode(name).decode("utf-8", "backslashreplace")
    if readable != name:
        problem = "its name is no UTF-8 text: rename it"
        return Photo(readable, label, hashlib.sha256(b"").hexdigest(), problem=problem)
    if is_raw(path):
        problem = f"{path.suffix.lower()} is not read: convert it to JPEG"
        return Photo(name, label, hashlib.sha256(b"").hexdigest(), problem=problem)
    try:
        data = read_photo(path)
    except PhotoError as error:
        return Photo(name, label, hashlib.sha256(b"").hexdigest(), problem=str(error))
    digest = hashlib.sha256(data).hexdigest()
    collected = provenance.read(data) is not None
    try:
        picture = decode(data, rules)
        looks = thumbnail(picture), detail(picture)
        return Photo(name, label, digest, *looks, collected=collected)
    except PhotoError as error:
        return Photo(name, label, digest, problem=str(error), collected=collected)


def read_same(path: Path, sha256: str) -> bytes:
    """The bytes of a photo file, which must be those that were scanned.

    Raises:
        PhotoError: if it cannot be read, or is another picture by now.
    """
    data = read_photo(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PhotoError("its bytes are others than those that were scanned")
    return data


@contextmanager
def listed(path: Path, sha256: str) -> Iterator[bytes]:
    """Work on the bytes of a photo of the split; say which one vanished or was exchanged since.

    Raises:
        DataError: in place of a `PhotoError`.
    """
    try:
        yield read_same(path, sha256)
    except PhotoError as error:
        raise DataError(
            f"{path}: {error}, though the split lists it; run `make data` again"
        ) from error


def load_listed(path: Path, sha256: str, rules: Preprocessing) -> Pixels:
    """A photo of the split as uint8 (height_px, width_px, 3); raises as `listed` does."""
    with listed(path, sha256) as data:
        return prepare(decode(data, rules), rules)


def describe(folder: Path, rows: Sequence[Row], collected: Set[str] = frozenset()) -> DataSet:
    """The record of a scanned and split folder; `collected` are the paths of devices' photos."""
    kind = "rendered" if (folder / RENDERED_MARK).exists() else "photos"
    labels = sorted({row.label for row in rows})
    counter = Counter((row.label, row.part) for row in rows)
    counts = {
        label: {part: counter[label, part] for part in (*PARTS, LEFT_OUT)} for label in labels
    }
    digests = "\n".join(sorted(f"{row.sha256} {row.label}" for row in rows))
    name = folder.resolve().name
    used = [row.path for row in rows if row.part != LEFT_OUT]
    fresh = len(set(collected).intersection(used))
    saved = f", {fresh:,} of them saved by devices" if fresh else ""
    note = " (pictures rendered by this project, no real photos)" if kind == "rendered" else ""
    return DataSet(
        folder=str(folder.resolve()),
        kind=kind,
        name=name,
        description=f"{len(used):,} photos in {len(labels)} classes, folder {name!r}{saved}{note}",
        fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
        counts=counts,
        correlations={f"{key:g}": count for key, count in sorted(_correlations(rows).items())},
        edited_copies=sum(bool(row.copy_of) for row in rows),
    )


def _correlations(rows: Sequence[Row]) -> Counter[float]:
    return Counter(row.correlation for row in rows if row.part != LEFT_OUT and not row.collected)


def read_record(path: Path) -> DataSet:
    """Read `data.json` back.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        return DataSet(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not readable ({error}); run `make data` again") from error


def table(data_set: DataSet, rows: Sequence[Row]) -> str:
    """Classes by parts and the photos left out, as text."""
    columns = (*PARTS, LEFT_OUT)
    width = max(12, *(len(label) for label in data_set.counts))
    lines = [f"{'':{width}}" + "".join(f"{column:>10}" for column in columns)]
    for label, parts in data_set.counts.items():
        lines.append(f"{label:{width}}" + "".join(f"{parts[column]:10}" for column in columns))
    lines += _grouping(data_set, rows)
    left_out = [row for row in rows if row.part == LEFT_OUT]
    lines += [f"left out: {folders.shown(row.path)}: {row.reason}" for row in left_out[:20]]
    if len(left_out) > 20:
        lines.append(f"... and {len(left_out) - 20} more, see {SPLIT}")
    return "\n".join(lines)


def _grouping(data_set: DataSet, rows: Sequence[Row]) -> list[str]:
    """What was grouped in another way than most photos are."""
    lines = []
    usual, *stricter = data_set.correlations.items() or [("", 0)]
    for correlation, count in stricter:
        lines.append(
            f"alike as of one camera: {count:,} photos; of these one picture are those that "
            f"correlate by {correlation}, of all others by {usual[0]}"
        )
    edited = [row for row in rows if row.copy_of]
    lines += [
        f"edited copy, in one part: {folders.shown(row.path)} of {folders.shown(row.copy_of)}"
        for row in edited[:20]
    ]
    if len(edited) > 20:
        lines.append(f"... and {len(edited) - 20} more, see the groups in {SPLIT}")
    return lines
