"""What saving a frame from the page promises: the one that was seen, under a name that can be."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device.contract import provenance
from device.contract.look.rules import Seen
from device.outputs.collect import snapshot
from device.outputs.web import frame_from_page, view, viewers
from device.outputs.web.sink import Web
from tests.support.device.observations import MODEL, Surroundings, nothing, publish_until, sight
from tests.support.peers.http_visitor import Visitor, parts, shown

NOT_RESTORED = ("why", "nearest", "nothing", "also", "invoke_ms", "latency_ms", "size_px", "map")
"""What a page knows of a frame and need not send back."""


def test_the_frame_that_was_shown_is_the_one_that_is_saved(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor
) -> None:
    visitor, other = Visitor(page, 1), Visitor(page, 2)
    frame = shown(page, visitor, crowd)["frame"]
    # Meanwhile others see newer ones.
    later = shown(page, other, crowd)["frame"]
    assert visitor.save(frame, "green") == (200, json.dumps({"file": f"green/{frame}.jpg"}))
    assert visitor.save(frame, "poppy red")[0] == 200
    assert surroundings.kept == [(frame, "green"), (frame, "poppy red")]
    if later != frame:
        assert visitor.save(later, "green")[0] == 409


def test_only_the_own_page_can_save(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor
) -> None:
    visitor = Visitor(page)
    frame = shown(page, visitor, crowd)["frame"]
    for forged in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"X_Fieldguide_CSRF": "guessed"},
        {"X_Fieldguide_CSRF": ""},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        assert visitor.save(frame, "green", more=None, **forged)[0] == 403, forged
    assert visitor.save(frame, "green", Host="evil.example")[0] == 421
    assert surroundings.kept == []


@pytest.mark.parametrize(
    "label",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        "a\\b",
        "-x",
        "_x",
        "a\nb",
        "x" * 201,
        "菊" * 67,
        None,
        7.5,
    ],
)
def test_a_class_that_is_no_good_name_of_a_folder_is_refused(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor, label: Any
) -> None:
    visitor = Visitor(page)
    frame = shown(page, visitor, crowd)["frame"]
    status, said = visitor.save(frame, label)
    assert status == 422 and said.startswith("Not saved: the class name ")
    assert surroundings.kept == []


@pytest.mark.parametrize(
    "label", ["Rosa canina (wild)", "O'Neil's finch", "Rosa sp.", "گل‌ها", "🌻", "菊" * 64]
)
def test_an_ordinary_name_is_one(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor, label: str
) -> None:
    visitor = Visitor(page)
    frame = shown(page, visitor, crowd)["frame"]
    assert visitor.save(frame, label)[0] == 200
    assert surroundings.kept == [(frame, label)]


def test_a_class_of_the_model_keeps_its_spelling(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor
) -> None:
    visitor = Visitor(page)
    frame = shown(page, visitor, crowd)["frame"]
    assert visitor.save(frame, "GREEN")[0] == 200
    assert surroundings.kept == [(frame, "green")]


def test_why_a_frame_was_not_saved_is_shown(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor
) -> None:
    surroundings.cannot_keep = "the disk is full"
    visitor = Visitor(page)
    frame = shown(page, visitor, crowd)["frame"]
    assert visitor.save(frame, "green") == (507, "Not saved: the disk is full\n")


def test_a_frame_that_the_service_forgot_is_saved_from_what_the_page_has(
    page: Web, surroundings: Surroundings, crowd: ThreadPoolExecutor
) -> None:
    visitor = Visitor(page)
    answer = crowd.submit(visitor.live)
    publish_until(page, answer.done)
    state, jpeg = parts(*answer.result()[1:])
    # As after a restart.
    page._viewers = viewers.Viewers()
    assert visitor.save(state["frame"], "green")[0] == 409
    sent = {"state": state, "picture": base64.b64encode(jpeg).decode()}
    assert visitor.save(state["frame"], "green", more=sent)[0] == 200
    (kept,) = surroundings.observations
    shown_pixels = np.asarray(Image.open(io.BytesIO(jpeg)))
    assert kept.picture is not None and (kept.picture == shown_pixels).all()
    assert kept.crop_box == (20, 0, 140, 120)
    assert kept.unix_s == state["time"] and kept.source == "rtsp://garden/stream #1"
    assert kept.model.sha256 == MODEL.sha256 and kept.top[0][0] == "red"
    assert kept.top[0][1] == pytest.approx(0.8)
    assert provenance.read(snapshot.shot(kept, 90).photo("labelled", "green")) is not None


@given(
    st.recursive(st.none() | st.floats() | st.text(max_size=9), lambda v: st.lists(v, max_size=4))
)
def test_what_a_page_cannot_have_is_no_frame(junk: Any) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG")
    picture = base64.b64encode(data.getvalue()).decode()
    state = view.frame_record(sight(0, seen=Seen.SOMETHING))
    assert frame_from_page.restore(state, picture) is not None
    for key in [key for key in state if key not in NOT_RESTORED]:
        changed = frame_from_page.restore({**state, key: junk}, picture)
        assert changed is None or snapshot.shot(changed, 90).photo("labelled", "x")
        assert (
            frame_from_page.restore({k: v for k, v in state.items() if k != key}, picture) is None
        )
    assert frame_from_page.restore(junk, picture) is frame_from_page.restore(state, junk) is None


def test_a_frame_in_which_a_visitor_was_missed_is_saved_with_what_the_look_found() -> None:
    missed = nothing(4, changed_permille=7)
    assert missed.picture is not None
    data = io.BytesIO()
    Image.fromarray(missed.picture).save(data, "JPEG")
    picture = base64.b64encode(data.getvalue()).decode()
    restored = frame_from_page.restore(view.frame_record(missed), picture)
    for held in (view.encode_frame(missed).observation, restored):
        assert held is not None
        record = provenance.read(snapshot.shot(held, 90).photo("labelled", "green"))
        assert record is not None and (record.label, record.top, record.box) == ("green", {}, None)
        assert (record.seen, record.changed_permille) == ("nothing", 7)


def test_pictures_larger_than_a_page_gets_or_damaged_are_refused() -> None:
    state = view.frame_record(sight(0))
    for size in ((frame_from_page.MAX_SIDE_PX + 1, 8), (8, 8)):
        data = io.BytesIO()
        Image.new("RGB", size).save(data, "JPEG")
        cut = data.getvalue()[: 10**9 if size[0] > 8 else -40]
        assert frame_from_page.restore(state, base64.b64encode(cut).decode()) is None


def test_nonsense_is_no_fault(page: Web) -> None:
    headers = {"Origin": f"http://127.0.0.1:{page.port}", "Content_Type": "application/json"}
    csrf = Visitor(page).csrf()
    for body in (b"", b"[]", b"{", b"[" * 4000, b'{"frame": "x", "viewer": []}', b"\xff"):
        status, _, _ = Visitor(page).ask("/save", "POST", body, X_Fieldguide_CSRF=csrf, **headers)
        assert status == 409
