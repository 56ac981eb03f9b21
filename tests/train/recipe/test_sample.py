"""Promises of the sample that a very large set is trained on: even, and the same in any order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.events.listed import Occasion
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from device.workstation.wording import sampled as told
from train.data.events import centres
from train.data.split import Row
from train.recipe.photos import Photos
from train.recipe.sample import even_shares, sampled

SIZES = {"ant": 400, "bee": 60, "cow": 2000}
RARE = 20
"""Of the cows, that look otherwise than all others."""


def rows() -> list[Row]:
    """Cows of 500 events; all others are events of their own."""
    made = []
    for label, size in SIZES.items():
        for i in range(size):
            digest = sha256(f"{label}{i}".encode()).hexdigest()
            event = f"herd {i % 500}" if label == "cow" else digest[:12]
            made.append(Row(f"{label}/{i}.jpg", label, "train", digest, event, ""))
    return made


def photos(of: Sequence[Row]) -> Photos:
    parts = {Part.TRAIN: of, Part.VAL: of[:3], Part.TEST: of[3:6]}
    occasions = {row.path: Occasion(row.group, "") for row in of}
    return Photos(PhotoFiles(Path()), tuple(SIZES), parts, occasions)


def features(of: Sequence[Row]) -> Any:
    """Of each photo its own, whatever is asked with it; rare ones lie apart."""
    made = []
    for row in of:
        own = np.random.default_rng(int(row.sha256[:8], 16)).normal(0, 0.05, 16)
        own[0 if not is_rare(row) else 1] += 1
        made.append(own / np.linalg.norm(own))
    return np.array(made, np.float32)


def is_rare(row: Row) -> bool:
    return row.label == "cow" and int(row.path[4:-4]) < RARE


@pytest.fixture(autouse=True)
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centres, "IN_A_CELL", 100)


def test_a_sample_is_even_in_classes_and_keeps_what_is_rare() -> None:
    whole = photos(rows())
    found = sampled(whole, 600, features)
    taught = found.rows[Part.TRAIN]
    assert len(taught) == 600 and found.taught_of == sum(SIZES.values())
    assert Counter(row.label for row in taught) == {"ant": 270, "bee": 60, "cow": 270}
    assert sum(map(is_rare, taught)) > 2 * RARE * 270 / 2000
    assert found.rows[Part.VAL] == whole.rows[Part.VAL]
    assert found.rows[Part.TEST] == whole.rows[Part.TEST]


def test_an_event_gives_a_second_photo_only_when_all_others_gave_one() -> None:
    of = [replace(row, group=f"herd {i % 500}") for i, row in enumerate(rows()[-2000:])]
    one_look = np.eye(1, 16, dtype=np.float32)
    found = sampled(photos(of), 700, lambda asked: np.repeat(one_look, len(asked), axis=0))
    events = Counter(row.group for row in found.rows[Part.TRAIN])
    assert len(events) == 500 and set(events.values()) == {1, 2}


def test_a_sample_is_the_same_in_any_order_and_stays_in_the_order_of_the_split() -> None:
    of = rows()
    found = sampled(photos(of), 600, features).rows[Part.TRAIN]
    order = np.random.default_rng(0).permutation(len(of)).tolist()
    shuffled = sampled(photos([of[i] for i in order]), 600, features).rows[Part.TRAIN]
    assert {row.path for row in shuffled} == {row.path for row in found}
    assert list(found) == [row for row in of if row in set(found)]


def test_without_more_photos_than_wanted_nothing_is_chosen_or_computed() -> None:
    def never(of: Sequence[Row]) -> Any:
        raise AssertionError("features cost half a minute a thousand photos")

    whole = photos(rows())
    assert sampled(whole, sum(SIZES.values()), never) is whole


@given(st.lists(st.integers(0, 500), min_size=1, max_size=12), st.integers(0, 2000))
def test_shares_are_even_and_use_all_there_is(sizes: list[int], most: int) -> None:
    shares = even_shares(sizes, most)
    assert sum(shares) == min(most, sum(sizes))
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    cut = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert not cut or min(cut) >= max(shares) - 1


def test_a_sample_is_told_and_a_whole_training_part_is_not() -> None:
    assert told(210, 210) == ""
    assert told(100_000, 700_000) == "100,000 of 700,000 training photos"
