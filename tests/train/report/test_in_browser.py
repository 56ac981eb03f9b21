"""The report in a real browser, as wide as a desktop and as a phone, and what it teaches."""

import re
from html import unescape

import pytest

from tests.support.builds.build_folder import Build
from tests.support.peers.browser import DESKTOP, OVERFLOW, PHONE, Browser, driver

pytestmark = pytest.mark.slow

CONCEPTS = (
    *("convolution", "kernel", "filters", "stride", "padding", "same", "valid", "relu"),
    *("feature map", "max pooling", "flatten", "dense", "softmax", "parameters"),
    *("edges", "textures", "parts", "objects", "blur", "sharpen", "150,528", "moved"),
    *("frozen", "transfer", "imagenet"),
)
"""Of a first lesson on convolutional networks."""


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_the_report_fits_the_screen_and_needs_nothing_else(
    size: tuple[int, int], build: Build
) -> None:
    with driver() as address:
        browser = Browser(address, *size)
        try:
            browser.open((build.folder / "report.html").as_uri())
            assert browser.run(OVERFLOW) <= 0
            broken = "return [...document.images].filter((i) => !i.naturalWidth).length"
            assert browser.run(broken) == 0
            assert browser.run("return performance.getEntriesByType('resource').length") == 0
            assert browser.problems() == []
        finally:
            browser.close()


def test_the_report_teaches_every_concept_on_the_user_s_own_network(build: Build) -> None:
    html = (build.folder / "report.html").read_text("utf-8")
    shown = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]*>", " ", shown)).lower()
    assert [concept for concept in CONCEPTS if concept not in text] == []
