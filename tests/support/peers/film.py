"""A page with frames on it, and browsers that look at it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from device.outputs.web.sink import Web
from device.telemetry.observation import Observation
from tests.support.device.observations import sight
from tests.support.peers.browser import DESKTOP, Browser


class Film:
    """Frames for a page, as `scene` says."""

    def __init__(self, page: Web) -> None:
        self.scene: Callable[[int], Observation] = sight
        self.running = threading.Event()
        self.running.set()
        self._page, self._stop = page, threading.Event()
        self._thread = threading.Thread(target=self._roll, daemon=True)
        self._thread.start()

    def show(self, label: int | None) -> None:
        """From now on this, beginning with a change."""
        first = threading.Event()

        def scene(number: int) -> Observation:
            changed = not first.is_set()
            first.set()
            return sight(number, label, changed=changed)

        self.scene = scene

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _roll(self) -> None:
        number = 0
        while not self._stop.wait(0.03):
            if self.running.is_set():
                observation = self.scene(number)
                if not self._page.wants_pictures:
                    observation = observation.without_picture()
                self._page.publish(observation)
                number += 1


class Browsers:
    """One browser of each size, for all tests: to start one takes a second or more."""

    def __init__(self, address: str) -> None:
        self._address, self._open = address, dict[tuple[int, int], Browser]()

    @contextmanager
    def visit(
        self, page: Web, size: tuple[int, int] = DESKTOP, address: str = ""
    ) -> Iterator[Browser]:
        """Open a page, or the address that leads to it."""
        if size not in self._open:
            self._open[size] = Browser(self._address, *size)
        browser = self._open[size]
        browser.problems()
        browser.forget()
        browser.open(address or f"http://127.0.0.1:{page.port}/")
        yield browser
        browser.enter(None)
        browser.emulate()
        browser.open("about:blank")

    def close(self) -> None:
        for browser in self._open.values():
            browser.close()


def text(browser: Browser, element: str) -> str:
    return str(browser.run(f"return document.getElementById('{element}').textContent"))


def click(browser: Browser, element: str) -> None:
    browser.run(f"document.getElementById('{element}').click()")
