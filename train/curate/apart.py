"""Events that look like one occasion but stand apart: what the rules for events did not join.

Behind a fixed camera every photo resembles every other. So a photo is compared by what it does not
share with its surroundings: its features without the mean of the events that are most like it. What
two events have in common then is their subject, not their place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from re import findall
from typing import Any

import numpy as np
import numpy.typing as npt

from device.workstation.training import LEFT_OUT, Part
from train import columns
from train.columns import values_of, where
from train.curate.findings import APART, CONTRADICTION, COPY, Finding
from train.curate.units import numbered
from train.curate.vectors import Last, Vectors, blocks, chosen, folder_of, highest
from train.data.events.centres import MANY, alike, neighbourhoods, ordered
from train.data.events.copies import joined
from train.data.split import Row
from train.filed import Table, table

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
SORTED = 100_000
"""Links that are sorted at a time, at least."""
MOST_LINKS = 500_000
"""So many links are kept, the strongest: nobody looks at more, and memory stays bounded."""


@dataclass(frozen=True)
class Links:
    """Two photos each, by which two events look like one; a few bytes for each."""

    ends: Numbers
    """(2, m), the smaller number first."""
    cosines: Floats
    """(m,)."""

    @classmethod
    def joined(cls, parts: Sequence["Links"]) -> "Links":
        """One after the other."""
        ends = np.concatenate([np.empty((2, 0), np.int64), *(part.ends for part in parts)], axis=1)
        none = np.empty(0, np.float32)
        return cls(ends, np.concatenate([none, *(part.cosines for part in parts)]))

    def __len__(self) -> int:
        return len(self.cosines)

    def __getitem__(self, which: npt.NDArray[Any]) -> "Links":
        return Links(self.ends[:, which], self.cosines[which])

    def strongest(self, event: Numbers) -> "Links":
        """Of each two events, the one with the highest cosine; of equal ones the first."""
        keys = _keys(event, *self.ends)
        order = np.lexsort((-self.cosines, keys))
        return self[order[np.unique(keys[order], return_index=True)[1]]]

    def first(self, most: int) -> "Links":
        """At most so many, those with the highest cosines, in their order."""
        return self[np.sort(np.argsort(-self.cosines, kind="stable")[:most])]


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
    paths = values_of(kept, "path")
    found = [_finding(paths, event, group) for group in _groups(links, event)]
    known = [set(finding.paths) for finding in told if finding.kind in (COPY, CONTRADICTION)]
    found = [finding for finding in found if not any(set(finding.paths) <= one for one in known)]
    told_of = {path for finding in found for path in finding.paths}
    both = zip(paths, values_of(kept, "part"), strict=True)
    sides = {path: part for path, part in both if path in told_of}
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
    count = _count(event)
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


def _count(event: Numbers) -> int:
    return int(event.max(initial=-1)) + 1


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths.clip(1e-6), np.float32)


def _places(rows: Sequence[Row]) -> Numbers:
    """(n,), a number for each known place; -1 where it is unknown."""
    places = values_of(rows, "place")
    number = {place: i for i, place in enumerate(sorted({*places} - {""}))}
    return np.fromiter((number.get(place, -1) for place in places), np.int64, len(rows))


def _links(own: Vectors, event: Numbers, places: Numbers, near: Numbers) -> Links:
    """The strongest link of each two events that may be one; none if too many may be.

    Args:
        own: (n, channels), rows of length 1.
        event: (n,).
        places: (n,), -1 where unknown; photos of two known places are not of one occasion.
        near: keys of pairs of events that are neighbours, in order.
    """
    most = MAX_PAIRS_PER_EVENT * _count(event)
    best, more, weaker = Links.joined(()), list[Links](), 0
    for ends, like in _alike(own):
        found = Links(np.sort(ends, axis=0), like)[_may_be(ends, event, places)]
        counts = (found.cosines >= ONE_OCCASION) | _isin(_keys(event, *found.ends), near)
        more.append(found[counts].strongest(event))
        # As many at a time as there are already, so that each is sorted a few times only.
        if sum(map(len, more)) > max(len(best), SORTED):
            best, more = Links.joined((best, *more)).strongest(event), []
            weaker, best = weaker + max(0, len(best) - MOST_LINKS), best.first(MOST_LINKS)
        if weaker + len(best) > most:
            return Links.joined(())
    best = Links.joined((best, *more)).strongest(event)
    return best.first(MOST_LINKS) if weaker + len(best) <= most else Links.joined(())


def _alike(own: Vectors) -> Iterator[tuple[Numbers, Floats]]:
    """Pairs (2, m) of photos that are alike enough, and their cosines: of many, by a search."""
    if len(own) >= MANY:
        yield from alike(own, ONE_OCCASION_NEXT_TO, folder_of(own))
        return
    for start in range(0, len(own), BLOCK):
        like = own[start : start + BLOCK] @ own[start:].T
        # Few of all pairs are alike, so the rest is asked of them alone.
        lines, columns = np.nonzero(like >= ONE_OCCASION_NEXT_TO)
        later = lines < columns
        yield start + np.stack([lines, columns])[:, later], like[lines, columns][later]


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
    return np.asarray(ends[0] * _count(event) + ends[1])


def _groups(links: Links, event: Numbers) -> Iterator[Links]:
    """The links of each group of events that hang together."""
    ends = event[links.ends]
    roots = joined(np.arange(_count(event)), ends)[ends[0]]
    order = np.argsort(roots, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1):
        if len(group):
            yield links[group]


def _finding(paths: Sequence[str], event: Numbers, links: Links) -> Finding:
    """Each event of the group is shown by its photo in the strongest link."""
    shown: dict[int, int] = {}
    for i in links.ends[:, np.argsort(-links.cosines, kind="stable")].T.ravel().tolist():
        shown.setdefault(int(event[i]), i)
    score = float(links.cosines.max())
    return Finding(APART, tuple(sorted(paths[i] for i in shown.values())), min(1.0, score))


def _near(rows: Sequence[Row], event: Numbers) -> Numbers:
    """Keys of the events of neighbours, in order."""
    keys = [_keys(event, *pair) for pair in _neighbours(rows)]
    near = np.concatenate([np.empty(0, np.int64), *keys])
    # In place: very many are not in memory twice.
    near.sort()
    return near


def _neighbours(rows: Sequence[Row]) -> Iterator[tuple[Numbers, Numbers]]:
    """Photos that are close by the longest number in their names, or by their time, in pairs."""
    label = numbered(values_of(rows, "label"))
    by_class, bounds = ordered(label, _count(label))
    for members in np.split(by_class, bounds[1:-1]):
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


def _by_number(paths: Sequence[str], members: Numbers) -> Numbers:
    """Those with a number in their names, in its order."""
    own = zip(columns.chosen(paths, members), members.tolist(), strict=True)
    found = ((findall(r"[0-9]+", PurePosixPath(path).stem), i) for path, i in own)
    with_number = [(int(max(digits, key=len)), i) for digits, i in found if digits]
    return np.array([i for _, i in sorted(with_number)], np.int64)
