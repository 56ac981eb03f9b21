"""A release that waits can be installed from the page, by the page alone, and only then."""

from dataclasses import replace

import pytest

from device.errors import OutputError
from device.outputs.web.sink import Web
from device.telemetry.updates import UpdateStatus
from tests.support.device.observations import WAITING, Surroundings
from tests.support.peers.browser import CONTRAST, DESKTOP, NAMELESS, OVERFLOW, PHONE, SMALL
from tests.support.peers.film import Browsers, Film, text
from tests.support.peers.http_visitor import Visitor
from tests.support.timing import eventually

HIDDEN = "return document.getElementById('install').hidden"
DISABLED = "return document.getElementById('install').disabled"
CLICK = "document.getElementById('install').click()"
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


class Updating:
    """Notes wishes."""

    update = WAITING

    def __init__(self) -> None:
        self.wishes, self.problem = list[bool](), ""

    def install_update(self) -> None:
        if self.problem:
            raise OutputError(self.problem)
        self.wishes.append(True)


@pytest.fixture
def updating(surroundings: Surroundings) -> Updating:
    updating = Updating()
    surroundings.updating = updating
    surroundings.telemetry.update(WAITING)
    return updating


def test_only_the_page_itself_may_install(page: Web, updating: Updating) -> None:
    assert Visitor(page).post("/install", {}, X_Fieldguide_CSRF="guessed")[0] == 403
    assert Visitor(page).post("/install", {}, Origin="http://elsewhere.example")[0] == 403
    assert Visitor(page).post("/install", {}, Content_Type="text/plain")[0] == 403
    assert Visitor(page).ask("/install")[0] == 405
    assert not updating.wishes
    assert Visitor(page).post("/install", {})[0] == 200
    assert updating.wishes == [True]


def test_where_no_releases_are_fetched_there_is_nothing_to_install(page: Web) -> None:
    status, said = Visitor(page).post("/install", {})
    assert status == 409 and "update.enabled" in said


def test_a_wish_that_cannot_be_written_down_is_said(page: Web, updating: Updating) -> None:
    updating.problem = "update: /var/lib: No space left on device"
    status, said = Visitor(page).post("/install", {})
    assert (status, said.strip()) == (507, f"Not asked for: {updating.problem}")


@SIZES
def test_a_release_that_waits_is_installed_by_a_press(
    browsers: Browsers, page: Web, film: Film, updating: Updating, size: tuple[int, int]
) -> None:
    with browsers.visit(page, size) as browser:
        eventually(lambda: text(browser, "install") == "Install birds/3 now")
        assert not browser.run(HIDDEN) and not browser.run(DISABLED)
        assert browser.run(NAMELESS) == browser.run(CONTRAST) == browser.run(SMALL) == []
        browser.run(CLICK)
        eventually(lambda: updating.wishes == [True])
        eventually(lambda: text(browser, "wish").startswith("birds/3 is wanted"))
        assert browser.run(DISABLED) and browser.run(OVERFLOW) == 0
        assert browser.problems() == []


@pytest.mark.parametrize(
    "status",
    [
        replace(WAITING, installed=3),
        replace(WAITING, stage="trial"),
        replace(WAITING, stage="watch"),
        replace(WAITING, failed=("3: the service crashed 3 times",)),
        None,
    ],
    ids=["newest", "trial", "watch", "led back", "no releases"],
)
def test_there_is_no_button_without_a_release_that_could_be_taken(
    browsers: Browsers,
    page: Web,
    film: Film,
    updating: Updating,
    surroundings: Surroundings,
    status: UpdateStatus | None,
) -> None:
    with browsers.visit(page) as browser:
        eventually(lambda: not browser.run(HIDDEN))
        surroundings.telemetry.update(status)
        eventually(lambda: browser.run(HIDDEN))


def test_what_hinders_it_is_said_beside_the_button(
    browsers: Browsers, page: Web, film: Film, updating: Updating
) -> None:
    updating.problem = "update: /var/lib: No space left on device"
    with browsers.visit(page) as browser:
        eventually(lambda: not browser.run(HIDDEN))
        browser.run(CLICK)
        eventually(lambda: "No space left" in text(browser, "wish"))
        assert not browser.run(DISABLED)


def test_a_stick_that_is_waited_for_and_a_group_that_nobody_knows_are_told(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    away = replace(WAITING, latest=2, away="the stick", unknown_group="gardn")
    surroundings.telemetry.update(away)
    with browsers.visit(page, PHONE) as browser:
        eventually(lambda: "for the stick" in text(browser, "facts"))
        assert "gardn" in text(browser, "facts") and "stage of all" in text(browser, "facts")
        assert browser.run(OVERFLOW) == 0 and browser.problems() == []
