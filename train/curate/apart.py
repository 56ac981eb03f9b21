"""Events that look like one occasion but stand apart: what the rules for events did not join.

Behind a fixed camera every photo resembles every other. So a photo is compared by what it does not
share with its surroundings: its features without the mean of the events that are most like it. What
two events have in common then is their subject, not their place.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from re import findall

import numpy as np
import numpy.typing as npt

from device.workstation.training import LEFT_OUT, Part
from train import columns
from train.columns import values_of, where
from train.curate.findings import APART, CONTRADICTION, COPY, Finding
from train.curate.units import numbered
from train.curate.vectors import Last, Vectors, blocks, chosen, folder_of, highest
from train.data.events.centres import MANY, neighbourhoods, ordered
from train.data.events.copies import joined
from train.data.events.filed import Table, table
from train.data.split import Row

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

SURROUNDINGS = slice(3, 13)
"""Which of the most similar events are a photo's surroundings. The first three are not: they may be
pieces of its own event."""
ONE_OCCASION = 0.65
"""Cosine from which two events count as one occasion. Over two rendered worlds of fixed cameras it
finds all events that were cut in two and 90% of the photos if each frame stands alone, with at most
2 of 4,000 other pairs; of 3,263 flowers 52 pairs, nearly all of one session."""
ONE_OCCASION_NEXT_TO = 0.55
"""The same for events that are neighbours by the number in their names or by their time."""
NAME_STEPS = 3
"""Photos of one class at most this many places apart by number are neighbours: cameras count."""
NEXT_TO_S = 600.0
"""Photos at most this far apart by their clocks are neighbours."""
MAX_PAIRS_PER_EVENT = 5
"""With more, the pictures are too much alike to say anything."""
BLOCK = 512


@dataclass(frozen=True)
class Link:
    """The two photos by which two events look like one."""

    first: int
    second: int
    cosine: float


def events_apart(
    rows: Sequence[Row], features: Vectors, told: Sequence[Finding] = ()
) -> list[Finding]:
    """Groups of events that may be one occasion, with one photo of each event.

    Those in different parts come first, and among them those with a test photo; then the most
    alike.

    Args:
        rows: of the photos; those that are left out do no harm and are not compared.
        features: float32 (n, channels), rows of length 1.
        told: other findings; what is wholly in one copy or contradiction is not told again.
    """
    used = where(part != LEFT_OUT for part in values_of(rows, "part"))
    kept = columns.chosen(rows, used)
    event = numbered(values_of(kept, "group"))
    own = _own(chosen(features, used), event)
    links = _links(own, event, _places(kept), _near(kept, event))
    found = [_finding(kept, event, group) for group in _groups(links, event)]
    known = [set(finding.paths) for finding in told if finding.kind in (COPY, CONTRADICTION)]
    found = [finding for finding in found if not any(set(finding.paths) <= one for one in known)]
    told_of = {path for finding in found for path in finding.paths}
    sides = {row.path: row.part for row in kept if row.path in told_of}
    return sorted(found, key=lambda f: (*_harmless({sides[p] for p in f.paths}), -f.score, f.paths))


def _harmless(parts: set[str]) -> tuple[bool, bool]:
    return len(parts) < 2, Part.TEST not in parts


def _own(features: Vectors, event: Numbers) -> Vectors:
    """Each photo's features without those of its surroundings, of length 1."""
    means, folder = _means(features, event), folder_of(features)
    # One cell after the other, as they are found; where each photo is comes with them.
    rest, place, done = table(features.shape, np.float32, folder), np.empty(len(features), int), 0
    last = Last(means)
    for rows, near in _compared(features, means):
        found, like_those = features[rows], last[near]
        like = found @ like_those.T
        like[event[rows, None] == near] = -2.0
        nearest = highest(like, min(len(means) - 1, SURROUNDINGS.stop))
        # Among few events the surroundings are all the others.
        around = nearest[:, SURROUNDINGS] if len(means) > SURROUNDINGS.stop else nearest
        found = found - (like_those[around].mean(axis=1) if around.size else 0)
        rest[done : done + len(rows)] = _unit(found)
        place[rows], done = np.arange(done, done + len(rows)), done + len(rows)
    return chosen(rest, place)


def _means(features: Vectors, event: Numbers) -> Table:
    """The mean of each event's features, of length 1."""
    count = int(event.max(initial=-1)) + 1
    means = table((count, features.shape[1]), np.float32, folder_of(features))
    order, bounds = ordered(event, count)
    for part in blocks(count):
        sums = np.zeros((part.stop - part.start, features.shape[1]), np.float32)
        photos = order[bounds[part.start] : bounds[part.stop]]
        for some in blocks(len(photos)):
            rows = photos[some]
            np.add.at(sums, event[rows] - part.start, features[rows])
        means[part] = _unit(sums)
    return means


def _compared(asking: Vectors, vectors: Vectors) -> Iterator[tuple[Numbers, Numbers]]:
    """Rows that ask, and the vectors that they are compared with: of many, those nearby."""
    if len(asking) >= MANY:
        yield from neighbourhoods(asking, vectors, SURROUNDINGS.stop + 1)
        return
    for start in range(0, len(asking), BLOCK):
        yield np.arange(start, min(start + BLOCK, len(asking))), np.arange(len(vectors))


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths.clip(1e-6), np.float32)


def _places(rows: Sequence[Row]) -> Numbers:
    """(n,), a number for each known place; -1 where it is unknown."""
    places = values_of(rows, "place")
    number = {place: i for i, place in enumerate(sorted({*places} - {""}))}
    return np.fromiter((number.get(place, -1) for place in places), np.int64, len(rows))


