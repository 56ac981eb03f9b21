"""What the page says of visits: today's with pictures, newest first, and a bar for each day."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device.contract.look.rules import Seen
from device.outputs.web.sink import Web
from device.outputs.web.visits import DAYS, MOST_LISTED
from device.settings.sections import VisitsConfig, WebConfig
from device.visits.days import today
from device.visits.picture import jpeg
from device.visits.store import VisitStore
from tests.support.device.observations import Surroundings, nothing, sight
from tests.support.device.serving import served
from tests.support.device.visits import visit
from tests.support.peers.browser import CONTRAST, DESKTOP, NAMELESS, OVERFLOW, PHONE, Browser
from tests.support.peers.film import Browsers, Film, text
from tests.support.peers.http_visitor import Visitor
from tests.support.pictures import picture
from tests.support.timing import eventually

pytestmark = pytest.mark.usefixtures("about_noon")
JPEG = jpeg(picture(0, 1, 80, 80))
ROWS = "return [...document.querySelectorAll('#visit-list li')].map((row) => row.innerText)"
PICTURES = (
    "return [...document.querySelectorAll('#visit-list img')].map("
    "(img) => img.complete && img.naturalWidth)"
)


@pytest.fixture
def store(tmp_path: Path) -> VisitStore:
    """Where the page of the tests reads visits."""
    return VisitStore(tmp_path / "visits", 10, 30.0)


def asked(page: Web) -> Any:
    return json.loads(Visitor(page).ask("/visits")[2])


def of_today(ago_s: float, label: str = "wren", **more: Any) -> Any:
    return visit(time.time() - ago_s, label, picture=JPEG, **more)


def test_today_s_visits_are_listed_newest_first_with_their_pictures(
    page: Web, store: VisitStore
) -> None:
    added = [of_today(30 - 10 * i, label) for i, label in enumerate(("wren", "robin"))]
    added.append(of_today(10, "unknown", why="unlike the training photos; nearest: wren"))
    for one in added:
        store.add(one)
    told = asked(page)
    assert told["today"] == [one.record() for one in reversed(added)]
    assert (told["follows"], told["going"], told["more"]) == (True, None, 0)
    for one in added:
        status, headers, body = Visitor(page).ask(f"/visit-picture?visit={one.id}")
        assert (status, headers["Content-Type"], body) == (200, "image/jpeg", JPEG)


def test_each_of_the_last_days_has_its_count_and_empty_days_have_none(
    page: Web, store: VisitStore
) -> None:
    noon_s = time.mktime((*(today() - timedelta(days=2)).timetuple()[:3], 12, 0, 0, 0, 0, -1))
    for start_s, label in ((noon_s, "wren"), (noon_s + 60, "robin"), (noon_s + 120, "robin")):
        store.add(visit(start_s, label))
    store.add(visit(noon_s - 60 * 86400, "of long ago"))
    days = asked(page)["days"]
    assert [day["day"] for day in days] == [
        (today() - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS))
    ]
    assert days[-3]["visits"] == {"wren": 1, "robin": 2}
    assert all(day["visits"] == {} for day in [*days[:-3], *days[-2:]])


def test_a_busy_day_is_counted_whole_and_listed_in_part(page: Web, store: VisitStore) -> None:
    for number in range(MOST_LISTED + 5):
        store.add(of_today(number % 7))
    told = asked(page)
    assert len(told["today"]) == MOST_LISTED and told["more"] == 5
    assert told["days"][-1]["visits"] == {"wren": MOST_LISTED + 5}


def test_a_visit_that_goes_on_is_told_until_it_has_ended(page: Web, store: VisitStore) -> None:
    going = of_today(5, end_unix_s=None)
    page.publish(sight(1, seen=Seen.SOMETHING, visit=going))
    assert asked(page)["going"] == going.record()
    assert Visitor(page).ask(f"/visit-picture?visit={going.id}")[2] == JPEG
    ended = going.ended(time.time())
    page.publish(nothing(2, visit=ended, visit_changed=True))
    assert asked(page)["going"] is None
    page.publish(nothing(3))
    assert asked(page)["going"] is None


@pytest.mark.parametrize(
    "name", ["", "x", "20261126-071502-3fa2b1", "../../mask", "%2e%2e/20261126-071502-3fa2b1"]
)
def test_a_picture_that_is_not_there_is_404_wherever_the_name_leads(page: Web, name: str) -> None:
    status, _, body = Visitor(page).ask(f"/visit-picture?visit={name}")
    assert (status, body) == (404, b"There is no picture of this visit.\n")


def test_visits_are_for_those_with_the_token(surroundings: Surroundings) -> None:
    config = WebConfig(address="0.0.0.0", port=0, token="0123456789abcdef")
    with served(Web(surroundings.context(web=config)), surroundings) as page:
        for path in ("/visits", "/visit-picture?visit=20261126-071502-3fa2b1", "/mask"):
            assert Visitor(page).ask(path)[0] == 401


# --- in a browser ---------------------------------------------------------------------------------


def listed(browser: Browser) -> list[str]:
    return [" ".join(row.split()) for row in browser.run(ROWS)]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_lists_visits_with_picture_label_time_and_duration(
    browsers: Browsers, page: Web, film: Film, store: VisitStore, size: tuple[int, int]
) -> None:
    why = "unlike the training photos; nearest: wren"
    ended, unknown = of_today(200, "robin"), of_today(100, "unknown", end_unix_s=None, why=why)
    ended = ended.ended(ended.start_unix_s + 12)
    unknown = unknown.ended(unknown.start_unix_s + 180)
    going = of_today(5, "<b>wren</b>", end_unix_s=None)
    for one in (ended, unknown):
        store.add(one)
    film.scene = lambda number: sight(number, seen=Seen.SOMETHING, visit=going)
    with browsers.visit(page, size) as browser:
        eventually(lambda: len(listed(browser)) == 3, within_s=15)
        first, second, third = listed(browser)
        assert first.startswith("<b>wren</b> 87%") and first.endswith("still there")
        assert second.startswith("unknown ") and second.endswith(f", 3 min {why}")
        assert third.startswith("robin 87%") and third.endswith(", 12 s")
        eventually(lambda: browser.run(PICTURES) == [80, 80, 80])
        assert "2 today: " in text(browser, "today") and "1 robin" in text(browser, "today")
        bars = "return [...document.querySelectorAll('#days li')].map((day) => day.innerText)"
        assert len(browser.run(bars)) == DAYS
        assert browser.run(bars)[-1].split()[0] == "2" and "today" in browser.run(bars)[-1]
        title = browser.run("return document.querySelector('#days li:last-child').title")
        assert title in ("today: 1 robin, 1 unknown", "today: 1 unknown, 1 robin")
        assert browser.run(NAMELESS) == browser.run(CONTRAST) == []
        assert browser.run(OVERFLOW) == 0 and browser.problems() == []
        # It ends: its row stays where it is, and says for how long.
        store.add(going.ended(going.start_unix_s + 30))
        film.scene = nothing
        eventually(lambda: listed(browser)[0].endswith(", 30 s"), within_s=15)
        assert len(listed(browser)) == 3


def test_a_picture_that_is_gone_leaves_its_place_empty(
    browsers: Browsers, page: Web, film: Film, store: VisitStore
) -> None:
    store.add(replace(of_today(5), picture=None))
    with browsers.visit(page) as browser:
        missing = "return document.querySelector('#visit-list img.missing') !== null"
        eventually(lambda: browser.run(missing), within_s=15)


def test_where_no_visits_can_be_the_page_does_not_speak_of_them(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings, tmp_path: Path
) -> None:
    hidden = "return document.getElementById('visits').hidden"
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "label") == "red")
        browser.run("return ask('visits').then(({ body }) => showVisits(JSON.parse(body)))")
        assert browser.run(hidden), "the camera is not looked at"
        film.scene = nothing
        eventually(lambda: not browser.run(hidden), within_s=15)
        assert text(browser, "today") == "No visit has ended today yet."
    context = surroundings.context(web=WebConfig(port=0), visits=VisitsConfig(enabled=False))
    with served(Web(context), surroundings) as other:
        assert asked(other)["follows"] is False
