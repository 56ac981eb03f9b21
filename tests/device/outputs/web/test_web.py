"""What the web page's server promises: the newest picture for a few, and peace for the model."""

import base64
import hashlib
import io
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device.contract.accuracy import Accuracy, Estimate
from device.contract.look.rules import Seen
from device.outputs.http import places
from device.outputs.web import sink as web
from device.outputs.web import view, viewers
from device.outputs.web.frame_from_page import MAX_SIDE_PX
from device.outputs.web.sink import Web
from device.outputs.web.viewers import MAX_VIEWERS
from device.settings.sections import WebConfig
from device.telemetry.observation import Observation
from tests.support.device.observations import (
    MODEL,
    Surroundings,
    nothing,
    publish_until,
    sight,
)
from tests.support.device.serving import served
from tests.support.peers.http_visitor import Visitor, parts, shown
from tests.support.pictures import picture
from tests.support.timing import eventually

TOKEN = "0123456789abcdef"


def test_a_viewer_gets_the_picture_with_what_was_seen_in_it(
    page: Web, crowd: ThreadPoolExecutor
) -> None:
    answer = crowd.submit(Visitor(page).live)
    publish_until(page, answer.done, lambda number: sight(number, label=2))
    state, jpeg = parts(*answer.result()[1:])
    assert state["label"] == "blue" and state["score"] == pytest.approx(0.8)
    assert [name for name, _ in state["top"]] == ["blue", "red", "green"]
    image = Image.open(io.BytesIO(jpeg))
    assert image.size == (160, 120)
    expected = picture(2, state["frame"], 160, 120)
    assert np.abs(np.asarray(image).astype(int) - expected).mean() < 8
    # The crop of a 4:3 frame: its middle square.
    assert state["crop"] == [0.125, 0, 0.875, 1]
    assert np.shape(state["map"]["blue"]) == (7, 7)
    assert state["map"]["blue"][0][0] == 255 > state["map"]["blue"][6][6]


def test_an_even_map_looks_even(page: Web) -> None:
    rng = np.random.default_rng(0)
    nearly = rng.normal(0, 0.05, (7, 7, 3)).astype(np.float32)
    shades = view.heat_map(replace(sight(0), class_map=nearly))
    assert all(np.min(rows) > 200 for rows in shades.values())


def test_pictures_are_asked_for_and_encoded_only_while_someone_looks(
    page: Web, crowd: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "WAIT_S", 0.2)
    monkeypatch.setattr(web, "LINGER_S", 0.2)
    assert not page.wants_pictures
    shown(page, Visitor(page), crowd)
    eventually(lambda: not page.wants_pictures and time.monotonic() > page._next_picture_s, 3)
    time.sleep(0.3)
    assert not page.wants_pictures


