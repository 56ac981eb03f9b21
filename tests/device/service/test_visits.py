"""What the service promises of visits: each is told once, and a kill in its middle loses none."""

import io
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device.contract.look.rules import LookRules, Region
from device.inference.looking import Looking
from device.inference.loop import Preparer
from device.inference.prepared import Result, infer
from device.inference.trial import LoadedModel
from device.service.visiting import Visiting, resumed
from device.settings.sections import CameraConfig, Config, SmoothingConfig, VisitsConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.visits.days import Days
from device.visits.store import VisitStore
from device.visits.visit import Visit
from tests.device.service.scenes import Filmed, Start, model_of
from tests.support import films
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.running_service import Running, running, settings
from tests.support.device.visits import visit
from tests.support.films import Film, Shot, shots
from tests.support.peers.cameras import MjpegCamera, mjpeg_camera
from tests.support.pictures import encoded
from tests.support.timing import eventually

COMES_S, GOES_S = 14.0, 22.0
CAME = films.Visit(COMES_S, GOES_S, 0.5)
END_S = 5.0


@pytest.fixture(scope="module")
def visited() -> list[Shot]:
    return [*shots(Film(30, visits=(CAME,), fps=4))]


@pytest.fixture
def model(looks: Path) -> LoadedModel:
    return model_of(looks)


def at_s(seen: Observation) -> float:
    return int(seen.source[1:]) / 1000


def told(seen: list[Observation]) -> list[tuple[str, float]]:
    return [
        ("end" if o.ended_visit else "begin", at_s(o)) for o in seen if o.visit_changed and o.visit
    ]


def watched(start: Start, frames: list[Shot], config: Config | None = None) -> list[Observation]:
    _, sink, _, ends = start(Filmed(frames), config)
    eventually(lambda: ends)
    return list(sink.seen)


def test_a_visitor_gives_one_visit_with_one_beginning_and_one_end(
    start: Start, visited: list[Shot]
) -> None:
    seen = watched(start, visited)
    (begin, begun_s), (end, ended_s) = told(seen)
    assert (begin, end) == ("begin", "end")
    assert COMES_S < begun_s < COMES_S + 2 and GOES_S + END_S - 1.5 < ended_s <= GOES_S + END_S
    during = [o.visit for o in seen if begun_s <= at_s(o) < ended_s]
    assert all(one is not None and one.end_unix_s is None for one in during)
    assert not [o.visit for o in seen if not begun_s <= at_s(o) <= ended_s and o.visit]
    ids = {o.visit.id for o in seen if o.visit}
    (ended,) = (o.ended_visit for o in seen if o.ended_visit)
    assert ids == {ended.id} and ended.end_unix_s is not None
    assert ended.end_unix_s - ended.start_unix_s == pytest.approx(GOES_S - COMES_S, abs=1.5)
    assert ended.start_unix_s <= ended.best_unix_s <= ended.end_unix_s


def test_the_picture_of_a_visit_shows_what_was_in_its_box(
    start: Start, visited: list[Shot]
) -> None:
    seen = watched(start, visited)
    (ended,) = (o.ended_visit for o in seen if o.ended_visit)
    best = next(o for o in seen if o.visit and abs(o.unix_s - ended.best_unix_s) < 0.1)
    assert best.crop_box == ended.box and ended.picture is not None
    left, upper, right, lower = ended.box
    frame = next(shot for shot in visited if shot.at_ms == at_s(best) * 1000)
    shown = np.asarray(Image.open(io.BytesIO(ended.picture)), np.int16)
    assert np.abs(shown - frame.pixels[upper:lower, left:right]).mean() < 12


@pytest.mark.parametrize(("threshold", "known"), [(0.0, True), (1.0, False)])
def test_a_visit_below_the_threshold_is_unknown(
    threshold: float, known: bool, start: Start, visited: list[Shot]
) -> None:
    config = Config(smoothing=SmoothingConfig(threshold=threshold))
    (ended,) = (o.ended_visit for o in watched(start, visited, config) if o.ended_visit)
    assert (ended.label != UNKNOWN) == known
    assert ended.top[0][1] == ended.score and (not known or ended.top[0][0] == ended.label)


