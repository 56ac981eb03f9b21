"""The places of the training photos: their backgrounds, and which photos can exchange theirs."""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import ceil, sqrt

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from device.contract.arrays import Pixels
from device.contract.photos import decode
from device.contract.preprocess import Preprocessing
from device.workstation.training import Part
from train.data.augment import view
from train.data.listed import listed
from train.data.split import Row
from train.recipe.photos import Photos
from train.views.backgrounds import (
    MIN_EVENTS,
    MIN_FRAMES,
    Picture,
    background,
    difference,
    light,
    lights,
    small,
    subject,
)
from train.views.exchange import Standing, exchanged

MAX_FRAMES = 25
"""A background is the median of at most this many frames, as evenly from all events as possible."""
MAX_PIXELS = 1_000_000
"""Frames are shrunk to at most about this many pixels for it."""
MAX_PLACES = 64
"""Backgrounds are kept in memory, 3 MB each; with more places those with most photos are taken."""
LEAST_CLEAR = 0.5
"""With a subject in fewer of a place's photos than this, its camera probably moved."""


_Found = tuple[str, Standing | None]
"""The path of a photo and its subject; None if none stands out."""


@dataclass(frozen=True)
class Visit:
    """A training photo of a known place."""

    row: Row
    event: str


@dataclass(frozen=True)
class Exchange:
    """What views need to exchange backgrounds; empty where no places are known."""

    backgrounds: Sequence[Pixels] = ()
    places: Sequence[str] = ()
    """Of the backgrounds."""
    standing: Mapping[str, Standing] = field(default_factory=dict)
    """By path, for the photos whose subject was found."""

    def view(
        self, image: Image.Image, row: Row, rules: Preprocessing, number: int, seed: int
    ) -> Pixels:
        """View `number` of an upright RGB photo; a photo that is not `standing` keeps its own.

        Every second view exchanges the background. View 0 is always the photo as the device
        prepares it, and its like keep what helps at the places that are known.

        Returns:
            uint8 (height_px, width_px, 3).
        """
        standing = self.standing.get(row.path)
        if number % 2 == 0 or standing is None:
            return view(image, rules, number, seed)
        return exchanged(image, standing, self.backgrounds, rules, (seed, number))


@dataclass(frozen=True)
class _Place:
    """A place with a background."""

    background: Pixels
    small: Picture
    size: tuple[int, int]
    """Width and height of its photos, as decoded."""


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
    visits = _by_place(photos)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(partial(_place, photos, rules), visits.values()))
        places = {name: each for name, each in zip(visits, made, strict=True) if each is not None}
        asked = [(visit, place) for name, place in places.items() for visit in visits[name]]
        # A task for each photo: Ctrl-C waits for the photo that is read, not for its whole place.
        found = pool.map(partial(_standing, photos, rules), asked)
        subjects = dict(_shown(found, len(asked)))
    standing = {path: each for path, each in subjects.items() if each is not None}
    clear = [name for name in places if _is_clear(visits[name], standing)]
    if len(clear) < 2:
        return Exchange(), len(clear)
    shown = [visit.row.path for name in clear for visit in visits[name]]
    return Exchange(
        [places[name].background for name in clear],
        tuple(clear),
        {path: standing[path] for path in shown if path in standing},
    ), len(clear)


def _shown(found: Iterable[_Found], photos: int) -> Iterable[_Found]:
    """The same, with a progress bar; without one if there are no photos."""
    name, console = f"{'looking for subjects':24}", Console(stderr=True)
    return track(found, name, total=photos, console=console, disable=not photos)


def _is_clear(visits: Sequence[Visit], standing: Mapping[str, Standing]) -> bool:
    """Whether the subject of most photos of a place was found."""
    found = sum(visit.row.path in standing for visit in visits)
    return found >= LEAST_CLEAR * len(visits)


def _by_place(photos: Photos) -> dict[str, list[Visit]]:
    """The visits to the places that have enough frames and events for a background."""
    visits: dict[str, list[Visit]] = defaultdict(list)
    part = Part.TRAIN
    for row, event, place in zip(
        photos.rows[part], photos.events(part), photos.places(part), strict=True
    ):
        if place:
            visits[place].append(Visit(row, event))
    enough = {
        name: each
        for name, each in sorted(visits.items())
        if len(each) >= MIN_FRAMES and len({visit.event for visit in each}) >= MIN_EVENTS
    }
    largest = sorted(enough, key=lambda name: -len(enough[name]))[:MAX_PLACES]
    return {name: enough[name] for name in sorted(largest)}


def spread(visits: Iterable[Visit]) -> list[Visit]:
    """Visits in an order in which each event comes once before any comes a second time."""
    seen: Counter[str] = Counter()
    numbered = []
    for visit in sorted(visits, key=lambda visit: visit.row.sha256):
        numbered.append((seen[visit.event], visit))
        seen[visit.event] += 1
    return [visit for _, visit in sorted(numbered, key=lambda pair: pair[0])]


def _place(photos: Photos, rules: Preprocessing, visits: Sequence[Visit]) -> _Place | None:
    """The background of a place from frames of the most common size; None if these are too few."""
    sizes, frames = [], []
    for visit in spread(visits)[:MAX_FRAMES]:
        # Shrunk before the next one is read: 25 pictures of 24 megapixels would take 2 GB.
        image = _read(photos, rules, visit)
        sizes.append(image.size)
        frames.append(_shrunk(image))
    size, count = Counter(sizes).most_common(1)[0]
    if count < MIN_FRAMES:
        return None
    images = [frame for frame, of_frame in zip(frames, sizes, strict=True) if of_frame == size]
    of_light = lights([small(image) for image in images])
    pixels = background([np.asarray(image) for image in images], of_light)
    return _Place(pixels, small(Image.fromarray(pixels)), size)


def _read(photos: Photos, rules: Preprocessing, visit: Visit) -> Image.Image:
    with listed(photos.path(visit.row), visit.row.sha256) as data:
        return decode(data, rules)


def _shrunk(image: Image.Image) -> Image.Image:
    factor = ceil(sqrt(image.width * image.height / MAX_PIXELS))
    return image.reduce(factor) if factor > 1 else image


def _standing(photos: Photos, rules: Preprocessing, asked: tuple[Visit, _Place]) -> _Found:
    """The path of a photo, and its subject if that stands out from the background of its place."""
    visit, place = asked
    image = _read(photos, rules, visit)
    if image.size != place.size:
        return visit.row.path, None
    picture = small(image)
    found = subject(difference(picture, place.small))
    standing = None if found is None else Standing(found, light(picture, place.small))
    return visit.row.path, standing