def test_each_picture_is_encoded_once_for_all_and_ten_times_a_second_at_most(
    page: Web, crowd: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode_frame = view.encode_frame

    def counted(observation: Observation) -> view.EncodedFrame:
        encoded.append(observation.number)
        return encode_frame(observation)

    monkeypatch.setattr(view, "encode_frame", counted)
    started_s = time.monotonic()

    def look(number: int) -> list[int]:
        visitor, frames = Visitor(page, number), [-1]
        # Longer beside other work, until each has seen five.
        while time.monotonic() < started_s + 1.5 or len(frames) <= 5:
            frames.append(parts(*visitor.live(frames[-1])[1:])[0]["frame"])
        return frames[1:]

    looks = [crowd.submit(look, number) for number in range(MAX_VIEWERS)]
    publish_until(page, lambda: all(look.done() for look in looks))
    seconds = time.monotonic() - started_s
    assert len(encoded) == len(set(encoded)) <= 10 * seconds + 1
    for frames in (look.result() for look in looks):
        assert len(frames) == len(set(frames))
        assert set(frames) <= set(encoded)


def test_a_fifth_viewer_is_told_why_and_gets_in_when_one_has_gone(
    page: Web, crowd: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "WAIT_S", 0.1)
    for number in range(MAX_VIEWERS):
        assert Visitor(page, number).live()[0] == 204
    status, _, body = Visitor(page, 99).live()
    assert status == 503 and b"There are 4 viewers already" in body
    assert Visitor(page, 0).live()[0] == 204
    monkeypatch.setattr(viewers, "EXPIRE_S", 0.0)
    assert Visitor(page, 99).live()[0] == 204


@pytest.mark.parametrize("name", ["", "x", "0" * 15, "0" * 65, "0123456789ABCDEF", "../../etc"])
def test_a_viewer_without_a_proper_name_is_refused(page: Web, name: str) -> None:
    assert Visitor(page).ask(f"/live?viewer={name}")[0] == 400


def test_pictures_are_let_go_when_nobody_looks_any_more(
    page: Web,
    surroundings: Surroundings,
    crowd: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "WAIT_S", 0.1)
    monkeypatch.setattr(web, "LINGER_S", 0.1)
    monkeypatch.setattr(viewers, "EXPIRE_S", 0.2)
    shown(page, Visitor(page), crowd)
    assert page._viewers._newest is not None
    time.sleep(0.4)
    page.tick(surroundings.status())
    eventually(lambda: page._viewers._newest is None and not page._viewers._viewers, 2)


def test_large_frames_go_out_smaller() -> None:
    image = Image.open(io.BytesIO(view.jpeg(np.zeros((1944, 2592, 3), np.uint8))))
    assert max(image.size) <= MAX_SIDE_PX


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 5))
def test_a_picture_is_made_smaller_strip_by_strip_as_it_is_in_one(
    width: int, height: int, factor: int
) -> None:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    whole = np.asarray(Image.fromarray(pixels).reduce(factor))
    np.testing.assert_array_equal(view.reduced(pixels, factor), whole)


@pytest.mark.parametrize(
    ("size", "kept"),
    [((640, 480), (640, 480)), ((1920, 1080), (1920, 1080)), ((4096, 2160), (1366, 720))],
)
def test_a_viewer_holds_on_to_the_whole_frame_at_a_size_that_can_be_saved(
    size: tuple[int, int], kept: tuple[int, int]
) -> None:
    width, height = size
    frame = np.zeros((height, width, 3), np.uint8)
    frame[100:301, 200:403] = 200
    observation = replace(sight(0), picture=frame, crop_box=(200, 100, 403, 301))
    held = view.encode_frame(observation).observation
    assert held.picture is not None and held.picture.shape == (kept[1], kept[0], 3)
    assert held.picture.base is None or held.picture.base.size <= held.picture.size, "no view"
    left, upper, right, lower = held.crop_box
    inside = held.picture[upper + 1 : lower - 1, left + 1 : right - 1]
    assert inside.size and (inside == 200).all(), "the box is around the same thing"


def test_nothing_there_is_an_answer_of_its_own_in_the_history(page: Web) -> None:
    named = replace(MODEL, labels=("nothing", "green", "blue"))
    page.publish(nothing(1, changed=True))
    page.publish(sight(2, changed=True, model=named))
    history = Visitor(page).health()["history"]
    said = [(change["label"], change["nothing"]) for change in history["changes"]]
    assert said == [("nothing", False), ("nothing", True)], "a class may have that name"
    assert [sample[1:] for sample in history["samples"]] == [["nothing", 0.0, True]]


def test_a_viewer_is_told_what_a_look_at_the_frame_found(
    page: Web, crowd: ThreadPoolExecutor
) -> None:
    something = {"seen": Seen.SOMETHING, "crop_box": (40, 30, 80, 70), "changed_permille": 83}
    state = shown(page, Visitor(page, 1), crowd, **something)
    assert (state["seen"], state["changed_permille"], state["nothing"]) == ("something", 83, False)
    assert state["crop"] == [0.25, 0.25, 0.5, 0.58333]
    assert view.frame_record(sight(0))["seen"] is None, "it is not looked at"


