"""Cameras that tests can break: an MJPEG server on loopback, and a picamera2 that is none."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.support.pictures import encoded, picture
from tests.support.ports import free_port

BOUNDARY = "frame"
Bytes = npt.NDArray[np.uint8]


def jpeg(label: int, width: int = 128, height: int = 96) -> bytes:
    """A frame that shows one of `pictures.LABELS`."""
    return encoded(picture(label, 1, width, height), "JPEG", quality=90)


class MjpegCamera:
    """A camera on the network that sends what `frame` returns, until it is unplugged.

    `frame` may return None: then nothing is sent, and the connection stays open.
    """

    def __init__(self, fps: float = 40.0, address: str = "127.0.0.1") -> None:
        self.frame: Callable[[], bytes | None] = lambda: jpeg(0)
        self.fps, self.address = fps, address
        self.connections = 0
        self._server: ThreadingHTTPServer | None = None
        self._port = free_port()
        self._plugged = threading.Event()
        self.plug_in()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self._port}/stream.mjpg"

    def plug_in(self) -> None:
        """Serve, on the same port as before."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.connections += 1
                self.send_response(200)
                kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
                self.send_header("Content-Type", kind)
                self.end_headers()
                with suppress(OSError):
                    camera._send(self.wfile)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._plugged.set()
        self._server = Server((self.address, self._port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def unplug(self) -> None:
        """Drop the connections and refuse new ones."""
        self._plugged.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def _send(self, file: Any) -> None:
        while self._plugged.is_set():
            data = self.frame()
            if data is not None:
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                file.write(f"{head}\r\n\r\n".encode() + data + b"\r\n")
            time.sleep(1 / self.fps)


@contextmanager
def mjpeg_camera(fps: float = 40.0, address: str = "127.0.0.1") -> Iterator[MjpegCamera]:
    camera = MjpegCamera(fps, address)
    try:
        yield camera
    finally:
        camera.unplug()


class FakeRequest:
    """A completed request, as picamera2's `CompletedRequest` is."""

    def __init__(self, camera: "FakePicamera2", number: int) -> None:
        self._camera, self._number, self.released = camera, number, False

    def make_array(self, name: str) -> Bytes:
        """The stream's buffer in the shape that picamera2 gives it."""
        assert not self.released, "a released request has no buffer any more"
        config = self._camera.camera_configuration()[name]
        rgb = self._camera.scene
        if config["format"] == "BGR888":
            return rgb.copy()
        if config["format"] == "RGB888":
            return rgb[..., ::-1].copy()
        assert config["format"] == "YUV420"
        return yuv420(rgb, config["stride"])

    def release(self) -> None:
        assert not self.released
        self.released = True


class FakePicamera2:
    """Modelled on picamera2 0.3.x: a Pi 5 if `rgb_lores`, else a Pi 4.

    As there, "BGR888" is R, G, B in memory, a Pi 4 refuses a low-resolution stream that is not
    YUV, and YUV420 arrives with padded rows.
    """

    rgb_lores = True
    present = True
    frames_before_hang: int | None = None
    scene: Bytes = np.zeros((480, 640, 3), np.uint8)
    made: "list[FakePicamera2]"

    def __init__(self) -> None:
        self._config: dict[str, Any] = {}
        self.requests: list[FakeRequest] = []
        self.started = self.stopped = False
        type(self).made.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return [{"Model": "imx708", "Num": 0}] if cls.present else []

    def create_preview_configuration(
        self, main: dict[str, Any], lores: dict[str, Any], controls: dict[str, Any]
    ) -> dict[str, Any]:
        return {"main": dict(main), "lores": dict(lores), "controls": dict(controls)}

    def configure(self, config: dict[str, Any]) -> None:
        width, height = config["lores"]["size"]
        if config["lores"]["format"] != "YUV420" and not self.rgb_lores:
            raise RuntimeError("lores stream must be YUV")
        assert (height, width) == self.scene.shape[:2]
        config["lores"]["stride"] = width + 64
        self._config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self._config

    def start(self) -> None:
        self.started = True

    def capture_request(self) -> FakeRequest:
        assert self.started
        if self.frames_before_hang is not None and len(self.requests) >= self.frames_before_hang:
            threading.Event().wait()
        time.sleep(0.005)
        self.requests.append(FakeRequest(self, len(self.requests)))
        return self.requests[-1]

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        pass


def yuv420(rgb: Bytes, stride: int) -> Bytes:
    """Full-range BT.601 (JPEG's), in planes whose rows are padded to `stride` with noise."""
    height, width = rgb.shape[:2]
    planes = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (height, stride), np.uint8)
    luma[:, :width] = planes[..., 0]
    chroma = rng.integers(0, 256, (2, height // 2, stride // 2), np.uint8)
    for i in (0, 1):
        chroma[i, :, : width // 2] = planes[::2, ::2, i + 1]
    return np.concatenate([luma.reshape(-1), chroma.reshape(-1)]).reshape(height * 3 // 2, stride)
