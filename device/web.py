"""The sink with a web page: live picture, what the model sees in it, history and health.

A viewer asks for one frame at a time and gets the newest; so a slow one skips frames instead of
lagging behind, and costs nobody else anything. Pictures are asked of the frame loop, and encoded,
only while someone looks.
"""

import asyncio
import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from device import web_view
from device.access import Access, is_own_page
from device.errors import OutputError
from device.http_server import HttpServer, Request, Response, text
from device.observation import ModelInfo, Observation, Status
from device.sinks import Context
from device.viewers import MAX_VIEWERS, Viewers
from device.web_view import History, Shot

PAGE = Path(__file__).with_name("page.html")
SIGN_IN = Path(__file__).with_name("sign_in.html")

PICTURE_INTERVAL_S = 0.1
"""At most ten pictures a second, whatever the camera does."""
WAIT_S = 5.0
"""How long a request for the next frame waits for one."""
LINGER_S = 2.0
"""How long after its last request a viewer's next one is waited for with pictures ready."""
NAME = re.compile(r"[0-9a-f]{16,64}")
"""What a page calls itself: random."""
NEW_LABEL = re.compile(r"[^\W_][\w -]{0,63}")
"""A class that the model does not know yet; it becomes the name of a folder."""
CSRF_MARK = b"{{csrf}}"