def _links(own: Vectors, event: Numbers, places: Numbers, near: Numbers) -> list[Link]:
    """The strongest link of each two events that may be one; none if too many may be.

    Args:
        own: (n, channels), rows of length 1.
        event: (n,).
        places: (n,), -1 where unknown; photos of two known places are not of one occasion.
        near: keys of pairs of events that are neighbours, in order.
    """
    best: dict[int, Link] = {}
    last = Last(own)
    for rows, others in _compared(own, own):
        if len(own) < MANY:
            others = others[others >= rows.min()]
        like = own[rows] @ last[others].T
        # Few of all pairs are alike, so the rest is asked of them alone.
        lines, columns = np.nonzero(like >= ONE_OCCASION_NEXT_TO)
        ends = np.stack([rows[lines], others[columns]])
        may_be = _may_be(ends, event, places)
        # A search may find a pair from either end; comparing each with each finds it from both.
        may_be &= ends[0] != ends[1] if len(own) >= MANY else ends[0] < ends[1]
        first, second = np.sort(ends[:, may_be], axis=0)
        cosines, keys = like[lines, columns][may_be], _keys(event, first, second)
        for i in _strongest(cosines, keys, (cosines >= ONE_OCCASION) | _isin(keys, near)):
            link = Link(int(first[i]), int(second[i]), float(cosines[i]))
            best[int(keys[i])] = max(best.get(int(keys[i]), link), link, key=lambda x: x.cosine)
        if len(best) > MAX_PAIRS_PER_EVENT * (int(event.max()) + 1):
            return []
    return list(best.values())


def _may_be(pairs: Numbers, event: Numbers, places: Numbers) -> npt.NDArray[np.bool_]:
    """Which pairs (2, m) of photos are of two events, and not of two known places."""
    (one, other), (here, there) = event[pairs], places[pairs]
    return np.asarray((one != other) & ((here == there) | (here < 0) | (there < 0)))


def _isin(keys: Numbers, near: Numbers) -> npt.NDArray[np.bool_]:
    """Which of the keys are among some that are in order."""
    if not len(near):
        return np.zeros(len(keys), np.bool_)
    return np.asarray(near[np.searchsorted(near, keys).clip(max=len(near) - 1)] == keys)


def _keys(event: Numbers, first: Numbers, second: Numbers) -> Numbers:
    """One number for each pair of events, whichever comes first."""
    ends = np.sort(np.stack([event[first], event[second]]), axis=0)
    return np.asarray(ends[0] * (int(event.max(initial=0)) + 1) + ends[1])


def _strongest(cosines: Floats, keys: Numbers, count: npt.NDArray[np.bool_]) -> list[int]:
    """Of those that count, the one with the highest cosine for each key."""
    chosen = np.flatnonzero(count)
    chosen = chosen[np.lexsort((-cosines[chosen], keys[chosen]))]
    return [int(i) for i in chosen[np.unique(keys[chosen], return_index=True)[1]]]


def _groups(links: Sequence[Link], event: Numbers) -> list[list[Link]]:
    """The links of each group of events that hang together."""
    ends = [(int(event[link.first]), int(event[link.second])) for link in links]
    pairs = np.array(ends, np.int64).reshape(-1, 2).T
    roots = joined(np.arange(int(event.max(initial=-1)) + 1), pairs)
    groups: dict[int, list[Link]] = defaultdict(list)
    for link, (first, _) in zip(links, ends, strict=True):
        groups[int(roots[first])].append(link)
    return list(groups.values())


def _finding(rows: Sequence[Row], event: Numbers, links: Sequence[Link]) -> Finding:
    """Each event of the group is shown by its photo in the strongest link."""
    shown: dict[int, int] = {}
    for link in sorted(links, key=lambda each: -each.cosine):
        for i in (link.first, link.second):
            shown.setdefault(int(event[i]), i)
    score = max(link.cosine for link in links)
    return Finding(APART, tuple(sorted(rows[i].path for i in shown.values())), min(1.0, score))


def _near(rows: Sequence[Row], event: Numbers) -> Numbers:
    """Keys of the events of neighbours, in order."""
    keys = [_keys(event, *pair) for pair in _neighbours(rows)]
    return np.unique(np.concatenate([np.empty(0, np.int64), *keys]))


def _neighbours(rows: Sequence[Row]) -> Iterator[tuple[Numbers, Numbers]]:
    """Photos that are close by the longest number in their names, or by their time, in pairs."""
    of_class: dict[str, list[int]] = defaultdict(list)
    for i, label in enumerate(values_of(rows, "label")):
        of_class[label].append(i)
    for members in of_class.values():
        order = _by_number(values_of(rows, "path"), members)
        for step in range(1, NAME_STEPS + 1):
            yield order[:-step], order[step:]
    none = float("nan")
    seconds = (none if each is None else each for each in values_of(rows, "seconds"))
    times = np.fromiter(seconds, np.float64, len(rows))
    timed = np.flatnonzero(~np.isnan(times))
    timed = timed[np.argsort(times[timed], kind="stable")]
    close = np.diff(times[timed]) <= NEXT_TO_S
    yield timed[:-1][close], timed[1:][close]


def _by_number(paths: Sequence[str], members: Sequence[int]) -> Numbers:
    """Those with a number in their names, in its order."""
    own = zip(columns.chosen(paths, np.array(members, np.int64)), members, strict=True)
    found = ((findall(r"[0-9]+", PurePosixPath(path).stem), i) for path, i in own)
    with_number = [(int(max(digits, key=len)), i) for digits, i in found if digits]
    return np.array([i for _, i in sorted(with_number)], np.int64)
