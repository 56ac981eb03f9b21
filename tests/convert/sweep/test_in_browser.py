"""The page of a sweep as a browser shows it, on a phone and on a desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from convert.sweep.choice import choose
from convert.sweep.page import Compared, render
from convert.sweep.trial import Sweep
from tests.convert.sweep.trials import EVENTS, entry, trial
from tests.support.peers.browser import CONTRAST, DESKTOP, PHONE, driver, fitting

pytestmark = pytest.mark.slow

ABOVE_FIGURES = """
return [...document.querySelectorAll('.trials thead tr + tr th')].filter(cell => {
  const style = getComputedStyle(cell);
  return style.position === 'sticky' || style.textAlign !== 'right';
}).map(cell => cell.textContent)
"""
"""Headers of figures that stay where the names of networks are, or are not above their figures."""


@pytest.fixture(scope="module")
def chromedriver() -> Iterator[str]:
    with driver() as address:
        yield address


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with 16 trials, of which one failed at length."""
    entries = [
        entry(f"{backbone}@{size}", right + size // 32, macs * (size / 224) ** 2, mb)
        for backbone, right, macs, mb in (
            ("mobilenet-v2", 367, 300, 2.7),
            ("efficientnet-lite0", 379, 385, 3.8),
            ("efficientnet-lite1", 381, 585, 4.6),
            ("efficientnet-lite2", 382, 820, 5.3),
        )
        for size in (160, 192, 224, 256)
    ]
    failed = trial(entries[3], "the int8 model may not ship: " + "top-1 accuracy lost; " * 12)
    trials = [*map(trial, entries[:3]), failed, *map(trial, entries[4:])]
    good = [one for one in entries if one is not entries[3]]
    names = tuple(one.name for one in trials)
    sweep = Sweep(names, "3,257 flower photos in five classes", "2026-11-26, a machine")
    file = tmp_path_factory.mktemp("sweep_page") / "index.html"
    found = Compared(sweep, trials, good, choose(good, EVENTS))
    file.write_text(render(found, Path("build/sweep")), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_fits_and_can_be_read(
    size: tuple[int, int], scheme: str, page: Path, chromedriver: str
) -> None:
    with fitting(page, chromedriver, size, scheme) as browser:
        assert browser.run(CONTRAST) == []
        assert browser.run(ABOVE_FIGURES) == []
