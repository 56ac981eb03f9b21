"""What the page says of drift: a week's chart, alarms with then and now, and who may end them."""

import json
from typing import Any

import pytest

from device.drift.sample import Family
from device.drift.status import CURES, DayStatus, DriftStatus, Estimate, FamilyStatus
from device.outputs.web.sink import Web
from device.visits.picture import jpeg
from tests.support.device.observations import Surroundings, sight
from tests.support.peers.browser import CONTRAST, DESKTOP, NAMELESS, OVERFLOW, PHONE
from tests.support.peers.film import Browsers, Film, text
from tests.support.peers.http_visitor import Visitor
from tests.support.pictures import picture
from tests.support.timing import eventually

THEN, NOW = jpeg(picture(0, 1, 224, 224)), jpeg(picture(1, 1, 224, 224))
LOADED = "return [...document.querySelectorAll('#then-now img')].map((img) => img.naturalWidth)"
BARS = "return document.querySelectorAll('#levels li i').length"
CLICK = "document.getElementById('acknowledge').click()"
IS_HIDDEN = "return document.getElementById('%s').hidden"
DAYS = tuple(
    DayStatus(f"2026-11-{20 + i}", (0.3 + 0.15 * i, 0.1, 0.05), 8640, 700, 640, 582.4)
    for i in range(7)
)
QUIET = {family: FamilyStatus(0.2) for family in Family}
BLURRED = FamilyStatus(1.4, True, "2026-11-26", "blurred, flatter", CURES[Family.CAMERA])
ALARM = DriftStatus(
    7,
    7,
    {**QUIET, Family.CAMERA: BLURRED},
    Estimate(0.91, 0.88, 0.94, 7),
    DAYS,
    "rose 40% (was 9%)",
)


class Watcher:
    """A camera that is watched, in memory."""

    def __init__(self, status: DriftStatus | None) -> None:
        self.drift, self.acknowledged = status, list[bool]()
        self.then: bytes | None = THEN

    def acknowledge_drift(self) -> None:
        self.acknowledged.append(True)

    def drift_picture(self, which: str) -> bytes | None:
        return {"then": self.then, "now": NOW}.get(which)


@pytest.fixture
def watcher(surroundings: Surroundings) -> Watcher:
    watcher = Watcher(ALARM)
    surroundings.watcher = watcher
    return watcher


def asked(page: Web) -> Any:
    return json.loads(Visitor(page).ask("/drift")[2])


def test_it_tells_what_has_changed_since_when_and_what_to_do(page: Web, watcher: Watcher) -> None:
    told = asked(page)
    assert told["families"]["camera"]["alarm"] and not told["families"]["world"]["alarm"]
    assert told["families"]["camera"]["why"] == "blurred, flatter"
    assert told["accuracy"]["mean"] == 0.91 and not told["accuracy"]["valid"]
    assert [day["date"] for day in told["days"]] == [day.date for day in DAYS]


def test_pictures_of_then_and_now_are_jpegs_and_there_are_no_others(
    page: Web, watcher: Watcher
) -> None:
    for which, data in (("then", THEN), ("now", NOW)):
        status, headers, body = Visitor(page).ask(f"/drift-picture?which={which}&shown=1")
        assert (status, headers["Content-Type"], body) == (200, "image/jpeg", data)
    assert Visitor(page).ask("/drift-picture?which=../state")[0] == 404


def test_where_nothing_is_watched_there_is_nothing_to_tell(page: Web) -> None:
    assert Visitor(page).ask("/drift")[0] == 204
    assert Visitor(page).ask("/drift-picture?which=now")[0] == 404
    assert Visitor(page).post("/acknowledge", {})[0] == 409


def test_before_it_is_known_what_stands_nothing_is_told(
    page: Web, surroundings: Surroundings
) -> None:
    surroundings.watcher = Watcher(None)
    assert Visitor(page).ask("/drift")[0] == 204


