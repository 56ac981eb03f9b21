"""A camera that speaks RTSP (RFC 2326), enough for a player: RTP over the same TCP connection.

PyAV packs the frames (MPEG-4) into RTP and sends them to a socket of ours; each client gets them
interleaved.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import av
import numpy as np
from helpers import picture

WIDTH_PX, HEIGHT_PX = 128, 96
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=camera
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 MP4V-ES/90000
a=control:track0
""".replace("\n", "\r\n")


class RtspCamera:
    """Shows a class of `helpers.LABELS` until it is unplugged."""

    def __init__(self, fps: int = 30) -> None:
        self.label, self.silent, self._fps = 0, False, fps
        self._port = 0
        self._clients: list[socket.socket] = []
        self._running = threading.Event()
        self.plug_in()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self._port}/camera"

    def plug_in(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._port = self._server.getsockname()[1]
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
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._clients.clear()

    def _accept(self, server: socket.socket, _rtp: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        with client, suppress(OSError), client.makefile("rb") as file:
            while request := file.readline().decode():
                fields = {}
                while line := file.readline().decode().strip():
                    name, _, value = line.partition(":")
                    fields[name.lower()] = value.strip()
                self._answer(client, request.split()[0], fields["cseq"])

    def _answer(self, client: socket.socket, method: str, number: str) -> None:
        head, body = [f"RTSP/1.0 200 OK\r\nCSeq: {number}"], ""
        if method == "OPTIONS":
            head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = SDP
            head += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            head += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        client.sendall("\r\n".join([*head, "", body]).encode())
        if method == "PLAY":
            self._clients.append(client)

    def _encode(self, _server: socket.socket, rtp: socket.socket) -> None:
        address = f"rtp://127.0.0.1:{rtp.getsockname()[1]}"
        with av.open(address, "w", format="rtp") as container:
            stream = container.add_stream("mpeg4", rate=self._fps)
            stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
            # A player may come at any time.
            stream.bit_rate, stream.gop_size = 2_000_000, 5
            while self._running.is_set():
                pixels = picture(self.label, 1, WIDTH_PX, HEIGHT_PX)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                if not self.silent:
                    container.mux(stream.encode(frame))
                time.sleep(1 / self._fps)

    def _forward(self, _server: socket.socket, rtp: socket.socket) -> None:
        rtp.settimeout(0.1)
        with rtp:
            while self._running.is_set():
                with suppress(TimeoutError):
                    packet = rtp.recv(65536)
                    head = b"$\0" + len(packet).to_bytes(2, "big")
                    for client in list(self._clients):
                        with suppress(OSError):
                            client.sendall(head + packet)


@contextmanager
def rtsp_camera() -> Iterator[RtspCamera]:
    camera = RtspCamera()
    try:
        yield camera
    finally:
        camera.unplug()