# --- history, health, access ------------------------------------------------------------------


def test_the_history_has_the_changes_newest_first_and_no_pictures(page: Web) -> None:
    for number, label in enumerate([0, None, 2]):
        page.publish(sight(number, label, changed=True))
    history = Visitor(page).health()["history"]
    assert [change["label"] for change in history["changes"]] == ["blue", "unknown", "red"]
    assert all(0 <= change["age_s"] < 60 for change in history["changes"])
    assert len(history["samples"]) == 1
    assert all(change.picture is None for change in page._history._changes)


def test_the_history_is_bounded() -> None:
    history, observation = view.History(), sight(0, changed=True)
    for number in range(2000):
        history.add(replace(observation, monotonic_s=float(number)))
    record = history.record()
    assert len(record["changes"]) == view.MAX_CHANGES
    assert len(record["samples"]) == view.MAX_SAMPLES


def test_health_hides_passwords_and_names_problems(page: Web, surroundings: Surroundings) -> None:
    surroundings.telemetry.camera.lost("unplugged")
    surroundings.telemetry.start_sink("mqtt").failed("no broker")
    surroundings.telemetry.model_problem("its digest differs")
    health = Visitor(page).health()
    assert health["camera"]["problem"] == "unplugged" and health["camera"]["state"] == "lost"
    assert health["outputs"]["mqtt"] == "no broker"
    assert health["model_problem"] == "its digest differs"
    assert "secret" not in json.dumps(health)


def test_the_measured_accuracy_is_that_of_the_model_that_runs(
    page: Web, surroundings: Surroundings
) -> None:
    assert Visitor(page).health()["model"]["accuracy"] is None
    surer, elsewhere = Estimate(0.7, 0.6, 0.78), Estimate(0.6, 0.4, 0.8)
    accuracy = Accuracy(0.75, 0.5, 0.9, 12, 7, surer, elsewhere)
    surroundings.telemetry.model(replace(MODEL, accuracy=accuracy))
    assert Visitor(page).health()["model"]["accuracy"] == {
        **{"value": 0.75, "low": 0.5, "high": 0.9, "photos": 12, "events": 7},
        "same_places": asdict(surer),
        "new_places": asdict(elsewhere),
    }


