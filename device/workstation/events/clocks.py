"""Photos that one camera took shortly after one another, and clocks that cannot tell it.

Clocks of cameras without a battery start at 1970 or at their factory's date, stand still, or are
set back. Such times join photos of different occasions: they are no evidence, and a line says so.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.moments import Moment
from device.workstation.wording import number

Numbers = npt.NDArray[np.int64]

EVENT_S = 60.0
"""Photos of one camera with at most this many seconds between them are one event."""
MOST_A_SECOND = 12
"""More photos of one camera with the very same time: its clock stands still, or it took a burst and
wrote no fractions of a second."""
MOST_A_BURST = 60
"""No camera takes more photos within a second."""
MOST_IN_ONE_BURST = 0.3
"""Share of a camera's photos. A clock that stands still, or starts again at one date, gives more of
them nearly the same time; bursts are spread."""
HOUR_S, DAY_S, YEAR_S = 3600, 86_400, 365.2425 * 86_400
FIRST_YEAR, LAST_YEAR = 1990, 2100
_COUNTER = re.compile(r"(.*?)(\d{3,8})")
_FEW_TURNS = 0.02
"""Share of a camera's photos at which the clock may go back. More often than that, it is the file
names that are not in the order of time."""
_LEAST_IN_ORDER = 12
_MOST_AT_MIDNIGHT = 0.01
"""Share of a camera's photos at midnight to the second, up to which its times have hours: a night
with a photo each second has one at midnight."""


@dataclass(frozen=True)
class Clocks:
    """Times that can be relied on, in the order of the photos."""

    seconds: npt.NDArray[np.float64]
    """(n,), comparable among photos of one `camera`; NaN: unknown, or no evidence."""
    camera: Numbers
    """(n,), a number for each stretch of time of each camera; -1 without `seconds`."""
    unique: npt.NDArray[np.bool_]
    """(n,), whether `camera` is one camera, not all those of its model."""
    notes: tuple[str, ...]
    """A line for each camera and kind of time that is no evidence."""


def judged(paths: Sequence[str], moments: Sequence[Moment]) -> Clocks:
    """Which times are evidence of when the photos were taken.

    Args:
        paths: (n,), relative to the data folder, with forward slashes.
        moments: (n,), what each of the photos says.
    """
    seconds = _in_one_zone(moments)
    names = [moment.camera for moment in moments]
    notes = []
    for camera, members in _members(names, np.isfinite(seconds)).items():
        for reason, bad in _no_evidence(seconds[members]):
            seconds[members[bad]] = np.nan
            if bad.any():
                notes.append(f"{_of(camera)} {reason}: {number(int(bad.sum()), 'photo')}")
    stretch = np.zeros(len(names), np.int64)
    for camera, members in _members(names, np.isfinite(seconds)).items():
        stretch[members] = _stretches([paths[i] for i in members.tolist()], seconds[members])
        if stretch[members].any():
            said = f"was set back {_times(stretch[members].max())} (file numbers go on)"
            notes.append(f"{_of(camera)} {said}: {number(len(members), 'photo')}")
    camera_of = numbered(zip(names, stretch.tolist(), strict=True))
    camera_of[~np.isfinite(seconds)] = -1
    unique = np.array([moment.unique for moment in moments], bool)
    return Clocks(seconds, camera_of, unique, tuple(notes))


def _of(camera: str) -> str:
    return f"the clock of {camera!r}" if camera else "the clock of an unnamed camera"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _members(names: Sequence[str], known: npt.NDArray[np.bool_]) -> dict[str, Numbers]:
    """For each camera, which of its photos have a time."""
    found = defaultdict(list)
    for i in np.flatnonzero(known).tolist():
        found[names[i]].append(i)
    return {name: np.array(members) for name, members in sorted(found.items())}


def _in_one_zone(moments: Sequence[Moment]) -> npt.NDArray[np.float64]:
    """Seconds; in UTC for a camera of which all photos say their time zone."""
    silent = {m.camera for m in moments if m.seconds is not None and m.offset_s is None}
    return np.array(
        [
            np.nan
            if m.seconds is None
            else m.seconds - (0 if m.camera in silent else m.offset_s or 0)
            for m in moments
        ],
        np.float64,
    )


def _no_evidence(seconds: npt.NDArray[np.float64]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Reasons and the photos, of one camera, whose time they make useless."""
    years = 1970 + seconds / YEAR_S
    known = (years >= FIRST_YEAR) & (years < LAST_YEAR)
    first_hour = _since_new_year(seconds) < HOUR_S
    midnight = ~first_hour & (seconds % DAY_S == 0)
    noon = seconds % DAY_S == DAY_S / 2
    date_only = (midnight & (midnight.mean() > _MOST_AT_MIDNIGHT)) | (
        noon & (noon.mean() > 1 / 2) & (len(seconds) > 2)
    )
    usual = known & ~first_hour & ~date_only
    standing = usual & np.isin(seconds, _standing(seconds[usual], len(seconds)))
    return [
        ("was never set (an impossible year)", ~known),
        ("started at a factory's date (the first hour of a year)", known & first_hour),
        ("gives a date without a time", known & date_only),
        (f"stands still (more than {MOST_A_SECOND} photos at one time)", standing),
    ]


