"""The training photos that are most like a frame: on the page, and over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from device.outputs.web.sink import Web
from device.telemetry.observation import Observation
from tests.support.device import thumbnails
from tests.support.device.observations import (
    MODEL,
    Surroundings,
    nothing,
    publish_until,
    sight,
)
from tests.support.peers.browser import CONTRAST, DESKTOP, NAMELESS, OVERFLOW, PHONE
from tests.support.peers.film import Browsers, Film, text
from tests.support.peers.http_visitor import Visitor, parts
from tests.support.timing import eventually

KEPT = thumbnails.along(np.eye(8, 6, dtype=np.float32))
SHOWING = replace(MODEL, thumbnails=KEPT)
BLUE = np.array([0.5, 0, 4, 0, 0, 2, 0, 0], np.float32)
"""Features of a frame, which is most like the thumbnails 2, 5 (blue) and 0 (red)."""
HIDDEN = "return document.getElementById('like').hidden"
NAMES = "return [...document.querySelectorAll('#nearest figcaption')].map((e) => e.textContent)"
LOADED = "return [...document.querySelectorAll('#nearest img')].map((e) => e.naturalWidth)"
SEEN = "return getComputedStyle(document.getElementById('nearest')).visibility"
ASKED = """
  const all = performance.getEntriesByType("resource").map((e) => e.name);
  return all.filter((name) => name.includes("thumbnail"));
"""


@pytest.fixture(autouse=True)
def model(surroundings: Surroundings) -> None:
    surroundings.telemetry.model(SHOWING)


def like_blue(number: int, **more: Any) -> Observation:
    return sight(number, 2, **{"model": SHOWING, "features": BLUE, **more})


def state_of(page: Web, crowd: ThreadPoolExecutor, scene: Any) -> Any:
    """What a viewer gets of the scene."""
    answer = crowd.submit(Visitor(page).live)
    publish_until(page, answer.done, scene)
    return parts(*answer.result()[1:])[0]


def test_a_viewer_is_told_which_are_nearest(page: Web, crowd: ThreadPoolExecutor) -> None:
    found = [{"n": 2, "label": "blue"}, {"n": 5, "label": "blue"}, {"n": 0, "label": "red"}]
    assert state_of(page, crowd, like_blue)["nearest"] == found


@pytest.mark.parametrize(
    "scene",
    [
        sight,
        nothing,
        lambda number: sight(number, model=SHOWING),
        lambda number: sight(number, features=BLUE),
    ],
    ids=["another bundle", "nothing there", "not classified", "no thumbnails"],
)
def test_without_thumbnails_or_features_there_are_none(
    page: Web, crowd: ThreadPoolExecutor, scene: Any
) -> None:
    assert state_of(page, crowd, scene)["nearest"] == []


def test_pictures_are_told_by_model_and_number_and_there_are_no_others(
    page: Web, surroundings: Surroundings
) -> None:
    address = f"/thumbnail?model={MODEL.sha256}&n="
    for number, picture in enumerate(KEPT.pictures):
        status, headers, body = Visitor(page).ask(f"{address}{number}")
        assert (status, headers["Content-Type"], body) == (200, "image/webp", picture)
    for other in (f"{address}6", f"{address}-1", f"{address}x", address, "/thumbnail?n=0"):
        assert Visitor(page).ask(other)[0] == 404
    assert Visitor(page).ask(f"/thumbnail?model={'0' * 64}&n=0")[0] == 404
    assert Visitor(page).post(f"{address}0", {})[0] == 405
    surroundings.telemetry.model(MODEL)
    assert Visitor(page).ask(f"{address}0")[0] == 404


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_them_with_their_classes(
    browsers: Browsers, page: Web, film: Film, size: tuple[int, int], scheme: str
) -> None:
    film.scene = like_blue
    with browsers.visit(page, size) as browser:
        browser.emulate(prefers_color_scheme=scheme)
        eventually(lambda: browser.run(NAMES) == ["blue", "blue", "red"])
        eventually(lambda: browser.run(LOADED) == [thumbnails.SIDE_PX] * 3)
        assert browser.run(OVERFLOW) == 0
        assert browser.run(NAMELESS) == browser.run(CONTRAST) == []
        assert browser.problems() == []


def test_each_picture_is_asked_for_once(browsers: Browsers, page: Web, film: Film) -> None:
    def scene(number: int) -> Observation:
        return like_blue(number, features=np.roll(BLUE, number // 30 % 2))

    film.scene = scene
    with browsers.visit(page) as browser:
        eventually(lambda: browser.run(NAMES) == ["blue", "blue", "red"])
        eventually(lambda: len(browser.run(ASKED)) > 3, within_s=10)
        eventually(lambda: browser.run(NAMES) == ["blue", "blue", "red"], within_s=10)
        asked = browser.run(ASKED)
        assert len(asked) == len(set(asked))
        eventually(lambda: 0 not in browser.run(LOADED))


def test_where_nothing_is_there_nothing_is_like_it_and_nothing_below_moves(
    browsers: Browsers, page: Web, film: Film
) -> None:
    place = "return document.getElementById('like').getBoundingClientRect().height"
    film.scene = like_blue
    with browsers.visit(page) as browser:
        eventually(lambda: len(browser.run(NAMES)) == 3)
        height = browser.run(place)
        film.scene = lambda number: nothing(number, model=SHOWING)
        eventually(lambda: browser.run(SEEN) == "hidden")
        assert browser.run(place) == height
        assert text(browser, "none-alike") == "None: nothing is there."
        film.scene = like_blue
        eventually(lambda: browser.run(SEEN) == "visible")


def test_a_bundle_without_thumbnails_leaves_no_trace_of_them(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    surroundings.telemetry.model(MODEL)
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "label") == "red")
        eventually(lambda: "Accuracy" in text(browser, "facts"))
        assert browser.run(HIDDEN) and browser.run(ASKED) == []
