"""The web page in a real browser: what people see, by sight, by keyboard and by ear."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from device.contract.look.rules import Seen
from device.outputs.web import sink as web
from device.outputs.web import viewers
from device.outputs.web.sink import Web
from device.settings.sections import WebConfig
from device.telemetry.observation import Also
from device.telemetry.updates import SoftwareStatus, UpdateStatus
from tests.support.device.observations import Surroundings, nothing, sight
from tests.support.device.serving import served
from tests.support.peers.browser import CONTRAST, DESKTOP, NAMELESS, OVERFLOW, PHONE, SMALL, Browser
from tests.support.peers.film import Browsers, Film, click, text
from tests.support.pictures import LABELS
from tests.support.timing import eventually

PIXEL = """
  const canvas = document.getElementById("picture"), pen = canvas.getContext("2d");
  const at = (x, y) => pen.getImageData(x * canvas.width, y * canvas.height, 1, 1).data;
  return [...at(arguments[0], arguments[1])];
"""
BARS = "return [...document.querySelectorAll('#bars b')].map((b) => b.textContent)"


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings(threshold=0.5)


def pixel(browser: Browser, x: float, y: float) -> list[int]:
    """R, G, B, A of the picture at a place given in fractions."""
    script = PIXEL.replace("arguments[0]", str(x)).replace("arguments[1]", str(y))
    return list(browser.run(script))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_what_is_seen_without_errors_overflow_or_pale_text(
    browsers: Browsers, page: Web, film: Film, size: tuple[int, int], scheme: str
) -> None:
    with browsers.visit(page, size) as browser:
        browser.emulate(prefers_color_scheme=scheme)
        eventually(lambda: text(browser, "label") == "red")
        eventually(lambda: "Accuracy" in text(browser, "facts"))
        assert text(browser, "why") == "80% sure"
        assert browser.run(BARS) == ["red", "green", "blue"]
        assert pixel(browser, 0.5, 0.5) != [0, 0, 0, 0]
        film.show(None)
        eventually(lambda: text(browser, "label") == "unknown")
        red, green, blue = (f"\u2068{name}\u2069" for name in LABELS)
        alike = f"cannot be told apart here: {red}, {green} and {blue}"
        assert text(browser, "why") == f"{alike}; a label needs 50%"
        eventually(lambda: "unknown" in text(browser, "changes"))
        # A percentage beside it would be taken for how sure that is.
        assert "%" not in browser.run("return get('changes').firstChild.textContent")
        click(browser, "hold")
        click(browser, "map")
        assert browser.run(OVERFLOW) == 0
        assert browser.run(CONTRAST) == []
        assert browser.problems() == []


def test_the_page_tells_which_signed_release_runs_and_what_a_newer_one_waits_for(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    with browsers.visit(page, PHONE) as browser:
        eventually(lambda: "Running" in text(browser, "facts"))
        assert "Release" not in text(browser, "facts")
        told = UpdateStatus(
            source="https://fleet.example/public/a-folder-with-a-long-name-that-wraps-somewhere",
            name="birds",
            installed=2,
            latest=3,
            checked_unix_s=time.time(),
            waits="its hours, 2:00 to 5:00",
            failed=("1: the service crashed 3 times",),
            software=SoftwareStatus(
                installed=4,
                latest=5,
                stage="trial",
                doing="on trial, for 7 min",
                failed=("3: its updater stands",),
                version="0.2.0",
                runs="software-1a2b3c4d5e6f",
            ),
        )
        surroundings.telemetry.update(told)
        eventually(lambda: "birds/2" in text(browser, "facts"))
        facts = text(browser, "facts")
        assert "birds/3" in facts and "release 1: the service crashed 3 times" in facts
        assert "time not verified" in facts and "waits for its hours" in facts
        assert "https://fleet.example/public" in facts and "on trial, for 7 min" in facts
        assert "software/4, trial" in facts and "0.2.0 in software-1a2b3c4d5e6f" in facts
        assert "software/5" in facts and "software 3: its updater stands" in facts
        surroundings.telemetry.update(replace(told, verified=True, problem="answers 500"))
        eventually(lambda: "answers 500" in text(browser, "facts"))
        assert "by a time server" in text(browser, "facts")
        assert browser.run(OVERFLOW) == 0 and browser.run(CONTRAST) == []
        assert browser.problems() == []


def test_the_overlay_shades_what_does_not_speak_for_the_class(
    browsers: Browsers, page: Web, film: Film
) -> None:
    plain = np.full((120, 160, 3), 200, np.uint8)
    film.scene = lambda number: replace(sight(number), picture=plain)
    with browsers.visit(page) as browser:
        eventually(lambda: pixel(browser, 0.25, 0.2)[0] > 190)
        assert pixel(browser, 0.75, 0.9)[0] > 190
        click(browser, "map")
        eventually(lambda: pixel(browser, 0.75, 0.9)[0] < 120)
        # The map speaks for it in the upper left of the crop; left of the crop nothing is seen.
        assert pixel(browser, 0.25, 0.2)[0] > 190
        assert pixel(browser, 0.05, 0.2)[0] < 120
        click(browser, "map")
        eventually(lambda: pixel(browser, 0.75, 0.9)[0] > 190)


def test_a_box_is_drawn_around_what_is_there_and_only_then(
    browsers: Browsers, page: Web, film: Film
) -> None:
    plain = np.full((120, 160, 3), 100, np.uint8)
    box: dict[str, Any] = {"picture": plain, "crop_box": (40, 30, 80, 90)}
    edges = [(0.25, 0.5), (0.375, 0.25), (0.5, 0.5), (0.375, 0.75)]
    film.scene = lambda number: sight(number, seen=Seen.SOMETHING, **box)
    with browsers.visit(page) as browser:
        eventually(lambda: all(pixel(browser, *at)[1] > 200 for at in edges))
        assert abs(pixel(browser, 0.375, 0.5)[1] - 100) < 8, "what is in it stays as it is"
        # The class map lies in the box; outside of it nothing was classified.
        click(browser, "map")
        eventually(lambda: pixel(browser, 0.9, 0.9)[1] < 50)
        assert pixel(browser, *edges[0])[1] > 200
        click(browser, "map")
        film.scene = lambda number: nothing(number, **box)
        eventually(lambda: not any(pixel(browser, *at)[1] > 200 for at in edges))
        film.scene = lambda number: sight(number, **box)
        eventually(lambda: text(browser, "label") == "red")
        assert not any(pixel(browser, *at)[1] > 200 for at in edges), "it is not looked at"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_the_camera_does_with_its_background_is_said_in_plain_words(
    browsers: Browsers, page: Web, film: Film, size: tuple[int, int]
) -> None:
    with browsers.visit(page, size) as browser:
        eventually(lambda: text(browser, "label") == "red")
        film.scene = lambda number: nothing(number, changed=number % 10 == 0)
        eventually(lambda: text(browser, "label") == "nothing there")
        assert text(browser, "why") == "" and browser.run(BARS) == []
        eventually(lambda: "nothing there" in text(browser, "changes"))
        assert "%" not in browser.run("return get('changes').firstChild.textContent")
        eventually(
            lambda: "nothing there" in browser.run("return get('spark').ariaLabel"), within_s=8
        )
        for seen, words in (
            (Seen.LEARNING, "Learning the background"),
            (Seen.LIGHT, "Light changed"),
            (Seen.MOVED, "Camera moved"),
        ):
            film.scene = partial(sight, seen=seen)
            eventually(partial(_says_of_place, browser, words))
            assert text(browser, "label") == "red"
        assert browser.run(OVERFLOW) == 0 and browser.run(CONTRAST) == []
        assert browser.problems() == []


def test_a_second_subject_has_a_box_and_a_label_of_its_own(
    browsers: Browsers, page: Web, film: Film
) -> None:
    plain = np.full((120, 160, 3), 100, np.uint8)
    scene: dict[str, Any] = {"picture": plain, "crop_box": (10, 10, 50, 50)}
    scene |= {"seen": Seen.SOMETHING, "also": (Also((80, 30, 140, 90), "blue", 0.64),)}
    film.scene = lambda number: sight(number, **scene)
    with browsers.visit(page, PHONE) as browser:
        eventually(lambda: text(browser, "place") == "Also there: blue, 64%")
        edge = [pixel(browser, 0.5, y / 120)[1] for y in range(32, 88)]
        assert max(edge) > 200 and min(edge) < 120, "dashed"
        assert text(browser, "label") == "red"
        film.scene = nothing
        eventually(lambda: text(browser, "place") == "")


def _says_of_place(browser: Browser, words: str) -> bool:
    return text(browser, "place").startswith(words)


def test_the_frame_that_is_held_is_saved_under_the_chosen_class(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    with browsers.visit(page) as browser:
        eventually(lambda: not browser.run("return document.getElementById('hold').disabled"))
        click(browser, "hold")
        # A frame that was on its way then may still be shown, and is the one that is held.
        browser.run("return pending")
        held = browser.run("return seen.frame")
        time.sleep(0.5)
        assert browser.run("return seen.frame") == held
        browser.run("document.getElementById('class').value = 'blue'")
        click(browser, "send")
        eventually(lambda: "Saved as blue" in text(browser, "told"))
        assert surroundings.kept == [(held, "blue")]
        eventually(lambda: browser.run("return seen.frame") > held)
        assert browser.problems() == []


def test_a_frame_is_saved_by_keyboard_alone_and_escape_goes_back(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    with browsers.visit(page, PHONE) as browser:
        eventually(lambda: not browser.run("return document.getElementById('hold').disabled"))
        focused = "return document.activeElement.id"
        for _ in range(2):
            browser.press("Tab")
        assert browser.run(focused) == "hold"
        browser.press("Enter")
        eventually(lambda: browser.run(focused) == "class")
        browser.press("Escape")
        eventually(lambda: browser.run(focused) == "hold")
        browser.press("Enter")
        eventually(lambda: browser.run(focused) == "class")
        browser.press("Tab")
        assert browser.run(focused) == "send"
        browser.press("Enter")
        eventually(lambda: "Saved as red" in text(browser, "told"))
        assert [label for _, label in surroundings.kept] == ["red"]


def test_why_a_frame_was_not_saved_is_said(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    surroundings.cannot_keep = "no output saves pictures"
    with browsers.visit(page) as browser:
        eventually(lambda: not browser.run("return document.getElementById('hold').disabled"))
        click(browser, "hold")
        click(browser, "send")
        eventually(lambda: text(browser, "told") == "Not saved: no output saves pictures")
        assert not browser.run("return document.getElementById('save').hidden")


def test_a_lost_camera_is_said_and_its_return_needs_no_reload(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "label") == "red")
        film.running.clear()
        surroundings.telemetry.camera.lost("unplugged")
        eventually(lambda: "No camera: unplugged" in text(browser, "notice"))
        assert text(browser, "label") == "no picture now"
        assert text(browser, "quiet") == "None: there is no picture."
        surroundings.telemetry.camera.streams()
        film.show(1)
        film.running.set()
        eventually(lambda: text(browser, "label") == "green")
        eventually(lambda: browser.run("return document.getElementById('notice').hidden"))
        eventually(lambda: text(browser, "quiet") == "")


def test_without_a_single_picture_the_camera_s_problem_is_said_at_once(
    browsers: Browsers,
    page: Web,
    film: Film,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "WAIT_S", 60)
    film.running.clear()
    surroundings.telemetry.camera.lost("unplugged")
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "notice") == "No camera: unplugged. Trying again.")
        disabled = (
            "return ['map', 'hold', 'mask'].every((id) => document.getElementById(id).disabled)"
        )
        assert browser.run(disabled), "there is nothing that they could act on"


def test_a_camera_that_sends_nothing_is_not_taken_for_a_lost_connection(
    browsers: Browsers, page: Web, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "WAIT_S", 0.1)
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "label") == "red")
        film.running.clear()
        for _ in range(3):
            browser.run("return pending")
            assert browser.run("return linkProblem") == ""


def test_the_page_comes_back_by_itself_after_the_service_did(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    port = page.port
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "label") == "red")
        film.end()
        page.close()
        eventually(lambda: "No connection" in text(browser, "notice"))
        web = Web(surroundings.context(web=WebConfig(enabled=True, port=port)))
        with served(web, surroundings) as again:
            second = Film(again)
            second.show(2)
            try:
                eventually(lambda: text(browser, "label") == "blue", within_s=15)
            finally:
                second.end()


def test_a_fifth_viewer_reads_why_it_sees_nothing(
    browsers: Browsers, page: Web, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        page._viewers.admit(f"{number:016x}")
    with browsers.visit(page) as browser:
        eventually(lambda: "There are 4 viewers already" in text(browser, "notice"))
        monkeypatch.setattr(viewers, "EXPIRE_S", 0.5)
        # The others have gone: it gets in by itself.
        eventually(lambda: text(browser, "label") == "red", within_s=20)


def test_labels_are_shown_as_text_whatever_they_are(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    model = replace(sight(0).model, labels=(hostile, "b", "c" * 200), name=hostile)
    surroundings.telemetry.model(model)
    film.scene = lambda number: sight(number, changed=number % 20 == 0, model=model)
    with browsers.visit(page, PHONE) as browser:
        eventually(lambda: text(browser, "label") == hostile)
        eventually(lambda: hostile in text(browser, "changes"))
        assert browser.run("return document.querySelectorAll('img').length") == 0
        assert browser.run(OVERFLOW) == 0
        assert browser.problems() == []


def test_changes_are_spoken_politely_and_all_controls_have_names(
    browsers: Browsers, page: Web, film: Film
) -> None:
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "label") == "red")
        assert browser.run("return document.getElementById('label').ariaLive") == "polite"
        click(browser, "hold")
        assert browser.run(NAMELESS) == []
        landmarks = (
            "return ['header', 'main', 'footer', 'h1'].every((e) => document.querySelector(e))"
        )
        assert browser.run(landmarks)
        assert browser.run("return document.documentElement.lang") == "en"
        assert browser.run(SMALL) == []


def test_nothing_moves_for_who_does_not_want_it(browsers: Browsers, page: Web, film: Film) -> None:
    with browsers.visit(page) as browser:
        browser.emulate(prefers_reduced_motion="reduce")
        eventually(lambda: text(browser, "label") == "red")
        bar = "return getComputedStyle(document.querySelector('.bar i')).transitionDuration"
        assert browser.run(bar) == "0s"


def test_signing_in_with_the_token_leads_to_the_page(
    browsers: Browsers, surroundings: Surroundings
) -> None:
    token = "0123456789abcdef"
    config = WebConfig(address="0.0.0.0", port=0, token=token)
    with served(Web(surroundings.context(web=config)), surroundings) as page:
        film = Film(page)
        try:
            _sign_in(browsers, page, token)
        finally:
            film.end()


def _sign_in(browsers: Browsers, page: Web, token: str) -> None:
    with browsers.visit(page, PHONE) as browser:
        field = "document.querySelector('input[name=token]')"
        # Browsers give it the focus when they first paint, which may come after the load.
        eventually(lambda: browser.run(f"return document.activeElement === {field}"))
        browser.run(f"{field}.value = 'wrong-wrong-wrong'; {field}.form.requestSubmit()")
        eventually(lambda: browser.run(_said("alert")) == "That token is wrong.")
        browser.run(f"{field}.value = '{token}'; {field}.form.requestSubmit()")
        eventually(lambda: browser.run("return Boolean(document.getElementById('label'))"))
        eventually(lambda: text(browser, "label") == "red")
        assert token not in str(browser.run("return location.href + document.cookie"))


def _said(role: str) -> Any:
    return f"return document.querySelector('[role={role}]')?.textContent"
