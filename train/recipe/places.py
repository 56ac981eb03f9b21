"""The places of the training photos: their backgrounds, and which photos can exchange theirs."""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil, sqrt

import numpy as np
from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.look.rules import LookRules
from device.contract.photos import decode
from device.contract.preprocess import Preprocessing
from device.workstation.training import Part
from train.data.augment import view
from train.data.listed import listed
from train.data.sight.sighting import MIN_FRAMES, Sighting, look_at, spread
from train.data.split import Row
from train.recipe.photos import Photos
from train.views.backgrounds import background, lights, small
from train.views.exchange import Standing, exchanged

MAX_FRAMES = 25
"""A background is the median of at most this many frames, as evenly from all events as possible."""
MAX_PIXELS = 1_000_000
"""Frames are shrunk to at most about this many pixels for it."""
MAX_PLACES = 64
"""Backgrounds are kept in memory, 3 MB each; with more places those with most photos are taken."""
LEAST_CLEAR = 0.5
"""With a subject in fewer of a place's photos than this, its camera probably moved."""


@dataclass(frozen=True)
class Exchange:
    """What views need to exchange backgrounds; empty where no places are known."""

    backgrounds: Sequence[Pixels] = ()
    places: Sequence[str] = ()
    """Of the backgrounds."""
    standing: Mapping[str, Standing] = field(default_factory=dict)
    """By path, for the photos whose subject was found."""

    def view(
        self,
        image: Image.Image,
        row: Row,
        rules: Preprocessing,
        number: int,
        seed: int,
        box: Box | None = None,
    ) -> Pixels:
        """View `number` of an upright RGB photo; a photo that is not `standing` keeps its own.

        The photo is cut to `box`, if it is given.

        Every second view exchanges the background. View 0 is always the photo as the device
        prepares it, and its like keep what helps at the places that are known.

        Returns:
            uint8 (height_px, width_px, 3).
        """
        standing = self.standing.get(row.path)
        if number % 2 == 0 or standing is None:
            return view(image, rules, number, seed, box)
        return exchanged(image, standing, self.backgrounds, rules, (seed, number), box)


def read_exchange(photos: Photos, rules: Preprocessing) -> Exchange:
    """Look for backgrounds and subjects in the training part, and say in a line what was found.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    exchange, clear = find_exchange(photos, rules)
    if places := set(photos.places(Part.TRAIN)) - {""}:
        count, shown = len(photos.rows[Part.TRAIN]), len(exchange.standing)
        print(
            f"views: {shown} of {count} training photos are shown before other backgrounds "
            f"({clear} of {len(places)} places have a clear one, at least 2 are needed); "
            f"{count - shown} keep their own",
            file=sys.stderr,
        )
    return exchange


def find_exchange(photos: Photos, rules: Preprocessing) -> tuple[Exchange, int]:
    """Backgrounds and subjects in the training part, and how many places have a clear background.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    known = ((row, photos.occasions[row.path]) for row in photos.rows[Part.TRAIN])
    rows = [replace(row, group=each.event, place=each.place) for row, each in known if each.place]
    standing: dict[str, Standing] = {}
    beside: set[str] = set()
    for found in look_at(photos.files, rows, LookRules()):
        seen = {path: each for path, each in found.items() if isinstance(each, Sighting)}
        standing |= {path: Standing.of(each) for path, each in seen.items()}
        # A device may have noted another subject: its box would show the new background alone.
        beside |= {p for p, each in seen.items() if not _holds(photos.cuts.get(p), each.box)}
    clear = _clear(rows, standing)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(partial(_background, photos, rules), clear.values()))
    backgrounds = {name: each for name, each in zip(clear, made, strict=True) if each is not None}
    if len(backgrounds) < 2:
        return Exchange(), len(backgrounds)
    shown = [row.path for name in backgrounds for row in clear[name]]
    usable = standing.keys() - beside
    standing = {path: standing[path] for path in shown if path in usable}
    return Exchange(list(backgrounds.values()), tuple(backgrounds), standing), len(backgrounds)


def _holds(cut: Box | None, box: Box) -> bool:
    """Whether a cut photo shows the middle of a box; a whole one does."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return cut is None or (cut[0] <= x < cut[2] and cut[1] <= y < cut[3])


def _clear(rows: Iterable[Row], standing: Container[str]) -> dict[str, list[Row]]:
    """The photos of the largest places in most of whose photos a subject was found."""
    places: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        places[row.place].append(row)
    clear = [
        name
        for name, each in places.items()
        if sum(row.path in standing for row in each) >= LEAST_CLEAR * len(each)
    ]
    largest = sorted(clear, key=lambda name: (-len(places[name]), name))[:MAX_PLACES]
    return {name: places[name] for name in sorted(largest)}


def _background(photos: Photos, rules: Preprocessing, rows: Sequence[Row]) -> Pixels | None:
    """The background of a place from frames of the most common size; None if these are too few."""
    sizes, frames = [], []
    for row in spread(rows)[:MAX_FRAMES]:
        # Shrunk before the next one is read: 25 pictures of 24 megapixels would take 2 GB.
        image = _read(photos, rules, row)
        sizes.append(image.size)
        frames.append(_shrunk(image))
    size, count = Counter(sizes).most_common(1)[0]
    if count < MIN_FRAMES:
        return None
    images = [frame for frame, of_frame in zip(frames, sizes, strict=True) if of_frame == size]
    of_light = lights([small(image) for image in images])
    return background([np.asarray(image) for image in images], of_light)


def _read(photos: Photos, rules: Preprocessing, row: Row) -> Image.Image:
    with listed(photos.files, row.path, row.sha256) as data:
        return decode(data, rules)


def _shrunk(image: Image.Image) -> Image.Image:
    factor = ceil(sqrt(image.width * image.height / MAX_PIXELS))
    return image.reduce(factor) if factor > 1 else image
