"""A page that is left open while its service goes and comes back, and what its user reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from device.outputs.web import viewers
from device.outputs.web.sink import Web
from device.settings.sections import WebConfig
from tests.support.device.observations import Surroundings, sight
from tests.support.peers.browser import Browser
from tests.support.peers.film import Browsers, Film, click, text
from tests.support.timing import eventually

HOLDS = "return document.getElementById('hold')?.disabled === false"
SHOWN = "return document.getElementById(%r).hidden"
FACTS = "return [...document.querySelectorAll('#facts dt')].map((e) => e.textContent)"


@contextmanager
def restarted(surroundings: Surroundings, port: int) -> Iterator[Web]:
    again = Web(surroundings.context(web=WebConfig(enabled=True, port=port)))
    eventually(lambda: _listens(again, surroundings))
    film = Film(again)
    film.show(2)
    try:
        yield again
    finally:
        film.end()
        again.close()


def _listens(page: Web, surroundings: Surroundings) -> bool:
    page.tick(surroundings.status())
    return page.port > 0


def held_frame(browser: Browser) -> int:
    eventually(lambda: browser.run(HOLDS))
    click(browser, "hold")
    browser.run("return pending")
    return int(browser.run("return seen.frame"))


def test_a_frame_that_was_held_through_a_restart_is_saved_as_it_is_seen(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    port = page.port
    with browsers.visit(page) as browser:
        frame = held_frame(browser)
        film.end()
        page.close()
        click(browser, "send")
        eventually(lambda: "No connection" in text(browser, "told"))
        assert not browser.run(SHOWN % "save")
        with restarted(surroundings, port):
            # The other picture runs already; the held one is what is saved.
            eventually(lambda: text(browser, "pulse").endswith("frames/s"))
            click(browser, "send")
            eventually(lambda: "Saved as red" in text(browser, "told"))
            assert surroundings.kept == [(frame, "red")]
            (kept,) = surroundings.observations
            assert kept.label == "red" and kept.picture is not None
            assert np.abs(kept.picture.astype(int) - sight(frame).picture).mean() < 8
            eventually(lambda: text(browser, "label") == "blue")


def test_a_frame_that_was_held_while_its_viewer_was_forgotten_is_saved(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    with browsers.visit(page) as browser:
        frame = held_frame(browser)
        # As after a sleep of the computer.
        page._viewers = viewers.Viewers()
        click(browser, "send")
        eventually(lambda: "Saved as red" in text(browser, "told"))
        assert surroundings.kept == [(frame, "red")]


def test_the_health_of_a_service_that_is_down_is_not_shown_as_its_health_now(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    port = page.port
    with browsers.visit(page) as browser:
        eventually(lambda: "streaming" in text(browser, "facts"))
        film.end()
        page.close()
        eventually(lambda: browser.run(FACTS) == ["Connection"])
        assert "last contact" in text(browser, "facts")
        assert text(browser, "pulse") == "no connection"
        with restarted(surroundings, port):
            eventually(lambda: "streaming" in text(browser, "facts"), within_s=20)
            eventually(lambda: browser.run(SHOWN % "notice"))


def test_where_nothing_takes_frames_the_page_says_so_before_one_asks(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings
) -> None:
    surroundings.telemetry.end_sink("collect", surroundings.collect)
    with browsers.visit(page) as browser:
        eventually(lambda: text(browser, "hold") == "Hold")
        eventually(lambda: browser.run(HOLDS))
        click(browser, "hold")
        assert "enable [output.collect]" in text(browser, "ask")
        assert browser.run(SHOWN % "send") and browser.run(SHOWN % "pick")
        click(browser, "back")
        surroundings.telemetry.start_sink("collect")
        eventually(lambda: text(browser, "hold") == "Hold and save")
        click(browser, "hold")
        assert not browser.run(SHOWN % "send")


@pytest.mark.parametrize("name", ["\u202eesor", "\u2067rose", "وردة", "rose\u2069\u202e", "שושנה"])
def test_a_name_turns_no_text_around_but_its_own(
    browsers: Browsers, page: Web, film: Film, surroundings: Surroundings, name: str
) -> None:
    model = replace(sight(0).model, labels=(name, "green", "blue"))
    surroundings.telemetry.model(model)
    film.scene = lambda number: sight(number, None, model=model)
    with browsers.visit(page) as browser:
        letters = "".join(c for c in name if c.isalpha())
        said = f"cannot be told apart here: \u2068{letters}\u2069, \u2068green\u2069 and"
        eventually(lambda: text(browser, "why").startswith(said))
        # The words after the name stand from left to right.
        places = browser.run("""
          const texts = document.createTreeWalker(get("why"), NodeFilter.SHOW_TEXT), places = [];
          for (let node = texts.nextNode(); node; node = texts.nextNode()) {
            const at = node.textContent.indexOf("green");
            for (let i = 0; at >= 0 && i < 5; i++) {
              const range = document.createRange();
              range.setStart(node, at + i);
              range.setEnd(node, at + i + 1);
              places.push(range.getBoundingClientRect().left);
            }
          }
          return places;
        """)
        assert len(places) == 5 and places == sorted(places)
