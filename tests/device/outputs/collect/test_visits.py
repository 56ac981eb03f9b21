"""What is saved of a visit: its best frame, then the most doubtful one, and no forty photos."""

import errno
import io
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device.contract import provenance
from device.contract.look.rules import Seen
from device.errors import OutputError
from device.outputs.collect.sink import Collector
from device.telemetry.observation import NOTHING, UNKNOWN, Observation
from device.visits.visit import Visit
from tests.device.outputs.collect.saving import STATUS, collector, observed, random_collector, saved
from tests.support.pictures import LABELS

START_S = 1_780_000_000.0
SURE, UNSURE = (0.9, 0.06, 0.04), (0.5, 0.45, 0.05)


def visit(
    best: int,
    *,
    ended: bool = False,
    label: str = "red",
    top: Iterable[float] = SURE,
    name: int = 1,
) -> Visit:
    return Visit(
        id=f"20260528-202640-{name:06x}",
        start_unix_s=START_S,
        end_unix_s=START_S + 40 if ended else None,
        label=label,
        score=max(top),
        top=tuple(zip(LABELS, top, strict=True)),
        frames=40,
        box=(8, 0, 56, 48),
        best_unix_s=START_S + best,
    )


def there(
    number: int, best: int, scores: Iterable[float] = SURE, *, name: int = 1, **more: Any
) -> Observation:
    """A frame of a visit whose best frame so far has another or the same number."""
    said = {"visit": visit(best, name=name), "seen": Seen.SOMETHING, "changed_permille": 90, **more}
    return observed(number, scores, **said)


def nothing(number: int, **more: Any) -> Observation:
    none = np.zeros(len(LABELS), np.float32)
    return observed(number, none, label=NOTHING, score=0.0, seen=Seen.NOTHING, **more)


def end(sink: Collector, *, best: int, **more: Any) -> None:
    sink.publish(nothing(100, visit=visit(best, ended=True, **more), visit_changed=True))


def numbers(folder: Path) -> list[str]:
    """Which frames were saved, by their sources."""
    records = [provenance.read((folder / name).read_bytes()) for name in saved(folder)]
    return [record.source.partition("#")[2] for record in records if record]


