"""The frames that were taken of films, kept beside the build: made once, whole or not at all."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from device.contract.arrays import Box
from device.errors import PhotoError
from device.files import UNFINISHED
from device.workstation.records import Record, RecordError
from train.data.films.choosing import Kind, choose
from train.data.films.reading import Reader
from train.data.films.rules import FilmRules
from train.stamps import code_digest

FILMS = "films"
"""The folder of frames in `build/train`."""
RECORD = "film.json"
CODE = ("train/data/films/*.py", "device/contract/orientation.py", "device/contract/look/*.py")
"""The code that decides which frames are taken, and where something is in them."""


@dataclass(frozen=True)
class Frame:
    """A frame that was taken."""

    name: str
    """Of its file; it says when the frame is shown."""
    sha256: str
    box: Box | None
    """Where something is, in pixels; None: the frame is whole."""


@dataclass(frozen=True)
class FilmRecord(Record):
    """`film.json` beside the frames of a film."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make data"

    key: str
    """SHA-256 over all that the frames depend on."""
    problem: str
    """Why there are no frames; empty otherwise."""
    kind: Kind
    looked_at: int
    """Frames."""
    nothing: int
    """Frames in which nothing was seen."""
    damaged: int
    """Frames that could not be decoded."""
    frames: tuple[Frame, ...]

    @classmethod
    def unusable(cls, key: str, problem: str) -> "FilmRecord":
        """Of a film that gives no frames."""
        return cls(key, problem, Kind.STILL, 0, 0, 0, ())


@dataclass(frozen=True)
class KeptFilms:
    """A folder of frames, with a folder in the place of each film."""

    folder: Path
    rules: FilmRules = field(default_factory=FilmRules)

    def take(self, path: Path, name: str) -> FilmRecord:
        """The frames of a film, as they are kept or taken now.

        Args:
            path: of the film.
            name: its path in the data folder.

        Raises:
            OSError: if frames cannot be written.
        """
        try:
            key = self._key(path)
        except OSError as error:
            return FilmRecord.unusable("", error.strerror or str(error))
        known = _whole(self.folder / name)
        if known is not None and known.key == key:
            return known
        with _replacing(self.folder / name, self.folder) as part:
            record = _taken(path, key, self.rules, part)
            record.write(part / RECORD)
        return record

    def forget_others(self, names: Iterable[str]) -> None:
        """Remove the frames of films that are not there any more, and what a kill left behind."""
        kept = set(names)
        for part in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(part)
        for record in sorted(self.folder.rglob(RECORD)):
            if record.parent.relative_to(self.folder).as_posix() not in kept:
                shutil.rmtree(record.parent)

    def _key(self, path: Path) -> str:
        with path.open("rb") as file:
            film = hashlib.file_digest(file, "sha256").hexdigest()
        parts = (film, json.dumps(asdict(self.rules), sort_keys=True), code_digest(CODE))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _taken(path: Path, key: str, rules: FilmRules, folder: Path) -> FilmRecord:
    """Write a film's frames into a folder."""
    reader = Reader(path)
    try:
        choice = choose(reader.shots, rules)
    except PhotoError as error:
        return FilmRecord.unusable(key, str(error))
    frames = []
    for each in choice.frames:
        name = f"{each.at_ms:09d}ms.jpg"
        (folder / name).write_bytes(each.jpeg)
        frames.append(Frame(name, hashlib.sha256(each.jpeg).hexdigest(), each.box))
    return FilmRecord(
        key=key,
        problem="",
        kind=choice.kind,
        looked_at=choice.looked_at,
        nothing=choice.nothing,
        damaged=reader.damaged,
        frames=tuple(frames),
    )


def _whole(folder: Path) -> FilmRecord | None:
    """What is kept of a film; None if any of it is missing, damaged or of another version."""
    try:
        record = FilmRecord.read(folder / RECORD)
        digests = [hashlib.sha256((folder / f.name).read_bytes()) for f in record.frames]
    except (RecordError, OSError):
        return None
    same = all(d.hexdigest() == f.sha256 for d, f in zip(digests, record.frames, strict=True))
    return record if same else None


@contextmanager
def _replacing(folder: Path, store: Path) -> Iterator[Path]:
    """A new folder to write to; on success it takes the place of `folder`, else it is removed."""
    store.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=store))
    try:
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