def test_without_visits_in_the_settings_none_is_told(start: Start, visited: list[Shot]) -> None:
    seen = watched(start, visited, Config(visits=VisitsConfig(enabled=False)))
    assert not [o for o in seen if o.visit or o.visit_changed]


def test_a_model_without_boxes_tells_no_visits(
    start: Start, tiny_bundle: Path, visited: list[Shot]
) -> None:
    _, sink, _, ends = start(Filmed(visited), model=model_of(tiny_bundle))
    eventually(lambda: ends)
    assert sink.seen and not [o for o in sink.seen if o.visit or o.visit_changed]


def test_what_the_last_process_left_ends_with_the_first_frame(
    model: LoadedModel, visited: list[Shot]
) -> None:
    left = visit()
    following = followed(model, Visiting(left), visited[:3])
    assert next(following) == (left, True)
    assert [*following] == [(None, False)] * 2


def test_what_the_last_process_left_is_not_told_at_each_start_where_nothing_would_keep_it(
    model: LoadedModel, visited: list[Shot], tmp_path: Path
) -> None:
    kept = VisitsConfig(path=str(tmp_path))
    VisitStore(tmp_path, 10, 30.0).keep(visit())
    visiting = resumed(Config(visits=replace(kept, enabled=False)))
    assert next(followed(model, visiting, visited[:1])) == (None, False)
    visiting = resumed(Config(visits=kept))
    assert next(followed(model, visiting, visited[:1]))[1], "it waits until something keeps it"


def test_what_the_last_process_left_is_told_and_kept_where_pictures_are_whole_by_now(
    model: LoadedModel, visited: list[Shot], tmp_path: Path
) -> None:
    left = visit()
    VisitStore(tmp_path, 10, 30.0).keep(left)
    whole = Config(visits=VisitsConfig(path=str(tmp_path)), camera=CameraConfig(look="whole"))
    told, changed = next(followed(model, resumed(whole), visited[:1]))
    assert changed and told is not None and told.id == left.id and "visits" in whole.sinks()


def results(model: LoadedModel, frames: list[Shot]) -> Iterator[Result]:
    """What the frame loop finds in frames."""
    source = Filmed(frames)
    look = Looking().through(source, lambda: Config().camera)
    preparer = Preparer(source, lambda: model.classifier, look=look)
    try:
        while (prepared := preparer.take(10)) is not None:
            yield infer(0, prepared)
    finally:
        preparer.close()


Told = tuple[Visit | None, bool]


def followed(
    model: LoadedModel, visiting: Visiting, frames: list[Shot], labels: Any = None
) -> Iterator[Told]:
    """As the inference thread follows them, with another model's labels if given."""
    info = replace(model.info, labels=labels or model.info.labels)
    for result in results(model, frames):
        yield visiting.next(result, info, Config(), result.frame.captured_s)


def until_a_visit(model: LoadedModel, visiting: Visiting, frames: list[Shot]) -> Visit:
    return next(one for one, changed in followed(model, visiting, frames) if one and changed)


@pytest.mark.parametrize(
    ("limit", "threshold", "known"), [(9.0, None, False), (None, 0.3, False), (None, None, True)]
)
def test_a_visit_whose_frames_contradict_one_another_is_unknown_where_anything_is(
    limit: float | None,
    threshold: float | None,
    known: bool,
    model: LoadedModel,
    visited: list[Shot],
) -> None:
    visiting, info = Visiting(), replace(model.info, limit=limit)
    config = Config(smoothing=SmoothingConfig(threshold=threshold))
    scores = np.full(len(info.labels), 0.1, np.float32)
    scores[:2] = 0.45
    found = [*results(model, visited)]
    said = [replace(one.prediction, scores=scores) if one.prediction else None for one in found]
    frames = [replace(one, prediction=told) for one, told in zip(found, said, strict=True)]
    ended = [visiting.next(one, info, config, one.frame.captured_s)[0] for one in frames]
    (over,) = (one for one in ended if one is not None and one.end_unix_s)
    assert (over.label != UNKNOWN) == known
    both = f"cannot be told apart here: {info.labels[0]} and {info.labels[1]}"
    assert over.why == over.ended(0).why == ("" if known else both)