def test_one_visit_is_its_best_frame_and_its_most_doubtful_one(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    for number in range(40):
        scores = UNSURE if number == 30 else (0.5, 0.4, 0.1) if number == 35 else SURE
        sink.publish(there(number, best=min(number, 20), scores=scores))
    assert saved(tmp_path) == [], "what is best is known at the end"
    end(sink, best=20)
    assert numbers(tmp_path) == ["20", "30"]
    first, second = saved(tmp_path)
    assert first.startswith("_review/red/") and second.startswith("_review/red/")
    record = provenance.read((tmp_path / first).read_bytes())
    assert record is not None and record.reason == "changed" and record.seen == "something"
    assert record.box == (8, 0, 56, 48) and record.changed_permille == 90
    end(sink, best=20)
    assert len(saved(tmp_path)) == 2


def test_the_best_frames_of_visits_come_before_doubtful_ones_where_the_rate_is_short(
    tmp_path: Path,
) -> None:
    sink = collector(tmp_path, max_per_minute=1)
    started_s = time.monotonic()
    for number in range(10):
        # The first frame tells of the visit, so that the next one has a picture.
        sink.publish(replace(there(4 * number, 4 * number, name=number), picture=None))
        for i in (1, 2, 3):
            if sink.wants_pictures:
                sure = SURE if i == 2 else UNSURE
                sink.publish(there(4 * number + i, 4 * number + 2, sure, name=number))
        end(sink, best=4 * number + 2, name=number)
    bests, doubtful = set[int](), set[int]()
    for number in map(int, numbers(tmp_path)):
        (bests if number % 4 == 2 else doubtful).add(number)
    assert bests == {2, 6, 10, 14} and doubtful == {1}
    # What was saved ahead of the rate is made up for: five photos, five minutes.
    assert not sink.wants_pictures and sink._next_save_s > started_s + 5 * 60


def test_a_visit_that_the_model_is_sure_of_is_saved_only_as_a_change(tmp_path: Path) -> None:
    for folder, changes in ((tmp_path / "on", True), (tmp_path / "off", False)):
        sink = collector(folder, changes=changes)
        sink.publish(there(1, best=1))
        end(sink, best=1)
    assert numbers(tmp_path / "on") == ["1"] and not (tmp_path / "off").exists()


def test_an_unknown_visitor_waits_below_the_class_that_most_speaks_for(tmp_path: Path) -> None:
    sink = collector(tmp_path, changes=False)
    sink.publish(there(1, best=1, scores=(0.4, 0.5, 0.1), label=UNKNOWN))
    end(sink, best=1, label=UNKNOWN, top=(0.5, 0.4, 0.1))
    (name,) = saved(tmp_path)
    record = provenance.read((tmp_path / name).read_bytes())
    assert name.startswith("_review/red/") and record is not None
    assert (record.reason, record.label) == ("unknown", "red")
    assert max(record.top, key=lambda label: record.top[label]) == "green", "of this very picture"


def test_what_waits_for_the_end_of_a_visit_is_encoded_and_seldom(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    taken = []
    for number in range(30):
        sink.publish(there(number, best=number, monotonic_s=number / 30, unix_s=START_S + number))
        assert sink._chosen is not None and sink._chosen.best is not None
        taken.append(sink._chosen.best)
    assert len({shot.observation.number for shot in taken}) <= 5, "of 30 in a second"
    assert all(shot.observation.picture is None for shot in taken)
    with Image.open(io.BytesIO(taken[-1].photo("changed", "red"))) as image:
        assert image.size == (64, 48) and image.getexif()


def test_a_flicker_that_became_no_visit_is_not_saved(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    for number in range(3):
        sink.publish(observed(number, UNSURE, seen=Seen.SOMETHING, changed=True))
    sink.publish(nothing(4, changed=True))
    assert saved(tmp_path) == []


def test_where_visits_are_not_followed_doubtful_frames_are_saved_as_ever(tmp_path: Path) -> None:
    followed = collector(tmp_path)
    sink = Collector(followed._config, visits=False)
    sink.publish(observed(1, UNSURE, seen=Seen.SOMETHING))
    assert numbers(tmp_path) == ["1"]


@pytest.mark.parametrize("seen", [Seen.NOTHING, Seen.LIGHT, Seen.MOVED])
def test_frames_that_were_not_classified_are_not_saved(tmp_path: Path, seen: Seen) -> None:
    sink = collector(tmp_path)
    none = np.zeros(len(LABELS), np.float32)
    for label in (NOTHING, UNKNOWN, "red"):
        sink.publish(observed(1, none, label=label, seen=seen, changed=True))
    assert saved(tmp_path) == []


def test_a_random_moment_is_saved_although_nothing_was_there(tmp_path: Path) -> None:
    random_collector(tmp_path).publish(nothing(1, changed_permille=2))
    (name,) = saved(tmp_path)
    assert name.startswith("_review/_other/") and name.endswith("-random.jpg")
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None and record.is_random
    assert (record.label, record.top, record.box) == ("nothing", {}, None)
    assert (record.seen, record.changed_permille) == ("nothing", 2)


def test_a_random_moment_in_a_visit_is_saved_at_once_and_once(tmp_path: Path) -> None:
    sink = random_collector(tmp_path)
    sink.publish(there(1, best=1))
    assert numbers(tmp_path) == ["1"]
    end(sink, best=1)
    assert numbers(tmp_path).count("1") == 1


@pytest.mark.parametrize("make", [collector, random_collector])
def test_a_visitor_is_never_filed_below_nothing_although_the_label_follows_later(
    make: Callable[[Path], Collector], tmp_path: Path
) -> None:
    """At the beginning of a visit the label is still that of before."""
    sink = make(tmp_path)
    sink.publish(there(1, best=1, label=NOTHING, score=0.0, top=()))
    end(sink, best=1)
    by_number = dict(zip(numbers(tmp_path), saved(tmp_path), strict=True))
    assert by_number["1"].startswith("_review/red/")


def test_what_was_chosen_of_a_visit_is_saved_when_the_service_ends(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    for number in range(3):
        sink.publish(there(number, best=1))
    sink.close()
    assert numbers(tmp_path) == ["1"]


def test_a_visit_that_ended_while_the_disk_was_full_is_saved_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = collector(tmp_path)
    sink.publish(there(1, best=1))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            end(sink, best=1)
    sink._next_probe_s = float("-inf")
    sink.tick(STATUS)
    # It is offered again.
    end(sink, best=1)
    assert numbers(tmp_path) == ["1"]
