"""The page of the field as a browser shows it, on a phone and on a desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.convert.field.fieldwork import provenance, save, sorted_photos
from tests.support.builds.build_folder import convert, succeeded
from tests.support.device.tiny_bundle import unpack
from tests.support.peers.browser import DESKTOP, PHONE, driver, fitting

pytestmark = pytest.mark.slow

CONTRAST = """
const light = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
  .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const style = getComputedStyle(document.querySelector(".odd .value b"));
const [one, other] = [style.color, getComputedStyle(document.body).backgroundColor].map(light);
return (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
"""


@pytest.fixture(scope="module")
def chromedriver() -> Iterator[str]:
    with driver() as address:
        yield address


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with a long name, a device that stands out, wrong pictures and a warning."""
    base = tmp_path_factory.mktemp("field_page")
    photos = sorted_photos(base / "photos", per_class=12)
    for number in range(30):
        taken = provenance(1e6 + 1e4 * number, device="a-camera-with-a-very-long-name-by-the-pond")
        save(photos, f"blue/wrong{number}.jpg", taken, 0, 900 + number)
    save(photos, "_review/red/later.jpg", provenance(5e6), index=3)
    folders = ("--bundle", unpack(base), "--training", base, "--out", base / "out")
    succeeded(convert("field", "--data", photos, *folders))
    return base / "out" / "field.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_fits_and_can_be_read(
    size: tuple[int, int], scheme: str, page: Path, chromedriver: str
) -> None:
    with fitting(page, chromedriver, size, scheme) as browser:
        assert browser.run(CONTRAST) > 3
