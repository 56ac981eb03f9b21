"""Frames of an alarm of the world are the first that are kept, and each is unlike the others."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.clock import EARLIEST_S
from device.contract import provenance
from device.contract.provenance import WORLD
from device.drift.sample import Family
from device.drift.status import DriftStatus, FamilyStatus
from device.outputs.collect.folder import Saved, first_to_go, saved_photos
from device.outputs.collect.sink import BEST_AHEAD, Collector
from device.outputs.collect.unlike import MOST, Unlike
from device.telemetry.observation import UNKNOWN, Observation
from tests.device.outputs.collect.saving import CONFIG, MODEL, noise, observed, saved
from tests.device.outputs.collect.test_visits import SURE, end, numbers, there
from tests.support.device.observations import Surroundings

KINDS = 200
AXES = np.eye(KINDS, dtype=np.float32)


def tell(sink: Collector, *, alarm: bool, family: Family = Family.WORLD) -> None:
    """A second passes; an alarm of the world stands or not."""
    surroundings = Surroundings()
    surroundings.telemetry.drift(DriftStatus(families={family: FamilyStatus(1.2, alarm)}))
    sink.tick(surroundings.status())


def collector(folder: Path, *, alarm: bool = True, **changes: Any) -> Collector:
    sink = Collector(replace(CONFIG, path=str(folder), **changes))
    tell(sink, alarm=alarm)
    return sink


def strange(number: int, kind: int) -> Observation:
    """A frame that is called unknown; those of one kind have almost the same features."""
    features = AXES[kind] + 0.01 * AXES[(kind + 1) % KINDS] * (number % 7)
    sight = observed(number, SURE, label=UNKNOWN, distance=1.4, features=features)
    return replace(sight, model=replace(MODEL, limit=1.0))


def reasons(folder: Path) -> list[str]:
    records = [provenance.read((folder / name).read_bytes()) for name in saved(folder)]
    return [record.reason for record in records if record is not None]


def test_a_photo_of_an_alarm_says_so_in_its_name_and_in_exif(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    sink.publish(strange(0, kind=0))
    (name,) = saved(tmp_path)
    record = provenance.read((tmp_path / name).read_bytes())
    assert name.startswith("_review/red/") and name.endswith("-world.jpg")
    assert record is not None and record.reason == WORLD


def test_without_an_alarm_strange_frames_are_saved_as_ever(tmp_path: Path) -> None:
    sink = collector(tmp_path, alarm=False)
    sink.publish(strange(0, kind=0))
    assert reasons(tmp_path) == ["unknown"]


@pytest.mark.parametrize("family", Family)
def test_alarms_that_labels_cure_are_heeded(tmp_path: Path, family: Family) -> None:
    sink = collector(tmp_path, alarm=False)
    tell(sink, alarm=True, family=family)
    sink.publish(strange(0, kind=0))
    heeded = family in (Family.WORLD, Family.PLACE)
    assert reasons(tmp_path) == [WORLD if heeded else "unknown"]


def test_what_the_model_knows_is_nothing_of_an_alarm(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    sink.publish(observed(0, SURE, features=AXES[0]))
    sink.publish(observed(1, SURE, features=AXES[1], changed=True))
    assert reasons(tmp_path) == ["changed"]


def test_of_an_alarm_each_kind_is_saved_before_a_second_of_any(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_per_minute=1)
    # Many of one kind, and then one of each other.
    for number in range(20):
        sink.publish(strange(number, kind=0))
    for number in range(20, 20 + BEST_AHEAD):
        assert sink.wants_pictures
        sink.publish(strange(number, kind=number))
    assert reasons(tmp_path) == [WORLD] * (1 + BEST_AHEAD)
    assert not sink.wants_pictures, "what was saved ahead of the rate is made up for"


def test_more_of_the_same_is_an_ordinary_doubt_at_the_ordinary_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = collector(tmp_path, max_per_minute=6)
    sink.publish(strange(0, kind=0))
    sink.publish(strange(1, kind=0))
    assert reasons(tmp_path) == [WORLD]
    later_s = time.monotonic() + 11
    monkeypatch.setattr("device.outputs.collect.sink.time.monotonic", lambda: later_s)
    sink.publish(strange(2, kind=0))
    assert sorted(reasons(tmp_path)) == ["unknown", WORLD]


def test_the_best_frame_of_a_strange_visit_is_of_the_alarm(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    for number in range(3):
        sink.publish(there(number, 1, SURE, label=UNKNOWN, features=AXES[0]))
    end(sink, best=1, label=UNKNOWN)
    # The other one, the most doubtful, is more of the same.
    assert dict(zip(numbers(tmp_path), reasons(tmp_path), strict=True)) == {
        "0": "unknown",
        "1": WORLD,
    }


def test_after_an_alarm_nothing_is_remembered_of_it(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    sink.publish(strange(0, kind=0))
    for alarm in (False, True):
        tell(sink, alarm=alarm)
    sink.publish(strange(3, kind=0))
    assert reasons(tmp_path) == [WORLD, WORLD]


def test_photos_of_an_alarm_go_after_other_doubts_and_before_random_ones(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_mb=1, changes=False)
    for number in range(3):
        features, sink._recent = AXES[number], []
        sink.publish(
            replace(
                noise(number), label=UNKNOWN, scores=np.array(SURE, np.float32), features=features
            )
        )
    tell(sink, alarm=False)
    for number in range(3, 40):
        sink._next_save_s, sink._recent = float("-inf"), []
        sink.publish(replace(noise(number), scores=np.array([0.4, 0.35, 0.25], np.float32)))
    files = saved_photos(tmp_path)
    assert sum(file.world for file in files) == 3 and sink.figures["photos_removed_total"] > 0
    assert sum(file.bytes for file in files) <= 1_000_000


ROWS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(("doubt", "world", "random"))), max_size=30
)


@given(ROWS, st.integers(0, 100))
def test_no_photo_of_an_alarm_goes_while_another_doubt_is_left(
    rows: Iterable[tuple[int, str]], wanted: int
) -> None:
    files = [
        Saved(Path(f"{i:02}"), size, EARLIEST_S + i, False, kind == "random", kind == "world")
        for i, (size, kind) in enumerate(rows)
    ]
    gone = set(first_to_go(files, wanted))
    doubts = {file for file in files if not (file.world or file.random)}
    worlds = {file for file in files if file.world}
    assert not gone & worlds or doubts <= gone
    assert not any(file.random for file in gone) or doubts | worlds <= gone


def test_what_is_remembered_is_bounded_and_spread(tmp_path: Path) -> None:
    unlike, chance = Unlike(), np.random.default_rng(0)
    kept = 0
    for _ in range(1000):
        features = chance.random(32).astype(np.float32)
        if unlike.is_new(features):
            unlike.add(features)
            kept += 1
    assert len(unlike._kept) <= MOST < kept < 1000
    pairs = np.stack(unlike._kept) @ np.stack(unlike._kept).T
    assert (1 - pairs[np.triu_indices(len(pairs), 1)]).min() > unlike._radius


def test_features_of_another_model_are_new() -> None:
    unlike = Unlike()
    unlike.add(np.ones(8, np.float32))
    assert not unlike.is_new(np.full(8, 2, np.float32))
    assert unlike.is_new(np.ones(5, np.float32)) and not unlike._kept


def test_features_that_are_all_zero_break_nothing() -> None:
    unlike = Unlike()
    unlike.add(np.zeros(4, np.float32))
    assert unlike.is_new(np.ones(4, np.float32))
