"""A camera that speaks RTSP (RFC 2326), enough for a player: over the same TCP connection or UDP.

PyAV packs the frames into RTP and sends them to a socket of ours; each client gets them from there.
"""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.bitstream import BitStreamFilterContext

from tests.support.pictures import picture
from tests.support.ports import free_port

WIDTH_PX, HEIGHT_PX = 128, 96
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=camera
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 {}/90000
a=control:track0
""".replace("\n", "\r\n")
NAMES = {"mpeg4": "MP4V-ES", "libx264": "H264", "libx265": "H265"}
OPTIONS = {
    "mpeg4": {},
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"},
    "libx265": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "log-level=none:repeat-headers=1:scenecut=0",
    },
}
STAMP_BITS, STAMP_PX = 32, 4


@dataclass
class Habits:
    """How a camera is."""

    codec: str = "mpeg4"
    fps: float = 30.0
    key_interval: int = 5
    """Frames."""
    transports: tuple[str, ...] = ("TCP", "UDP")
    refusal: str = "461 Unsupported Transport"
    """Of any other; empty: the connection is closed without a word."""
    cut: bool = False
    """Repeats its parameters before each of a key frame's four slices (libx264 only)."""
    stamped: bool = False
    """Writes the time into its pictures."""
    turned: str = ""
    """Says how its pixels lie: options of FFmpeg's h264_metadata (libx264 only)."""