@pytest.mark.parametrize("why", ["another camera", "other classes"])
def test_a_visit_ends_when_what_follows_cannot_belong_to_it(
    why: str, model: LoadedModel, visited: list[Shot]
) -> None:
    visiting = Visiting()
    begun = until_a_visit(model, visiting, visited)
    if why == "another camera":
        visiting.leave()
    labels = ("a", "b", "c") if why == "other classes" else None
    ended, changed = next(followed(model, visiting, visited, labels))
    assert changed and ended is not None and ended.id == begun.id and ended.label == begun.label
    assert ended.end_unix_s is not None and ended.picture == begun.picture


# --- the process ----------------------------------------------------------------------------------


@pytest.fixture
def quick_to_learn(tiny_bundle: Path, tmp_path: Path) -> Path:
    rules = LookRules(learn_ms=1500)
    files = resealed(
        read_folder(tiny_bundle),
        region=Region.CHANGE,
        look=rules.record(),
        look_sha256=rules.sha256(),
    )
    return write_folder(tmp_path / "quick", files)


class Garden:
    """What a camera shows: a place, and a visitor while there is one."""

    def __init__(self, camera: MjpegCamera, visited: list[Shot]) -> None:
        self.somebody = False
        resting = [s for s in visited if COMES_S + 2 < s.at_ms / 1000 < GOES_S - 2]
        self._empty, self._resting = (
            cycle([encoded(shot.pixels, "JPEG", quality=95) for shot in part])
            for part in (visited[:20], resting)
        )
        camera.frame = lambda: next(self._resting if self.somebody else self._empty)


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera(fps=8) as server:
        yield server


def frames(service: Running) -> list[dict[str, Any]]:
    return [line for line in service.lines if "frame" in line]


def ended(service: Running) -> list[dict[str, Any]]:
    return [line for line in service.lines if "visit" in line]


def is_seen(service: Running, what: str) -> bool:
    seen = frames(service)
    return bool(seen) and seen[-1]["seen"] == what


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_visit_that_the_end_of_the_process_cut_short_is_told_by_the_next(
    number: int, quick_to_learn: Path, visited: list[Shot], camera: MjpegCamera, tmp_path: Path
) -> None:
    garden, folder = Garden(camera, visited), tmp_path / "visits"
    more = f'[visits]\npath = "{folder}"\nend_s = 3.0\n[output.collect]\npath = "{tmp_path}/kept"'
    text = settings(quick_to_learn, camera.url, more)
    with running(tmp_path, text) as service:
        eventually(lambda: is_seen(service, "nothing"), 30)
        garden.somebody = True
        eventually(lambda: (folder / "going.json").exists(), 30)
        service.stop(number)
        assert not ended(service) and not Days(folder).counts()
    left = json.loads((folder / "going.json").read_text())
    garden.somebody = False
    restarted_s = time.time()
    with running(tmp_path, text) as service:
        eventually(lambda: ended(service), 30)
        eventually(lambda: Days(folder).counts(), 30)
        # Removed after the day's line is written: what is there later is of the next visit.
        eventually(lambda: not (folder / "going.json").exists(), 30)
        eventually(lambda: is_seen(service, "nothing"), 30)
        garden.somebody = True
        eventually(lambda: (folder / "going.json").exists(), 30)
        garden.somebody = False
        eventually(lambda: len(ended(service)) == 2, 30)
        status, _ = service.stop()
    assert status == 0
    first, second = ended(service)
    assert first == left and first["start"] <= first["end"] < restarted_s < second["start"]
    kept = [one for day in Days(folder).all() for one in Days(folder).of(day)]
    assert [one.id for one in kept] == [second["visit"], first["visit"]]
    assert all(Days(folder).picture(one.id) for one in kept)
    assert not (folder / "going.json").exists()
