"""No event stands on both sides: photos of events that trained the bundle do not judge it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.field.moments import NO_DAY, Moment, events_of, moment_of
from convert.field.photos import TRAINED, TRAINED_EVENT
from convert.field.trained import Trained, doubts, occasions, read_trained
from device.contract import bundle as contract
from device.contract.bundle import Bundle
from device.workstation.events.listed import Occasion, to_csv
from device.workstation.tables import csv_text
from device.workstation.training import DataRecord
from tests.convert.field.fieldwork import listed, provenance, save
from tests.support.builds.training_records import data_set_of
from tests.support.device.tiny_bundle import TAR
from tests.support.pictures import LABELS

EVENT_S = 60.0
DEVICES = ("a", "b")
TIMES = st.lists(st.tuples(st.sampled_from(DEVICES), st.integers(0, 2000)), max_size=40)


@given(TIMES, TIMES)
def test_no_photo_judges_that_is_near_in_time_to_one_of_the_training_data(
    taken: list[tuple[str, int]], trained: list[tuple[str, int]]
) -> None:
    photos = [
        listed(f"{number}", provenance(seconds, device))
        for number, (device, seconds) in enumerate(taken)
    ]
    moments = tuple(moment_of(provenance(seconds, device)) for device, seconds in trained)
    found = occasions(photos, Trained(moments=moments), EVENT_S)
    judging = [pair for number, pair in enumerate(taken) if f"{number}" not in found.reasons]
    for device, seconds in judging:
        assert all(other != device or abs(when - seconds) > EVENT_S for other, when in trained)
    # Nor by way of photos between them.
    closed = {found.events[path] for path in found.reasons}
    assert closed.isdisjoint(found.events[p.path] for p in photos if p.path not in found.reasons)


@given(TIMES)
def test_an_event_is_a_chain_of_photos_of_one_device(taken: list[tuple[str, int]]) -> None:
    events = events_of([moment_of(provenance(s, device)) for device, s in taken], EVENT_S)
    named: dict[str, list[tuple[int, str]]] = {device: [] for device in DEVICES}
    for (device, seconds), event in zip(taken, events, strict=True):
        named[device].append((seconds, event))
    for own in named.values():
        for (before, one), (after, other) in pairwise(sorted(own)):
            assert (one == other) == (after - before <= EVENT_S)
    first, second = ({event for _, event in own} for own in named.values())
    assert not first & second


def test_photos_without_a_time_are_one_event_for_each_device() -> None:
    moments = [Moment("a", None), Moment("b", None), Moment("a", None), Moment("a", 0.0)]
    first, other, same, dated = events_of(moments, EVENT_S)
    assert first == same and len({first, other, dated}) == 3


def test_a_clock_that_was_not_set_gives_no_day() -> None:
    assert Moment("a", 5.0).day == Moment("a", None).day == NO_DAY
    assert moment_of(provenance()).day == "2026-11-03"
    for time in ("soon", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"):
        assert moment_of(replace(provenance(), time=time)) == Moment("garden", None)


def test_a_photo_in_the_training_data_closes_its_event_for_the_others() -> None:
    photos = [
        listed(name, provenance(s)) for name, s in (("a", 0), ("b", 50), ("c", 100), ("d", 500))
    ]
    found = occasions(photos, Trained(digests=frozenset({"a"})), EVENT_S)
    assert found.reasons == {"a": TRAINED, "b": TRAINED_EVENT, "c": TRAINED_EVENT}


def test_a_photo_that_the_split_left_out_of_an_event_does_not_judge_either() -> None:
    photos = [listed("a", None), listed("b", provenance(900)), listed("c", provenance(920))]
    found = occasions(photos, Trained(same_event=frozenset({"a", "b"})), EVENT_S)
    assert found.reasons == dict.fromkeys("abc", TRAINED_EVENT)


def test_what_the_bundle_itself_saved_cannot_have_trained_it_and_of_the_rest_that_is_told() -> None:
    photos = [listed("a", provenance(model="now")), listed("b", provenance(model="before"))]
    unknown = Trained(problem="build/train is missing")
    (line,) = doubts(photos, unknown, {"now"})
    assert line.startswith("1 photo saved under another model may have trained this one: build")
    assert doubts(photos[:1], unknown, {"now"}) == doubts(photos, Trained(), {"now"}) == []


# --- the training folder --------------------------------------------------------------------------


@pytest.fixture
def bundle() -> Bundle:
    loaded = contract.load(TAR)
    manifest = {**loaded.manifest, "data": {"fingerprint": data_set_of(LABELS).fingerprint}}
    return replace(loaded, manifest=manifest)


def training(folder: Path, rows: Sequence[tuple[str, str, str, str]]) -> Path:
    """A training folder whose split has rows of (path, part, sha256, event)."""
    folder.mkdir()
    split = [(path, "red", part, sha, event, "") for path, part, sha, event in rows]
    columns = ("path", "class", "part", "sha256", "group", "reason")
    (folder / "split.csv").write_text(csv_text(columns, split), "utf-8")
    events = {path: Occasion(event, "by the pond") for path, _, _, event in rows}
    (folder / "events.csv").write_text(to_csv(events), "utf-8")
    DataRecord(str(folder.parent / "data"), None, None, data_set_of(LABELS)).write(
        folder / "data.json"
    )
    return folder


def test_the_training_folder_says_which_photos_and_moments_the_bundle_knows(
    tmp_path: Path, bundle: Bundle
) -> None:
    ours = save(tmp_path / "data", "red/ours.jpg", provenance(7, "shed"))
    digest = hashlib.sha256(ours.read_bytes()).hexdigest()
    rows = [
        ("red/ours.jpg", "train", digest, "1"),
        ("red/gone.jpg", "val", "22", "2"),
        ("red/gap.jpg", "left_out", "33", "2"),
        ("red/alone.jpg", "left_out", "44", "3"),
    ]
    found = read_trained(training(tmp_path / "train", rows), bundle)
    assert found.digests == {digest, "22"} and found.same_event == {"33"}
    assert found.moments == (moment_of(provenance(7, "shed")),)
    assert found.excludes(["garden"]) and not found.excludes(["garden", "shed"])
    assert not found.excludes(["by the pond"])


def test_a_training_folder_that_is_missing_or_damaged_or_of_other_photos_is_told(
    tmp_path: Path, bundle: Bundle
) -> None:
    assert "data.json is missing" in read_trained(tmp_path / "none", bundle).problem
    folder = training(tmp_path / "train", [("a", "train", "1", "1")])
    assert read_trained(folder, bundle).problem == ""
    other = replace(bundle, manifest={**bundle.manifest, "data": {"fingerprint": "another"}})
    said = read_trained(folder, other)
    assert "is of other photos than the bundle" in said.problem and not said.excludes(["garden"])
    record = json.loads((folder / "data.json").read_text("utf-8"))
    (folder / "split.csv").write_text("path\n\0", "utf-8")
    assert "split.csv is missing or damaged" in read_trained(folder, bundle).problem
    (folder / "data.json").write_text(json.dumps({**record, "schema": 0}), "utf-8")
    assert "data.json: made by another version" in read_trained(folder, bundle).problem
