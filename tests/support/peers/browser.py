"""A headless Chromium, driven through chromedriver's W3C WebDriver interface."""

import base64
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_S = 20
STARTS = 3
PHONE, DESKTOP = (390, 844), (1280, 900)
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
NAMELESS = """
  const all = [...document.querySelectorAll("button, select, input, [tabindex='0']")];
  const named = (e) => e.textContent.trim() || e.labels?.length || e.ariaLabel
    || document.getElementById(e.getAttribute("aria-labelledby"));
  return all.filter((e) => !named(e)).map((e) => e.id);
"""
"""What can be used and has no name, for those who only hear the page."""
SMALL = """
  const all = [...document.querySelectorAll("button, select, input")];
  const low = (e) => e.checkVisibility() && e.getBoundingClientRect().height < 44;
  return all.filter(low).map((e) => e.id);
"""
"""What is smaller than a finger."""
CONTRAST = """
  const curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const bright = ([r, g, b]) =>
    0.2126 * curve(r / 255) + 0.7152 * curve(g / 255) + 0.0722 * curve(b / 255);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e.checkVisibility() || e.disabled) continue;
    const both = [numbers(getComputedStyle(e).color), ground(e)].map(bright);
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (ratio < 4.5) poor.push(`${node.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return poor;
"""
"""Texts that are too pale on their ground."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


class Browser:
    def __init__(self, driver: str, width: int, height: int) -> None:
        self._driver = driver
        options = {"args": [*ARGUMENTS, f"--window-size={width},{height}"]}
        if width < 500:
            # A window cannot be that narrow.
            metrics = {"width": width, "height": height, "pixelRatio": 2}
            options["mobileEmulation"] = {"deviceMetrics": metrics}  # type: ignore[assignment]
        always = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            # A proxy of a test has a certificate of its own making.
            "acceptInsecureCerts": True,
        }
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": always}})
        self._session = f"/session/{session['sessionId']}"

    def open(self, url: str) -> None:
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """The value that a script returns, or its promise's."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def enter(self, frame: int | None) -> None:
        """Look into a frame of the page, by its number; None: at the whole page again."""
        self._call("POST", f"{self._session}/frame", {"id": frame})

    def cookies(self) -> list[dict[str, Any]]:
        """What the browser would send to the page that is open."""
        found: list[dict[str, Any]] = self._call("GET", f"{self._session}/cookie")
        return found

    def forget(self) -> None:
        """Delete all cookies of all pages."""
        self._cdp("Network.clearBrowserCookies", {})

    def problems(self) -> list[str]:
        """Errors and warnings on the console since the last call."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [e["message"] for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def emulate(self, **features: str) -> None:
        """Media features of the user's system, as prefers_color_scheme="dark"."""
        media = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self._cdp("Emulation.setEmulatedMedia", {"features": media})

    def press(self, key: str) -> None:
        """Press a key where the focus is, as a person would."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, " ": 32, "ArrowLeft": 37}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._cdp("Input.dispatchKeyEvent", {"type": "keyDown", **event, **text})
        self._cdp("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw a finger over the live picture, from one place to another, in its fractions."""
        box = self.run("return document.getElementById('picture').getBoundingClientRect().toJSON()")
        for kind, places in (("Start", [start]), ("Move", [end]), ("End", [])):
            points = [
                {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
                for x, y in places
            ]
            self._cdp("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        wanted = {"format": "png", "captureBeyondViewport": whole}
        path.write_bytes(base64.b64decode(self._cdp("Page.captureScreenshot", wanted)["data"]))

    def close(self) -> None:
        self._call("DELETE", self._session)

    def _cdp(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._call(
            "POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters}
        )

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._driver + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


@contextmanager
def fitting(page: Path, chromedriver: str, size: tuple[int, int], scheme: str) -> Iterator[Browser]:
    """A browser that shows a page, which fits the screen, has no errors and loads nothing else.

    Args:
        page: an HTML file.
        chromedriver: its address, from `driver`.
        size: width and height of the screen, pixels.
        scheme: the colours that the user prefers, "light" or "dark".
    """
    browser = Browser(chromedriver, *size)
    try:
        browser.emulate(prefers_color_scheme=scheme)
        browser.open(page.as_uri())
        assert browser.run(OVERFLOW) <= 0
        assert browser.problems() == []
        assert browser.run("return performance.getEntriesByType('resource').length") == 0
        yield browser
    finally:
        browser.close()


@contextmanager
def driver() -> Iterator[str]:
    """The address of a running chromedriver; skips where there is none, or no browser."""
    if not shutil.which("chromedriver") or not any(map(shutil.which, BROWSERS)):
        pytest.skip("no Chromium to drive: apt-get install chromium chromium-driver")
    process, port = _started()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_S)


def _started() -> "tuple[subprocess.Popen[str], int]":
    """A chromedriver and its port; several that start at once may want the same one."""
    for _ in range(STARTS):
        process = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if port := _port(process):
            return process, port
        process.wait(START_S)
    raise AssertionError("chromedriver did not start")


def _port(process: "subprocess.Popen[str]") -> int | None:
    assert process.stdout is not None
    for line in process.stdout:
        words = line.rstrip(".\n").split()
        if "port" in words and words[-1].isdigit() and words[-1] != "0":
            return int(words[-1])
    return None