def test_the_page_runs_nothing_but_what_is_written_in_it(page: Web) -> None:
    status, headers, body = Visitor(page).ask("/")
    policy = headers["Content-Security-Policy"]
    assert status == 200
    assert "unsafe" not in policy and "default-src 'none'" in policy
    (script,) = re.findall(rb"<script>(.*?)</script>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    # No outside asset: nothing is fetched but what the policy's own origin serves.
    outside = re.findall(rb"""(?:src|href|url)\s*[=(]\s*["']?(\w+:)?//""", body)
    assert outside == []


def test_on_the_network_one_visit_with_the_token_opens_the_page(
    surroundings: Surroundings,
) -> None:
    config = WebConfig(address="0.0.0.0", port=0, token=TOKEN)
    with served(Web(surroundings.context(web=config)), surroundings) as page:
        stranger = Visitor(page)
        for path in ("/health", "/live?viewer=0123456789abcdef", "/nowhere"):
            assert stranger.ask(path)[0] == 401
        status, _, body = stranger.ask("/")
        assert status == 401 and b'name="token"' in body and b"csrf" not in body
        status, headers, body = stranger.ask("/?token=wrong")
        assert status == 401 and b"That token is wrong" in body and "Set-Cookie" not in headers
        status, headers, body = stranger.ask(f"/?token={TOKEN}")
        assert status == 303 and headers["Location"] == "?signed-in=1" and body == b""
        guest = Visitor(page, Cookie=headers["Set-Cookie"].split(";")[0])
        assert guest.ask("/")[0] == 200 and guest.health()["version"]
        # Once signed in, the token does not stay in the address bar.
        assert guest.ask(f"/?token={TOKEN}")[:1] == (303,)


def test_the_form_signs_in_by_post_and_only_from_the_own_page(surroundings: Surroundings) -> None:
    config = WebConfig(address="0.0.0.0", port=0, token=TOKEN)
    form = f"token={TOKEN}".encode()
    with served(Web(surroundings.context(web=config)), surroundings) as page:
        own = {"Origin": f"http://127.0.0.1:{page.port}"}
        stranger = Visitor(page)
        _, headers, body = stranger.ask("/")
        assert b'action="?" method="post"' in body
        # "no-referrer" would make browsers send "Origin: null" with the form.
        assert headers["Referrer-Policy"] == "strict-origin"
        status, headers, body = stranger.ask("/", "POST", b"token=wrong", **own)
        assert status == 401 and b"That token is wrong" in body and "Set-Cookie" not in headers
        assert stranger.ask("/", "POST", form, Origin="http://evil.example")[0] == 403
        status, headers, _ = stranger.ask("/", "POST", form, **own)
        assert status == 303 and headers["Location"] == "?signed-in=1"
        guest = Visitor(page, Cookie=headers["Set-Cookie"].split(";")[0])
        assert guest.ask("/?signed-in=1")[0] == 200
        # A browser that keeps no cookie is told so, and not asked again without a word.
        status, _, body = stranger.ask("/?signed-in=1")
        assert status == 401 and b"did not keep the cookie" in body


@pytest.mark.parametrize("path", ["/", "/health"])
def test_pages_elsewhere_may_frame_it_only_where_the_settings_name_them(
    surroundings: Surroundings, page: Web, path: str
) -> None:
    headers = Visitor(page).ask(path)[1]
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    card = "http://homeassistant.local:8123"
    config = WebConfig(port=0, frame_ancestors=(card,))
    with served(Web(surroundings.context(web=config)), surroundings) as framed:
        headers = Visitor(framed).ask("/")[1]
        assert "X-Frame-Options" not in headers
        assert f"frame-ancestors {card}" in headers["Content-Security-Policy"]


def test_unknown_paths_are_404_and_other_methods_405(page: Web) -> None:
    for path in ("/index.html", "/../etc/passwd", "/live/", "/page.html", "/%2e%2e/x", "/x/"):
        assert Visitor(page).ask(path)[0] == 404
    for path, method, allowed in (
        ("/live", "POST", "GET, HEAD"),
        ("/health", "POST", "GET, HEAD"),
        ("/save", "GET", "POST"),
        ("/save", "HEAD", "POST"),
    ):
        status, headers, _ = Visitor(page).ask(path, method)
        assert (status, headers["Allow"]) == (405, allowed)


# --- many clients -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_hundred_stuck_clients_are_refused_or_dropped_and_frames_go_on(
    page: Web, surroundings: Surroundings
) -> None:
    sink = surroundings.run(page)
    stop = threading.Event()
    frames = 0

    def film() -> None:
        nonlocal frames
        while not stop.wait(0.005):
            # As the frame loop does: it hands over and never waits.
            sink.put(sight(frames))
            frames += 1

    thread = threading.Thread(target=film)
    thread.start()
    try:
        with ExitStack() as stack:
            asked = b"GET /live?viewer=%016x HTTP/1.1\r\nHost: localhost\r\n\r\n"
            for number in range(100):
                stuck = socket.create_connection(("127.0.0.1", page.port), timeout=5)
                stack.enter_context(closing(stuck))
                # A third says nothing, a third half a request, a third asks and never reads.
                stuck.sendall([b"", b"GET / HTT", asked % number][number % 3])
            before = frames
            eventually(lambda: frames > before + 50, within_s=1)
            assert len(page._server._places) <= places.MAX_TRUSTED + places.MAX_STRANGERS
            assert len(page._viewers._viewers) <= MAX_VIEWERS
            # They cost the others their places for seconds only.
            eventually(lambda: len(page._server._places) == 0, within_s=12)
        assert Visitor(page).health()["version"]
    finally:
        stop.set()
        thread.join()
        sink.start_closing()
        assert sink.join(30)
