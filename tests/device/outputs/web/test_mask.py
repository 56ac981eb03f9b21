"""What drawing a mask promises: it is where the camera reads it, and junk costs one clear line."""

import base64
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device.errors import MaskError
from device.outputs.http.places import MAX_STRANGERS_AN_ADDRESS
from device.outputs.web import mask
from device.outputs.web.sink import Web
from device.settings.sections import CameraConfig, CollectConfig, WebConfig
from tests.support.device.observations import Surroundings, nothing
from tests.support.device.serving import served
from tests.support.peers.browser import CONTRAST, NAMELESS, OVERFLOW, PHONE, SMALL, Browser
from tests.support.peers.film import Browsers, Film, click, text
from tests.support.peers.http_visitor import Visitor
from tests.support.timing import eventually

READY = "return document.getElementById('mask').disabled === false && maskFiles.file !== ''"
PAINTED = "return [...get('brush').getContext('2d').getImageData(%d, %d, 1, 1).data][3]"


def drawn(width: int = 320, height: int = 240, *, black: slice = slice(0, 100)) -> bytes:
    """A mask whose left columns are black."""
    grey = np.full((height, width), 255, np.uint8)
    grey[:, black] = 0
    return png(grey)


def png(grey: np.ndarray, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.fromarray(grey).save(data, kind)
    return data.getvalue()


def save(page: Web, picture: bytes, **changed: str) -> tuple[int, str]:
    record = {"picture": base64.b64encode(picture).decode()}
    return Visitor(page).post("/save-mask", record, **changed)


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "mask.png"


def test_a_mask_is_saved_beside_the_collected_photos_and_shown_again(
    page: Web, tmp_path: Path
) -> None:
    assert Visitor(page).ask("/mask")[0] == 204
    status, said = save(page, drawn())
    file = file_of(tmp_path)
    assert (status, json.loads(said)) == (200, {"file": str(file), "other": "", "drawn": True})
    saved = np.asarray(Image.open(file))
    assert saved.shape == (240, 320) and set(np.unique(saved)) == {0, 255}
    assert not saved[:, :100].any() and saved[:, 100:].all()
    status, headers, body = Visitor(page).ask("/mask")
    assert status == 200 and headers["Content-Type"] == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(body))) == saved).all()


def test_of_masks_that_are_saved_at_once_one_is_whole(
    page: Web, tmp_path: Path, crowd: ThreadPoolExecutor
) -> None:
    # No more than one address may have in waiting: the server drops the oldest beyond that.
    sizes = [(320, 240), (640, 480), (64, 48), (160, 120)] * (MAX_STRANGERS_AN_ADDRESS // 4)
    saves = [crowd.submit(save, page, drawn(*size, black=slice(0, 9))) for size in sizes]
    assert {one.result()[0] for one in saves} == {200}
    assert Image.open(file_of(tmp_path)).size in sizes
    assert mask.load(file_of(tmp_path)) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def test_a_mask_that_allows_everything_is_removed(page: Web, tmp_path: Path) -> None:
    save(page, drawn())
    status, said = save(page, drawn(black=slice(0, 0)))
    assert status == 200 and not json.loads(said)["drawn"]
    assert not file_of(tmp_path).exists() and Visitor(page).ask("/mask")[0] == 204
    assert save(page, drawn(black=slice(0, 0)))[0] == 200


def test_a_mask_that_the_settings_name_is_the_one_that_is_shown_and_said(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    other = tmp_path / "by-hand.jpg"
    other.write_bytes(png(np.full((30, 40), 200, np.uint8), "JPEG"))
    context = surroundings.context(
        camera=CameraConfig(mask=str(other)),
        web=WebConfig(port=0),
        collect=CollectConfig(path=str(tmp_path / "collected")),
    )
    with served(Web(context), surroundings) as page:
        shown = np.asarray(Image.open(io.BytesIO(Visitor(page).ask("/mask")[2])))
        assert shown.shape == (30, 40) and shown.all()
        status, said = save(page, drawn())
        assert status == 200 and json.loads(said)["other"] == str(other)
        # What the camera uses is shown, however large it is, and what it does not use is not.
        other.write_bytes(png(np.full((2100, 2100), 200, np.uint8)))
        assert Visitor(page).ask("/mask")[0] == 200
        other.write_bytes(png(np.zeros((30, 40), np.uint8)))
        assert Visitor(page).ask("/mask")[0] == 422
        other.write_bytes(b"no picture")
        status, _, body = Visitor(page).ask("/mask")
        assert status == 422 and body.decode().count("\n") == 1 and str(other) in body.decode()


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (b"", "it is no PNG"),
        (b"no picture", "it is no PNG"),
        (png(np.full((240, 320), 255, np.uint8), "JPEG"), "it is no PNG"),
        (drawn()[:200], "damaged picture"),
        (mask.PNG + b"junk", "not a picture of a known format"),
        (drawn(12, 9, black=slice(0, 1)), "12x9 pixels are too few"),
        (drawn(320, 320), "320x320 pixels have another shape than the camera's 640x480"),
        (drawn(4000, 3000), "4000x3000 pixels are more than"),
        (drawn(black=slice(0, 320)), "nothing in it is white"),
    ],
)
def test_what_cannot_be_the_mask_is_refused_with_one_line(
    page: Web, surroundings: Surroundings, tmp_path: Path, picture: bytes, why: str
) -> None:
    surroundings.telemetry.camera.frames(1, captured_s=time.monotonic(), size_px=(640, 480))
    save(page, drawn())
    before = file_of(tmp_path).read_bytes()
    status, said = save(page, picture)
    assert status == 422 and said.startswith(f"The mask was not saved: {why}"), said
    assert said.count("\n") == 1 and file_of(tmp_path).read_bytes() == before