class RtspCamera:
    """Shows a class of `pictures.LABELS`, or the time, until it is unplugged."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.label, self.silent = 0, False
        self.loses: Callable[[], bool] = lambda: False
        self.setups: list[str] = []
        self.connections = 0
        self._port = free_port()
        self._clients: list[Callable[[bytes], Any]] = []
        self._connections: list[socket.socket] = []
        self._running = threading.Event()
        self._number = self._ticks = 0
        self._parameters: list[bytes] = []
        self.plug_in()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self._port}/camera"

    def plug_in(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._running.set()
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtp.bind(("127.0.0.1", 0))
        for work in (self._accept, self._encode, self._forward):
            threading.Thread(target=work, args=(self._server, rtp), daemon=True).start()

    def unplug(self) -> None:
        self._running.clear()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._clients.clear()
        self._connections.clear()

    def _accept(self, server: socket.socket, _rtp: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                self._connections.append(client)
                self.connections += 1
                threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.bind(("127.0.0.1", 0))
        with client, out, suppress(OSError), client.makefile("rb") as file:
            send = None
            while request := file.readline().decode():
                fields = {}
                while line := file.readline().decode().strip():
                    name, _, value = line.partition(":")
                    fields[name.lower()] = value.strip()
                method = request.split()[0]
                if method == "SETUP":
                    send = self._set_up(client, out, fields)
                    if send is None and not self.habits.refusal:
                        return
                else:
                    self._answer(client, method, fields["cseq"])
                if method == "PLAY" and send is not None:
                    self._clients.append(send)

    def _set_up(
        self, client: socket.socket, out: socket.socket, fields: dict[str, str]
    ) -> Callable[[bytes], Any] | None:
        asked = fields["transport"]
        kind = "TCP" if "TCP" in asked else "UDP"
        self.setups.append(kind)
        if kind not in self.habits.transports:
            if self.habits.refusal:
                _say(client, self.habits.refusal, [f"CSeq: {fields['cseq']}"])
            return None
        ports = re.search(r"client_port=(\d+)", asked)
        if ports is None:
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        else:
            server = out.getsockname()[1]
            port = int(ports[1])
            transport = (
                f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={server}-{server + 1}"
            )
        _say(client, "200 OK", [f"CSeq: {fields['cseq']}", f"Transport: {transport}", "Session: 1"])
        if ports is None:
            return lambda packet: client.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
        return lambda packet: out.sendto(packet, ("127.0.0.1", port))

    def _answer(self, client: socket.socket, method: str, number: str) -> None:
        head, body = [f"CSeq: {number}"], ""
        if method == "OPTIONS":
            head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = SDP.format(NAMES[self.habits.codec])
            head += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        _say(client, "200 OK", head, body)

    def _encode(self, _server: socket.socket, rtp: socket.socket) -> None:
        habits, address = self.habits, f"rtp://127.0.0.1:{rtp.getsockname()[1]}"
        with av.open(address, "w", format="rtp") as container:
            stream: Any = container.add_stream(habits.codec, rate=round(habits.fps))
            stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
            # A player may come at any time.
            stream.bit_rate, stream.gop_size = 2_000_000, habits.key_interval
            stream.options = OPTIONS[habits.codec]
            if habits.cut:
                stream.options = {**stream.options, "slices": "4"}
            options = f"h264_metadata=display_orientation=insert:{habits.turned}"
            turned = BitStreamFilterContext(options, stream) if habits.turned else None
            next_s = time.monotonic()
            while self._running.is_set():
                frame = av.VideoFrame.from_ndarray(self._scene(), format="rgb24")
                if not self.silent:
                    packets = stream.encode(frame)
                    if turned is not None:
                        packets = [p for packet in packets for p in turned.filter(packet)]
                    if habits.cut:
                        self._send_cut(packets)
                    else:
                        container.mux(packets)
                next_s += 1 / habits.fps
                time.sleep(max(0.0, next_s - time.monotonic()))

    def _scene(self) -> npt.NDArray[np.uint8]:
        pixels = np.ascontiguousarray(picture(self.label, 1, WIDTH_PX, HEIGHT_PX))
        return stamp(pixels, time.monotonic()) if self.habits.stamped else pixels

    def _send_cut(self, packets: list[Any]) -> None:
        """As RTP of our own: one NAL unit a packet, with the parameters before each slice."""
        for packet in packets:
            units = re.split(b"\0?\0\0\x01", bytes(packet))[1:]
            self._parameters = [u for u in units if u[0] & 31 in (7, 8)] or self._parameters
            sent: list[bytes] = []
            for unit in units:
                if unit[0] & 31 == 5:
                    sent += [*self._parameters, unit]
                elif unit[0] & 31 == 1:
                    sent.append(unit)
            self._ticks += round(90000 / self.habits.fps)
            for unit in sent:
                self._number += 1
                last = 0x80 if unit is sent[-1] else 0
                numbers = (0x80, 96 | last, self._number % 2**16, self._ticks % 2**32, 1)
                self._hand_on(struct.pack(">BBHII", *numbers) + unit)

    def _forward(self, _server: socket.socket, rtp: socket.socket) -> None:
        rtp.settimeout(0.1)
        with rtp:
            while self._running.is_set():
                with suppress(TimeoutError):
                    self._hand_on(rtp.recv(65536))

    def _hand_on(self, packet: bytes) -> None:
        if self.loses():
            return
        for send in list(self._clients):
            with suppress(OSError):
                send(packet)


def _say(client: socket.socket, status: str, head: list[str], body: str = "") -> None:
    client.sendall("\r\n".join([f"RTSP/1.0 {status}", *head, "", body]).encode())


def stamp(pixels: npt.NDArray[np.uint8], time_s: float) -> npt.NDArray[np.uint8]:
    """The picture with a moment in it, to the millisecond, as black and white fields."""
    milliseconds = round(time_s * 1000) % 2**STAMP_BITS
    for bit in range(STAMP_BITS):
        columns = slice(bit * STAMP_PX, (bit + 1) * STAMP_PX)
        pixels[:8, columns] = 255 if milliseconds >> bit & 1 else 0
    return pixels


def age_s(pixels: npt.NDArray[np.uint8]) -> float:
    """How old the moment in a stamped picture is, seconds."""
    fields = pixels[2:6, : STAMP_BITS * STAMP_PX].astype(int)
    means = fields.reshape(4, STAMP_BITS, STAMP_PX, 3).mean(axis=(0, 2, 3))
    milliseconds = sum(1 << bit for bit in range(STAMP_BITS) if means[bit] > 127)
    now = round(time.monotonic() * 1000) % int(2**STAMP_BITS)
    return (now - milliseconds) / 1000


@contextmanager
def rtsp_camera(habits: Habits | None = None) -> Iterator[RtspCamera]:
    camera = RtspCamera(habits)
    try:
        yield camera
    finally:
        camera.unplug()
