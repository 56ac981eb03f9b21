"""No secret of the settings leaves a whole service, whatever its camera and broker do."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.device.running_service import manager, running, settings
from tests.support.peers.cameras import jpeg, mjpeg_camera
from tests.support.peers.mqtt_broker import Broker, listening
from tests.support.ports import free_port
from tests.support.timing import eventually

MARKS = ("zqzq", "7x7x")
"""Each secret below has both, and nothing else has."""
TOKEN = "ZqZq-0123456789abcdef-7X7X"


def outputs(folder: Path, broker: int, web: int, metrics: int) -> str:
    return f"""
[output.mqtt]
enabled = true
host = "127.0.0.1"
port = {broker}
user = "garden"
password = "ZqZq mqtt #7X7X"
[output.web]
enabled = true
port = {web}
token = "{TOKEN}"
[output.prometheus]
enabled = true
port = {metrics}
token = "{TOKEN}"
[output.collect]
enabled = true
path = "{folder}/collected"
max_per_minute = 600
margin = 1.0
min_free_mb = 0
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path)
    started.start()
    try:
        yield started
    finally:
        started.stop()


def asked(port: int, path: str) -> str:
    request = Request(
        f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with suppress(OSError), urlopen(request, timeout=5) as answer:
        return str(answer.read().decode("utf-8", "replace"))
    return ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "secret",
    ["admin:ZqZq%40%23%2F7X7X@", "ZqZq%407X7X:ZqZq@a:7X7X@", ""],
    ids=["encoded", "as it is", "none"],
)
def test_a_camera_s_secrets_are_in_nothing_that_is_shown_sent_or_stored(
    secret: str, broker: Broker, tiny_bundle: Path, tmp_path: Path
) -> None:
    web, metrics = free_port(), free_port()
    (tmp_path / "run").mkdir()
    with mjpeg_camera() as camera, manager(tmp_path) as (notify, messages):
        source = camera.url.replace("//", f"//{secret}") + "?user=ZqZq7X7X&pwd=ZqZq%207X7X"
        text = settings(tiny_bundle, source, outputs(tmp_path, broker.port, web, metrics))
        with (
            listening(broker) as listener,
            running(tmp_path / "run", text, NOTIFY_SOCKET=notify) as service,
        ):
            service.wait_for_lines(3)
            eventually(lambda: list((tmp_path / "collected").rglob("*.jpg")))
            camera.frame = lambda: jpeg(0)[:300]
            service.wait_for_log("camera: ")
            camera.unplug()
            service.wait_for_log("refused")
            eventually(lambda: "refused" in asked(web, "/health"))
            # If the stall before was told first, the next reason comes with the regular message.
            eventually(lambda: any("refused" in said for said in listener.payloads("health")), 75)
            eventually(lambda: any("refused" in message for message in messages))
            told = [asked(web, "/health"), asked(metrics, "/metrics")]
            service.reload(text.replace('user = "garden"', "user = 5"))
            service.wait_for_log("settings not accepted")
            assert service.stop()[0] == 0
    sent = [payload for _, payload, _ in listener.messages]
    stored = [
        path.read_bytes().decode("latin-1") for path in (tmp_path / "collected").rglob("*.jpg")
    ]
    assert stored and all(told) and "?..." in told[0]
    said = [*told, *sent, *messages, *service.log, *map(json.dumps, service.lines), *stored]
    for text in said:
        assert not all(mark in text.lower() for mark in MARKS), text