class Web:
    """Serves the page; see `device.access` for who gets it."""

    name = "web"

    def __init__(self, context: Context) -> None:
        """The port is opened with the first tick, and again until it works."""
        self._context, self._config = context, context.config.output.web
        self._access = Access(self._config)
        self._csrf = secrets.token_urlsafe(24)
        self._history = History()
        self._accuracy: tuple[ModelInfo | None, Mapping[str, Any] | None] = (None, None)
        self._watched_until_s = self._next_picture_s = float("-inf")
        self._saving = False
        self._page, self._policy = _page(PAGE)
        self._viewers = Viewers()
        self._server = HttpServer(self.name, self._answer)

    @property
    def wants_pictures(self) -> bool:
        """While someone looks, and not more often than pictures go out."""
        now_s = time.monotonic()
        return self._next_picture_s <= now_s < self._watched_until_s

    @property
    def port(self) -> int:
        """Where it listens; 0 as long as it does not."""
        return self._server.port

    def publish(self, observation: Observation) -> None:
        """Remember a label change, and show the picture to who waits for it."""
        self._history.add(observation)
        if observation.picture is not None and self.wants_pictures:
            self._next_picture_s = time.monotonic() + PICTURE_INTERVAL_S
            self._server.call(partial(self._viewers.show, web_view.shoot(observation)))

    def tick(self, status: Status) -> None:
        """Open the port, and keep up with the model.

        Raises:
            OutputError: while the port cannot be had.
        """
        if status.model is not None and status.model is not self._accuracy[0]:
            path = Path(self._context.config.bundle.path)
            self._accuracy = (status.model, web_view.measured_accuracy(path, status.model))
        if time.monotonic() > self._watched_until_s:
            self._server.call(self._viewers.forget)
        if not self.port:
            self._server.start(self._config.address, self._config.port)

    def close(self) -> None:
        """Close the port and all connections."""
        self._server.close()

    # --- on the server's thread ---------------------------------------------------------------

    async def _answer(self, request: Request) -> Response:
        refusal = self._access.refuse(request)
        if refusal is not None:
            return self._ask_to_sign_in(request, refusal) if request.path == "/" else refusal
        route = (request.method.replace("HEAD", "GET"), request.path)
        if route == ("GET", "/"):
            return self._show_page(request)
        if route == ("GET", "/live"):
            return await self._live(request)
        if route == ("GET", "/health"):
            return self._health(request)
        if route == ("POST", "/save"):
            return await self._save(request)
        return text(404, "There is no such page.")

    def _ask_to_sign_in(self, request: Request, refusal: Response) -> Response:
        if refusal.status != 401:
            return refusal
        cookie = self._access.sign_in(request)
        if cookie is not None:
            return _to_page(cookie)
        page, policy = _page(SIGN_IN)
        wrong = b"That token is wrong." if "token" in request.query else b""
        body = page.replace(b"{{problem}}", wrong)
        return _html(401, body, {**refusal.headers, "Content-Security-Policy": policy})

    def _show_page(self, request: Request) -> Response:
        if "token" in request.query:
            # Out of the address bar and the history.
            return _to_page(self._access.sign_in(request) or {})
        body = self._page.replace(CSRF_MARK, self._csrf.encode())
        return _html(200, body, {"Content-Security-Policy": self._policy})

    async def _live(self, request: Request) -> Response:
        name = request.query.get("viewer", "")
        if not NAME.fullmatch(name):
            return text(400, "Give ?viewer= 16 to 64 hexadecimal digits of your own.")
        viewer = self._viewers.admit(name)
        if viewer is None:
            return text(503, f"{MAX_VIEWERS} viewers look already; close one of their pages.")
        self._watched_until_s = time.monotonic() + WAIT_S + LINGER_S
        shot = await self._viewers.after(_number(request.query.get("after", "")), WAIT_S)
        self._watched_until_s = max(self._watched_until_s, time.monotonic() + LINGER_S)
        if shot is None:
            return Response(204)
        viewer.shot, viewer.seen_s = shot, time.monotonic()
        return Response(200, shot.body, shot.content_type)

    def _health(self, request: Request) -> Response:
        # A page that shows a held frame asks for nothing else.
        self._viewers.find(request.query.get("viewer", ""))
        threshold = self._context.config.smoothing.threshold
        record = web_view.health(self._context.status(), self._accuracy[1], threshold)
        return _json({**record, "history": self._history.record()})

    async def _save(self, request: Request) -> Response:
        if not self._made_by_page(request):
            return text(403, "Only the device's own page may save frames; load it anew.")
        wanted = _object(request.body)
        viewer = self._viewers.find(str(wanted.get("viewer", "")))
        shot = viewer.shot if viewer else None
        if shot is None or shot.observation.number != wanted.get("frame"):
            return text(409, "That frame is gone; hold another one.")
        label = str(wanted.get("label", ""))
        if not _is_label(label, shot):
            return text(422, "Name the class with letters, digits, spaces or hyphens, 64 at most.")
        if self._saving:
            return text(429, "Another frame is being saved; try again.")
        self._saving = True
        try:
            file = await asyncio.to_thread(self._context.keep, shot.observation, label)
        except (OutputError, OSError) as error:
            return text(507, f"Not saved: {error}")
        finally:
            self._saving = False
        return _json({"file": file})

    def _made_by_page(self, request: Request) -> bool:
        given = request.headers.get("x-fieldguide-csrf", "").encode("utf-8", "replace")
        is_json = request.headers.get("content-type", "").split(";")[0] == "application/json"
        genuine = secrets.compare_digest(given, self._csrf.encode())
        return genuine and is_json and is_own_page(request)


def _page(path: Path) -> tuple[bytes, str]:
    """A page, and the policy that lets run what is written in it and nothing else."""
    page = path.read_bytes()
    sources = {
        kind: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(inner).digest()).decode()}'"
            for inner in re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), page, re.DOTALL)
        )
        for kind, tag in (("style-src", b"style"), ("script-src", b"script"))
    }
    rules = [f"{kind} {hashes or chr(39) + 'none' + chr(39)}" for kind, hashes in sources.items()]
    fixed = "default-src 'none'; connect-src 'self'; img-src blob: data:; form-action 'self'"
    return page, "; ".join([fixed, *rules, "base-uri 'none'; frame-ancestors 'none'"])


def _html(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(status, body, "text/html; charset=utf-8", headers)


def _to_page(headers: Mapping[str, str]) -> Response:
    # No redirection: browsers keep a strict cookie back from one that began on another site.
    body = b'<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>Fieldguide</title>'
    return _html(200, body, headers)


def _json(record: Mapping[str, Any]) -> Response:
    return Response(200, json.dumps(record).encode(), "application/json")


def _number(digits: str) -> int:
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else -1


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_label(label: str, shot: Shot) -> bool:
    known = label in shot.observation.model.labels
    return known or NEW_LABEL.fullmatch(label) is not None