@pytest.mark.parametrize("record", [{}, [], {"picture": 7}, {"picture": ["x"]}, {"picture": "§"}])
def test_what_is_no_base64_is_refused_with_one_line(page: Web, record: Any) -> None:
    status, said = Visitor(page).post("/save-mask", record)
    assert status == 422 and said.startswith("The mask was not saved: it is no PNG")


@given(st.binary(max_size=300))
def test_junk_behind_a_png_s_first_bytes_is_no_mask(junk: bytes) -> None:
    with pytest.raises(MaskError):
        mask.save(Path("/nowhere/mask.png"), drawn()[:40] + junk, (0, 0))


def test_only_the_own_page_can_save_a_mask(page: Web, tmp_path: Path) -> None:
    for forged in (
        {"Origin": "http://evil.example"},
        {"X_Fieldguide_CSRF": "guessed"},
        {"Content_Type": "text/plain"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        assert save(page, drawn(), **forged)[0] == 403, forged
    assert not file_of(tmp_path).exists()


def test_a_folder_that_cannot_be_written_is_said(page: Web, tmp_path: Path) -> None:
    file_of(tmp_path).mkdir()
    status, said = save(page, drawn())
    assert status == 507 and said.startswith(f"The mask was not saved: {file_of(tmp_path)}: ")


# --- in a browser ---------------------------------------------------------------------------------


def open_editor(browser: Browser) -> None:
    eventually(lambda: browser.run(READY))
    click(browser, "mask")
    eventually(lambda: browser.run("return document.activeElement.id") == "brush")


def test_a_mask_is_drawn_by_touch_and_the_page_says_where_it_is(
    browsers: Browsers, page: Web, film: Film, tmp_path: Path
) -> None:
    with browsers.visit(page, PHONE) as browser:
        open_editor(browser)
        assert "At present the camera looks at whole pictures" in text(browser, "draw-what")
        assert f"saved as {file_of(tmp_path)}." in text(browser, "draw-what")
        assert browser.run(NAMELESS) == browser.run(SMALL) == browser.run(CONTRAST) == []
        assert browser.run(OVERFLOW) == 0
        browser.drag((0.1, 0.5), (0.3, 0.5))
        assert browser.run(PAINTED % (64, 120)) == 255 and browser.run(PAINTED % (200, 20)) == 0
        click(browser, "save-mask")
        eventually(lambda: "Saved as" in text(browser, "told"))
        said = f"Saved as {file_of(tmp_path)}, which the camera uses from now on."
        assert text(browser, "told") == said
        saved = np.asarray(Image.open(file_of(tmp_path)))
        assert saved.shape == (240, 320), "the shape of the frames"
        assert saved[120, 64] == 0 and saved[20, 200] == 255
        # Opened again, it shows what is saved; cleared and saved, it is gone.
        open_editor(browser)
        eventually(lambda: browser.run(PAINTED % (64, 120)) == 255)
        click(browser, "clear")
        click(browser, "save-mask")
        eventually(lambda: "The camera looks everywhere." in text(browser, "told"))
        assert not file_of(tmp_path).exists() and browser.problems() == []


def test_a_mask_is_drawn_and_taken_back_by_keyboard_alone(
    browsers: Browsers, page: Web, film: Film
) -> None:
    with browsers.visit(page) as browser:
        film.scene = nothing
        eventually(lambda: text(browser, "label") == "nothing there")
        open_editor(browser)
        assert "At present" not in text(browser, "draw-what")
        browser.press("ArrowLeft")
        browser.press(" ")
        assert browser.run(PAINTED % (152, 120)) == 255
        click(browser, "allow")
        browser.run("get('brush').focus()")
        browser.press(" ")
        assert browser.run(PAINTED % (152, 120)) == 0
        browser.press("Escape")
        eventually(lambda: browser.run("return document.activeElement.id") == "mask")
        assert browser.run("return get('brush').hidden && get('draw').hidden")


def test_a_mask_that_is_not_used_is_said_to_be_so(
    browsers: Browsers, surroundings: Surroundings, tmp_path: Path
) -> None:
    other = tmp_path / "by-hand.png"
    other.write_bytes(drawn())
    context = surroundings.context(
        camera=CameraConfig(mask=str(other)),
        web=WebConfig(port=0),
        collect=CollectConfig(path=str(tmp_path / "collected")),
    )
    with served(Web(context), surroundings) as page:
        film = Film(page)
        try:
            with browsers.visit(page) as browser:
                open_editor(browser)
                assert f"[camera] mask names {other}" in text(browser, "draw-what")
                eventually(lambda: browser.run(PAINTED % (50, 120)) == 255)
                click(browser, "save-mask")
                eventually(lambda: f"[camera] mask names {other}" in text(browser, "told"))
        finally:
            film.end()
