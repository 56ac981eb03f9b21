"""The data set: where the photos come from, and a scan of all of them."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console

from device.contract import moments
from device.contract.arrays import Box
from device.contract.folders import is_raw
from device.contract.photos import decode
from device.contract.preprocess import Preprocessing
from device.contract.provenance import OTHER
from device.errors import PhotoError
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
from device.workstation.photo_files import PhotoFiles, Source
from device.workstation.shards.index import Shards
from train.data import folder as folders
from train.data.films import found
from train.data.films.found import BAD_NAME, Film, readable
from train.data.films.kept import KeptFilms
from train.data.flowers import fetch_flowers
from train.data.looks import Looks, Small
from train.data.photo import SILENT, Photo, together
from train.data.record import RENDERED
from train.data.rendered import render_data_set
from train.data.shards.records import read_shards
from train.errors import DataError, DownloadError

PROBED = 8
"""Photos of which a node of a cluster must be able to read one: else all would be left out."""
NO_BYTES = hashlib.sha256(b"").hexdigest()
"""The digest of what was not read."""


def locate(data: str | None, store: Path) -> Path:
    """The folder to train on.

    `data` if given; else `store`/flower_photos; else the official flowers, if they can be
    fetched; else pictures that the project renders itself. Pictures rendered earlier do not replace
    the official flowers: without DATA= these are requested each time.

    Raises:
        DataError: if `data` is not a folder.
    """
    if data and data != RENDERED:
        # make passes DATA= on as it is: no shell has expanded a "~".
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
            f"To try the official ones again: remove {rendered}, then run `make`.",
            highlight=False,
            markup=False,
        )
    render_data_set(rendered)
    return rendered


def scan(
    source: Source,
    rules: Preprocessing,
    kept: KeptFilms | None = None,
    tell: Callable[[str], None] = lambda note: None,
    looks: Looks | None = None,
) -> Sequence[Photo]:
    """Read every photo and film of every class folder and of `OTHER`, whose label that then is.

    Skipped files, and films of `OTHER`, are reported on stderr.

    Args:
        source: a folder of class folders, or shards.
        rules: of preprocessing.
        kept: where frames of films are kept; None: films are skipped, too.
        tell: gets a line for each thing that the user should know of the films.
        looks: where photos in small are kept; None: in memory.

    Raises:
        DataError: as `train.data.folder.read_folder` does.
        StoreError: if shards or a bucket cannot be read.
        OSError: if frames of films, or photos in small, cannot be written.
    """
    console = Console(stderr=True)
    files, films = _listed(source, kept, console)
    for note in found.notes([film for film in films if film.label != OTHER]):
        tell(note)
    # What is told is written down beside what trains, which strangers must not change.
    for note in found.notes([film for film in films if film.label == OTHER]):
        console.print(f"{OTHER}, {note}", highlight=False, markup=False, soft_wrap=True)
    stored = PhotoFiles(source, kept.folder if films and kept else None)
    task = _Reading(stored, rules)
    probe = partial(_probe, stored, [file.path for file in files[:PROBED]])
    key = partial(_key, task, files)
    read = done(Work(task, files, "reading photos", key, probe=probe))
    # Closed at once if looks cannot be kept, so that no bar is printed below the error.
    with closing(read):
        unusable = (_unusable(film) for film in films if film.record.problem)
        if looks is None:
            return [*read, *unusable]
        kept_looks = (_kept(photo, looks) for photo in read)
        return together(chain(kept_looks, unusable), looks.folder)


def _listed(
    source: Source, kept: KeptFilms | None, console: Console
) -> "tuple[list[_File], list[Film]]":
    """All files with pictures, and the films. What was found of the folder is gone afterwards."""
    if isinstance(source, Shards):
        # Their paths are relative already, and there are no films among them.
        contents, folder = read_shards(source, console), Path()
    else:
        contents, folder = folders.read_folder(source), source
    for note in (*contents.notes, *([] if kept else found.skipped(contents.films))):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    films = found.read_films(folder, contents.films, kept, console) if kept else []
    files = [_File.of(folder, *each) for each in (*contents.photos, *contents.raw)]
    files += (frame for film in films for frame in _frames(film))
    return files, films


def _kept(photo: Photo, looks: Looks) -> Photo:
    """With its look in the file, and without what it repeats of others: they may be very many."""
    look, moment = photo.look, photo.moment
    return replace(
        photo,
        label=sys.intern(photo.label),
        look=looks.keep(look) if isinstance(look, Small) else look,
        moment=replace(moment, camera=sys.intern(moment.camera)) if moment != SILENT else SILENT,
    )


@dataclass(frozen=True, slots=True)
class _File:
    """A file with a picture."""

    path: str
    """As in `split.csv`."""
    label: str
    film: str = ""
    box: Box | None = None

    @classmethod
    def of(cls, folder: Path, file: Path, label: str) -> "_File":
        return cls(file.relative_to(folder).as_posix(), label)


def _frames(film: Film) -> Iterator[_File]:
    for frame in film.record.frames:
        path = f"{film.path}/{frame.name}"
        yield _File(path, film.label, film.path, frame.box)


def _unusable(film: Film) -> Photo:
    return Photo(readable(film.path), film.label, NO_BYTES, problem=film.record.problem)


@dataclass(frozen=True)
class _Reading:
    """The task of reading files."""

    files: PhotoFiles
    rules: Preprocessing

    def setup(self) -> Callable[[_File], Photo]:
        return partial(_read, self.files, self.rules)


def _probe(files: PhotoFiles, paths: Sequence[str]) -> None:
    """Raise a DataError unless one of some photos can be read: here the folder may be missing."""
    said = ""
    for path in paths:
        try:
            files.start(path, 1)
            return
        except PhotoError as error:
            said = said or f"{files.shown(path)}: {error}"
    raise DataError(f"{said}: DATA= must be readable at the same path on every node")


def _key(task: _Reading, files: Sequence[_File]) -> str:
    """Of what reading the files gives: another if one of them was changed."""
    digest = hashlib.sha256(repr(task).encode("utf-8", "surrogateescape"))
    for file in files:
        state = task.files.state(file.path)
        digest.update(f"{file} {state}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _read(files: PhotoFiles, rules: Preprocessing, file: _File) -> Photo:
    path, label = file.path, file.label
    if readable(path) != path:
        return Photo(readable(path), label, NO_BYTES, problem=BAD_NAME)
    if is_raw(Path(path)):
        problem = f"{Path(path).suffix.lower()} files are not supported: convert it to JPEG"
        return Photo(path, label, NO_BYTES, problem=problem)
    try:
        data = files.read(path)
    except PhotoError as error:
        return Photo(path, label, NO_BYTES, problem=str(error))
    digest = hashlib.sha256(data).hexdigest()
    moment = moments.read(data)
    photo = Photo(
        path, label, digest, collected=moment.own, moment=moment, film=file.film, box=file.box
    )
    try:
        picture = decode(data, rules)
        return replace(photo, look=Small.of(picture))
    except PhotoError as error:
        return replace(photo, problem=str(error))