def test_only_the_page_itself_may_acknowledge(page: Web, watcher: Watcher) -> None:
    assert Visitor(page).post("/acknowledge", {}, X_Fieldguide_CSRF="guessed")[0] == 403
    assert Visitor(page).post("/acknowledge", {}, Origin="http://elsewhere.example")[0] == 403
    assert Visitor(page).ask("/acknowledge")[0] == 405
    assert not watcher.acknowledged
    assert Visitor(page).post("/acknowledge", {})[0] == 200
    assert watcher.acknowledged == [True]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_alarm_is_shown_with_its_cure_two_pictures_and_a_week(
    browsers: Browsers, page: Web, film: Film, watcher: Watcher, size: tuple[int, int]
) -> None:
    with browsers.visit(page, size) as browser:
        eventually(lambda: "Changed: camera." in text(browser, "usual"))
        assert "blurred" in text(browser, "alarms") and "clean the lens" in text(browser, "alarms")
        eventually(lambda: browser.run(LOADED) == [224, 224])
        assert browser.run(BARS) == 3 * len(DAYS)
        assert "Not to be relied on" in text(browser, "estimate")
        assert "rose 40%" in text(browser, "mix")
        assert browser.run(OVERFLOW) == 0
        assert browser.run(NAMELESS) == browser.run(CONTRAST) == []
        assert browser.problems() == []


def test_without_a_picture_of_then_no_broken_one_is_shown(
    browsers: Browsers, page: Web, film: Film, watcher: Watcher
) -> None:
    seen = "return [...document.querySelectorAll('#then-now img')].map((e) => e.checkVisibility())"
    watcher.then = None
    with browsers.visit(page) as browser:
        eventually(lambda: browser.run(seen) == [False, True])


def test_below_a_low_picture_the_next_card_follows_at_once(
    browsers: Browsers, page: Web, film: Film, watcher: Watcher
) -> None:
    gap = """
      const [upper, lower] = [".picture", ".drift"].map((e) => document.querySelector(e));
      return lower.getBoundingClientRect().top - upper.getBoundingClientRect().bottom;
    """
    film.scene = lambda number: sight(number, width=320, height=60)
    with browsers.visit(page, DESKTOP) as browser:
        eventually(lambda: "Changed: camera." in text(browser, "usual"))
        eventually(lambda: text(browser, "label") == "red")
        eventually(lambda: 0 < browser.run(gap) <= 20)


def test_a_change_is_acknowledged_by_pressing_twice(
    browsers: Browsers, page: Web, film: Film, watcher: Watcher
) -> None:
    with browsers.visit(page) as browser:
        eventually(lambda: not browser.run(IS_HIDDEN % "acknowledge"))
        browser.run(CLICK)
        assert "Learn seven new usual days?" in text(browser, "acknowledge")
        assert not watcher.acknowledged
        browser.run(CLICK)
        eventually(lambda: watcher.acknowledged == [True])


def test_quiet_days_are_one_line_and_the_accuracy(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    surroundings.watcher = Watcher(DriftStatus(7, 7, QUIET, Estimate(0.91, 0.88, 0.94, 7), DAYS))
    with browsers.visit(page) as browser:
        eventually(lambda: "as usual" in text(browser, "usual"))
        assert "91% (88%–94%)" in text(browser, "estimate")
        assert browser.run(IS_HIDDEN % "then-now") and browser.run(IS_HIDDEN % "acknowledge")


def test_a_place_unlike_the_training_photos_is_said_before_usual_days_are_learned(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    foreign = FamilyStatus(3.0, True, "2026-11-26", "70% is unlike", CURES[Family.PLACE])
    told = Estimate(0.91, 0.88, 0.94, 7)
    surroundings.watcher = Watcher(DriftStatus(0, 7, {**QUIET, Family.PLACE: foreign}, told))
    with browsers.visit(page) as browser:
        eventually(lambda: "not what the model was trained for" in text(browser, "usual"))
        assert "70% is unlike" in text(browser, "alarms")
        assert "collect and label" in text(browser, "alarms")
        assert "while camera, world or place" in text(browser, "estimate")


def test_days_that_are_learned_are_counted(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    surroundings.watcher = Watcher(DriftStatus(3, 7))
    with browsers.visit(page) as browser:
        eventually(lambda: "learned: 3 of 7" in text(browser, "usual"))
        assert browser.run(IS_HIDDEN % "levels")