def _standing(seconds: npt.NDArray[np.float64], photos: int) -> npt.NDArray[np.float64]:
    """The times at which the clock of a camera with so many photos stands still."""
    times, counts = np.unique(seconds, return_counts=True)
    crowded = counts > MOST_A_SECOND
    times, counts = times[crowded], counts[crowded]
    near = np.cumsum(np.diff(times, prepend=-np.inf) > EVENT_S)
    share = np.bincount(near, counts, minlength=1)[near] / photos
    return np.asarray(times[(counts > MOST_A_BURST) | (share > MOST_IN_ONE_BURST)])


def _since_new_year(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    whole = np.floor(seconds).astype("datetime64[s]")
    since = seconds - whole.astype("datetime64[Y]").astype("datetime64[s]").astype(np.float64)
    return np.asarray(since, np.float64)


def _stretches(paths: Sequence[str], seconds: npt.NDArray[np.float64]) -> Numbers:
    """(n,): 0, and one more from each photo on at which the clock went back.

    Files whose numbers go on while their times go back were taken by a clock that was set back. It
    matters only where the same times come twice.
    """
    none = np.zeros(len(paths), np.int64)
    counters = [_COUNTER.fullmatch(path.rpartition("/")[2].rpartition(".")[0]) for path in paths]
    prefixes = Counter(match[1] for match in counters if match)
    if not prefixes or prefixes.most_common(1)[0][1] < max(_LEAST_IN_ORDER, len(paths) / 2):
        return none
    prefix = prefixes.most_common(1)[0][0]
    rows = [i for i, match in enumerate(counters) if match and match[1] == prefix]
    rows.sort(key=lambda i: (int((counters[i] or "")[2]), seconds[i]))
    in_order = seconds[rows]
    back = np.flatnonzero(np.diff(in_order) < 0) + 1
    if not len(back) or len(back) > max(1, _FEW_TURNS * len(rows)) or _is_turned(in_order, back):
        return none
    none[rows] = np.searchsorted(back, np.arange(len(rows)), side="right")
    return none


def _is_turned(in_order: npt.NDArray[np.float64], back: Numbers) -> bool:
    """Whether numbers only began again at 1: the times before and after do not overlap."""
    return len(back) == 1 and bool(in_order[-1] < in_order[0])


def shortly_after(
    paths: Sequence[str], clocks: Clocks, places: Numbers, event_s: float = EVENT_S
) -> Numbers:
    """Pairs (2, m) of photos of one camera with at most `event_s` seconds between them.

    Without a serial number all cameras of a model look like one. Then photos count as of one camera
    if they lie in one folder, and as of two if they show different places.

    Args:
        paths: (n,), as for `judged`.
        clocks: of these photos.
        places: (n,), the same number for photos of one place; -1: unknown.
        event_s: see `EVENT_S`.
    """
    folders = numbered(path.rpartition("/")[0] for path in paths)
    known, unique = places >= 0, clocks.unique

    def within(rows: npt.NDArray[np.bool_], *keys: Numbers) -> Numbers:
        return _neighbours(clocks, np.flatnonzero(rows & (clocks.camera >= 0)), keys, event_s)

    same_folder = within(~unique, folders)
    unsure = ~known[same_folder].all(axis=0) if same_folder.size else np.zeros(0, bool)
    return np.concatenate(
        [within(unique), within(~unique & known, places), same_folder[:, unsure]], axis=1
    )


def _neighbours(clocks: Clocks, rows: Numbers, keys: Sequence[Numbers], event_s: float) -> Numbers:
    """Those of `rows` that follow one another in time, with one camera and the same `keys`."""
    seconds, same = clocks.seconds[rows], [clocks.camera[rows], *(key[rows] for key in keys)]
    order = np.lexsort((seconds, *same))
    near = np.diff(seconds[order]) <= event_s
    for key in same:
        near &= np.diff(key[order]) == 0
    return np.stack([rows[order[:-1]][near], rows[order[1:]][near]])


def numbered(names: Iterable[Hashable]) -> Numbers:
    """(n,), a number for each different name, in the order in which they come."""
    index: dict[Hashable, int] = {}
    return np.fromiter((index.setdefault(name, len(index)) for name in names), np.int64)
