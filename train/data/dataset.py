"""The data set: where the photos come from, and a scan of all of them."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from device.contract import moments
from device.contract.folders import is_raw
from device.contract.photos import decode, read_photo
from device.contract.preprocess import Preprocessing
from device.errors import PhotoError
from train.data import folder as folders
from train.data.events.copies import detail
from train.data.flowers import fetch_flowers
from train.data.photo import Photo, thumbnail
from train.data.record import RENDERED
from train.data.rendered import render_data_set
from train.errors import DataError, DownloadError


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


def scan(folder: Path, rules: Preprocessing) -> list[Photo]:
    """Read every photo of every class folder once; skipped files are reported on stderr.

    Raises:
        DataError: as `train.data.folder.read_folder` does.
    """
    contents = folders.read_folder(folder)
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
        problem = "its name is not valid UTF-8: rename it"
        return Photo(readable, label, hashlib.sha256(b"").hexdigest(), problem=problem)
    if is_raw(path):
        problem = f"{path.suffix.lower()} files are not supported: convert it to JPEG"
        return Photo(name, label, hashlib.sha256(b"").hexdigest(), problem=problem)
    try:
        data = read_photo(path)
    except PhotoError as error:
        return Photo(name, label, hashlib.sha256(b"").hexdigest(), problem=str(error))
    digest = hashlib.sha256(data).hexdigest()
    moment = moments.read(data)
    photo = Photo(name, label, digest, collected=moment.own, moment=moment)
    try:
        picture = decode(data, rules)
        return replace(photo, thumbnail=thumbnail(picture), detail=detail(picture))
    except PhotoError as error:
        return replace(photo, problem=str(error))
