"""A sample of the training photos, for data sets that are larger than anybody wants to train on.

Each class gives the same number of photos, or all it has. Within a class, photos that look alike
fall into one cell, by their features, and each cell gives the same number, or all it has. So what
is rare stays, and what was photographed a thousand times is thinned out. Of a cell, one photo of
each event comes first.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from device.workstation.training import Part
from train import columns
from train.columns import values_of
from train.curate.vectors import Vectors, chosen
from train.data.events.centres import centres_of, in_cells
from train.data.sight.sighting import spread
from train.data.split import Row
from train.recipe.photos import Photos


def sampled(photos: Photos, most: int, features: Callable[[Sequence[Row]], Vectors]) -> Photos:
    """The same photos, but of the training part at most so many; all others stay.

    Args:
        photos: of all parts.
        most: photos of the training part; if it has no more, nothing is changed or computed.
        features: gives float32 (n, channels) of rows, of length 1.
    """
    rows = photos.rows[Part.TRAIN]
    if len(rows) <= most:
        return photos
    events = photos.events(Part.TRAIN)
    # In an order that depends on the photos only: names must not matter.
    keys = list(zip(values_of(rows, "sha256"), values_of(rows, "path"), strict=True))
    order = sorted(range(len(rows)), key=keys.__getitem__)
    ordered = columns.chosen(rows, np.array(order))
    seen = [replace(row, group=events[i]) for row, i in zip(ordered, order, strict=True)]
    with threadpool_limits(1, "blas"):
        kept = {row.path for row in _chosen(seen, features(seen), most)}
    taught = [row for row in rows if row.path in kept]
    return replace(photos, rows={**photos.rows, Part.TRAIN: taught}, taught_of=len(rows))


def _chosen(rows: Sequence[Row], features: Vectors, most: int) -> list[Row]:
    of_class: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        of_class[row.label].append(i)
    found: list[Row] = []
    shares = even_shares([len(each) for each in of_class.values()], most)
    for members, share in zip(of_class.values(), shares, strict=True):
        found += _of_class([rows[i] for i in members], chosen(features, np.array(members)), share)
    return found


def _of_class(rows: Sequence[Row], features: Vectors, most: int) -> list[Row]:
    if len(rows) <= most:
        return list(rows)
    cells = in_cells(features, centres_of(features))
    shares = even_shares([len(cell) for cell in cells], most)
    return [
        row
        for cell, share in zip(cells, shares, strict=True)
        for row in spread(rows[i] for i in cell.tolist())[:share]
    ]


def even_shares(sizes: Sequence[int], most: int) -> list[int]:
    """How many each group gives: the same, or all it has; together `most`, or all there are."""
    shares, left = [0] * len(sizes), most
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for place, i in enumerate(order):
        # The smaller ones come first: what they lack goes to the others.
        shares[i] = min(sizes[i], left // (len(order) - place))
        left -= shares[i]
    return shares
