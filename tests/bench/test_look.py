"""What `make bench-look` counts, and what its page tells."""

import json

import numpy as np
import pytest

from device.contract.look.rules import LookRules
from tests.bench.look.findings import Figures, Findings
from tests.bench.look.judge import Frame, Judged, Visited, judged
from tests.bench.look.scenes import Scene, as_video, compressed, visits
from tests.support.films import Film, shots
from tests.support.html_page import Page

BAD = Frame("rain", 12.0, -1.0, np.zeros((144, 192, 3), np.uint8), ((1, 2, 30, 31),), ())
RAIN = Judged("rain", 6.0, 1, 0.01, {"nothing": 1.0}, (), 0, (BAD,))
SQUARE = Judged(
    "square, sun", 6.0, 0, 0.0, {"nothing": 1.0}, (Visited(0.2, True, (0.9, 0.4)),), 0, ()
)
FOUND = Findings((RAIN, SQUARE), {"tree.avi": "no apt-get"})


def test_visitors_of_a_quiet_film_are_found_and_nothing_else() -> None:
    found = judged(Scene("noise", Film(0, "noise")), 40, 70, LookRules())
    assert (found.false_visits, found.false_among, len(found.visits)) == (0, 0, 1)
    (visit,) = found.visits
    assert visit.found and np.mean(np.array(visit.overlaps) >= 0.5) > 0.9


def test_visitors_are_found_too_where_an_empty_place_is_looked_at_less_often() -> None:
    scene = Scene("noise", Film(0, "noise")).as_camera()
    found, often = (judged(scene, 40, 70, LookRules(), paced=paced) for paced in (True, False))
    assert found.visits[0].found and (found.false_visits, found.false_among) == (0, 0)
    assert found.seen["learning"] > 1.5 * often.seen["learning"], "of fewer frames it is more"


def test_of_a_camera_only_the_frames_are_drawn_that_the_service_would_look_at() -> None:
    asked: list[float] = []

    def third(at_s: float) -> bool:
        asked.append(at_s)
        return len(asked) % 3 == 0

    camera = Scene("noise", Film(0, "noise")).as_camera()
    taken = list(camera.shots(3, visited=False, due=third))
    assert len(asked) == 30 and [shot.at_ms for shot in taken] == list(range(200, 3000, 300))
    assert as_video()[0].as_camera() == as_video()[0]


def test_a_calm_place_is_looked_at_three_times_a_second_where_a_camera_gives_ten() -> None:
    camera = Scene("noise", Film(0, "noise")).as_camera()
    seconds = judged(camera, 20, 1, LookRules(), paced=True).seen
    # Ten seconds are learned from, at ten frames a second.
    assert seconds["learning"] / seconds["nothing"] == pytest.approx(10 / 3, rel=0.1)


def test_a_look_that_finds_nothing_loses_every_visit() -> None:
    found = judged(Scene("noise", Film(0, "noise")), 1, 70, LookRules(least_cells=6000))
    assert not any(visit.found for visit in found.visits)
    assert set(found.visits[0].overlaps) == {0.0} and len(found.worst) == 2


def test_visitors_are_from_an_eighth_to_half_of_the_height() -> None:
    heights = [visit.height for visit in visits(6000, 3)]
    assert 1 / 8 <= min(heights) < 0.14 and 0.45 < max(heights) <= 0.5


def test_a_film_as_video_is_the_same_film_with_less_detail() -> None:
    film = Film(2, fps=4, size_px=(320, 240))
    before, after = list(shots(film)), list(compressed(film, 60_000))
    assert [shot.at_ms for shot in after] == [shot.at_ms for shot in before]
    off = np.abs(after[-1].pixels.astype(int) - before[-1].pixels).mean()
    assert 0.5 < off < 20
    assert all(scene.bits_per_s == 200_000 for scene in as_video())


def test_false_visits_are_told_for_a_day() -> None:
    assert Figures.of("all", [RAIN, SQUARE]).false_a_day == pytest.approx(2.0)


def test_the_page_has_figures_curves_worst_frames_and_what_is_missing() -> None:
    page = Page(FOUND.page())
    names = [row[0] for row in page.tables[0]]
    assert names[1:] == ["drawn", "real places", "all"]
    images = [dict(values) for tag, values in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["rain, 12 s: a false visit"]
    assert sum(tag == "svg" for tag, _ in page.tags) == 3
    assert any("tree.avi: no apt-get" in text for text in page.texts)


def test_the_record_is_json_with_goals_and_every_film() -> None:
    record = json.loads(json.dumps(FOUND.record(), allow_nan=False))
    assert [scene["name"] for scene in record["scenes"]] == ["rain", "square, sun"]
    assert record["goals"]["false_a_day"] == 4 and record["missing"]
