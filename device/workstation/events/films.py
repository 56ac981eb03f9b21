"""Names that count the frames of one film or burst.

Most numbers in names do not: cameras number their photos, downloads and data sets are numbered
through. What tells a film apart is that its name has an identity of its own before the counter
(`clip3_0017`, `p3_e012_5`), or says that frames are counted (`frame_0017`).
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_COUNTED = re.compile(r"(.*?)[ _.\-]*\(?(?<!\d)(\d{1,9})\)?")
_BURST = re.compile(r"(\d*).*(burst\d{8,}).*")
"""Telephones number a burst's photos in front, and name the burst by its time."""
_FRAME = re.compile(r"(?:^|[^a-z])(?:frames?|frm|burst|scene|out|output|vid|video|film|movie)$")
"""A stem that ends so counts frames, whatever else is in it: also what ffmpeg and VLC write. Not
`clip` and `mov`: these number films, of each of which one picture may have been kept."""
_FILM = re.compile(r"vid|clip|film|movie|mov|mvi|scene|seq|visit|event|burst|frame")
_OWN_NUMBER = re.compile(r"([a-z]*)[^a-z0-9]*\d+[^0-9]*$")
"""A stem with a number of its own, and the word before its last number."""
_NO_FILM = re.compile(
    r"(?:cam(?:era)?|site|place|location|loc|station|trap|day|week|month|year|set|batch|part|fold"
    r"|class|cat|category|label|group|img|image|images|imag|photo|picture|pic|dsc[a-z]*|wa|page"
    r"|train|val|test|folder|dir|disk|card|dcim|version|v|size|px|copy)"
)
"""Words before a number that counts cameras, days, classes or folders, each with many events."""
_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[ ._-]?[01]\d[ ._-]?[0-3]\d(?!\d)")
_TIME_OF_DAY = re.compile(r"[ ._t-]+(?:at )?[0-2]\d[ ._:-]?[0-5]\d[ ._:-]?[0-5]\d(?!\d)")
_NUMBERED = re.compile(r"(.*?)(\d{1,18})(\D*)")
_CAMERA_FOLDER = re.compile(r"\d{3}[_-]?(?:[a-z]{2,5})?")
"""Cameras' own names, as `100_0017` and `101MSDCF`."""
_MOST_MISSING = 4
"""At least one in so many of the numbers between the first and the last frame must be there: films
are thinned out, but numbers drawn from a large set are sparse."""

Frames = list[tuple[int, int]]
"""The number of each frame, and which photo it is."""


@dataclass(frozen=True)
class Film:
    """Photos whose names count frames."""

    members: tuple[int, ...]
    """Indices of the photos, in the order of their counter."""
    family: str
    """The same for films that are named alike; their names are right or wrong together."""


def films(paths: Sequence[str]) -> list[Film]:
    """Photos that are frames of one film as far as their names say.

    Pictures should confirm it: some data sets number the photos of each kind separately.

    Args:
        paths: relative to the data folder, with forward slashes.
    """
    counted: dict[str, dict[str, Frames]] = defaultdict(lambda: defaultdict(list))
    for i in _of_several(paths):
        folder, _, name = paths[i].rpartition("/")
        if parsed := _parsed(name):
            counted[parsed[0]][folder].append((parsed[1], i))
    found = []
    for stem, by_folder in sorted(counted.items()):
        for frames in _by_film(stem, by_folder):
            if len(frames) > 1 and (_FILM.search(stem) or _is_dense([n for n, _ in frames])):
                family = re.sub(r"\d+", "#", stem)
                found.append(Film(tuple(i for _, i in frames), family))
    return found


def next_numbers(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of photos in one folder whose names differ by one in their last number.

    It says little by itself: cameras number their photos, but so do those who collect them.

    Args:
        paths: relative to the data folder, with forward slashes.
    """
    counted: dict[tuple[str, str], Frames] = defaultdict(list)
    for i, path in enumerate(paths):
        match = _NUMBERED.fullmatch(path.rpartition(".")[0])
        if match:
            counted[match[1], match[3]].append((int(match[2]), i))
    return [
        (i, j)
        for _, frames in sorted(counted.items())
        for (before, i), (after, j) in pairwise(sorted(frames))
        if after == before + 1
    ]


def _of_several(paths: Sequence[str]) -> list[int]:
    """Photos whose film's name may be that of another, too: of single ones nothing is kept."""
    names = (_parsed(path.rpartition("/")[2]) for path in paths)
    # No text has a hash of -1.
    stems = np.fromiter((hash(name[0]) if name else -1 for name in names), np.int64, len(paths))
    _, which, counts = np.unique(stems, return_inverse=True, return_counts=True)
    found: list[int] = np.flatnonzero((stems != -1) & (counts[which] > 1)).tolist()
    return found


def _parsed(file: str) -> tuple[str, int] | None:
    """The film that a file belongs to and its frame's number; None if it names no film."""
    name = file.rpartition(".")[0].lower()
    burst = _BURST.fullmatch(name)
    if burst:
        return burst[2], int(burst[1] or 0)
    match = _COUNTED.fullmatch(name)
    if not match:
        return None
    stem, counter = match[1], int(match[2])
    date = _DATE.search(name)
    if date and not _FRAME.search(stem):
        time = _TIME_OF_DAY.match(name, date.end())
        # A date with a counter numbers the photos of a day; the time itself counts nothing.
        return (stem, counter) if time and time.end() <= len(stem) else None
    return (stem, counter) if _FRAME.search(stem) or _has_identity(stem) else None


def _has_identity(stem: str) -> bool:
    own = _OWN_NUMBER.search(stem)
    return bool(own and not _NO_FILM.fullmatch(own[1]) and not _CAMERA_FOLDER.fullmatch(stem))


def _by_film(stem: str, by_folder: dict[str, Frames]) -> list[Frames]:
    """The frames of one stem: one film, whose frames were sorted into folders, or one per folder.

    Films that only happen to have one name in two folders have some numbers in both.
    """
    separate = [sorted(frames) for _, frames in sorted(by_folder.items())]
    together = sorted(frame for frames in separate for frame in frames)
    numbers = {number for number, _ in together}
    ends = sorted((frames[0][0], frames[-1][0]) for frames in separate)
    mixed = any(last >= start for (_, last), (start, _) in pairwise(ends))
    one = len(numbers) == len(together) and (mixed or _has_identity(stem))
    return [together] if one else separate


def _is_dense(numbers: Sequence[int]) -> bool:
    """Whether numbers leave out few, or are regular because every k-th frame was kept."""
    steps = [b - a for a, b in pairwise(numbers) if b > a]
    unit = math.gcd(*steps) if len(steps) > 2 else 1
    return bool(steps) and sum(steps) <= _MOST_MISSING * unit * len(steps)
