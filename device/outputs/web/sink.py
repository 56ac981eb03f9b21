"""The sink with a web page: live picture, what the model sees in it, history and health.

A viewer asks for one frame at a time and gets the newest, so a slow viewer skips frames instead of
lagging behind, and does not slow down others. Pictures are requested from the frame loop, and
encoded, only while someone is looking.
"""

import asyncio
import base64
import json
import re
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from device.contract.names import name_problem, settled
from device.contract.thumbnails import webp
from device.errors import ClassNameError, MaskError, OutputError
from device.outputs.http.access import offered_token
from device.outputs.http.messages import Request, Response, not_allowed, text
from device.outputs.http.serving import ServingSink
from device.outputs.sink import Context
from device.outputs.web import assets, frame_from_page, mask, view
from device.outputs.web.view import History
from device.outputs.web.viewers import MAX_VIEWERS, Viewers
from device.outputs.web.visits import SeenVisits
from device.settings.state import mask_in_use, own_mask
from device.telemetry.observation import Observation
from device.telemetry.status import Status

PICTURE_INTERVAL_S = 0.1
"""At most ten pictures per second, whatever the camera's rate."""
WAIT_S = 5.0
"""How long a request for the next frame waits for one."""
LINGER_S = 2.0
"""How long pictures stay available after a viewer's last request."""
VIEWER_ID = re.compile(r"[0-9a-f]{16,64}")
"""A page's id, chosen at random."""
SHOWN_S = 30.0
"""How often the pictures of then and now are asked for while there is an alarm."""
SIGNED_IN = "signed-in"
WRONG_TOKEN = "That token is wrong."
NO_COOKIE = (
    "Your browser did not keep the cookie: allow cookies for this page. In a frame of another page "
    "this one also needs https."
)


class Web(ServingSink):
    """Serves the page; `device.outputs.http.access` decides who gets it."""

    name = "web"

    def __init__(self, context: Context) -> None:
        super().__init__(context.config.output.web)
        self._context, self._framed_by = context, context.config.output.web.frame_ancestors
        self._csrf = secrets.token_urlsafe(24)
        self._history = History()
        self._watched_until_s = self._next_picture_s = float("-inf")
        self._saving, self._one_mask = False, asyncio.Lock()
        self._viewers = Viewers()
        self._visits = SeenVisits(context.config.visits)
        self._reads = {
            "/live": self._live,
            "/health": self._health,
            "/visits": self._list_visits,
            "/visit-picture": self._visit_picture,
            "/mask": self._mask,
            "/drift": self._drift,
            "/drift-picture": self._drift_picture,
            "/thumbnail": self._thumbnail,
        }
        self._writes = {
            "/save": self._save,
            "/save-mask": self._save_mask,
            "/acknowledge": self._acknowledge,
            "/install": self._install,
        }

    @property
    def wants_pictures(self) -> bool:
        """Whether someone is looking and the next picture is due."""
        now_s = time.monotonic()
        return self._next_picture_s <= now_s < self._watched_until_s

    @property
    def figures(self) -> Mapping[str, float]:
        """How many viewers there are."""
        return {"viewers": len(self._viewers)}

    def publish(self, observation: Observation) -> None:
        """Remember a label change, and send the picture to waiting viewers."""
        self._history.add(observation)
        self._visits.add(observation)
        if observation.picture is not None and self.wants_pictures:
            self._next_picture_s = time.monotonic() + PICTURE_INTERVAL_S
            self._server.call(partial(self._viewers.show, view.encode_frame(observation)))

    def tick(self, status: Status) -> None:
        """Open the port, and forget viewers that are gone.

        Raises:
            OutputError: while the port cannot be opened.
        """
        if time.monotonic() > self._watched_until_s:
            self._server.call(self._viewers.forget)
        super().tick(status)

    # --- on the server's thread ---------------------------------------------------------------

    async def _answer(self, request: Request) -> Response:
        refusal = self._access.refuse(request)
        if request.path == "/" and (refusal is None or refusal.status == 401):
            return self._front_page(request, signed_in=refusal is None)
        if refusal is not None:
            return refusal
        return await self._endpoint(request)

    async def _endpoint(self, request: Request) -> Response:
        """Answer the page's own requests."""
        if (read := self._reads.get(request.path)) is not None:
            is_read = request.method in ("GET", "HEAD")
            return await read(request) if is_read else not_allowed("GET")
        write = self._writes.get(request.path)
        if write is None:
            return text(404, "There is no such page.")
        if request.method != "POST":
            return not_allowed("POST")
        if not self._made_by_page(request):
            return text(403, "Only the device's own page may save anything; reload it.")
        return await write(_json_object(request.body))

    def _front_page(self, request: Request, *, signed_in: bool) -> Response:
        """The page, the sign-in form, or the redirect after a sign-in."""
        if request.method == "POST" or offered_token(request):
            cookie = self._access.sign_in(request, framed=bool(self._framed_by))
            if cookie is None and not signed_in:
                return self._show(assets.SIGN_IN, 401, problem=WRONG_TOKEN)
            # Relative, because a proxy may serve the page below a path. The redirect also takes the
            # token out of the address bar.
            return Response(303, headers={"Location": f"?{SIGNED_IN}=1", **(cookie or {})})
        if not signed_in:
            return self._show(
                assets.SIGN_IN, 401, problem=NO_COOKIE if SIGNED_IN in request.query else ""
            )
        return self._show(assets.PAGE, 200)

    def _show(self, name: str, status: int, *, problem: str = "") -> Response:
        page, rules = assets.page(name)
        ancestors = " ".join(self._framed_by) or assets.NONE
        body = page.replace(assets.CSRF, self._csrf.encode())
        body = body.replace(assets.PROBLEM, problem.encode())
        headers = {
            "Content-Security-Policy": f"{rules}; frame-ancestors {ancestors}",
            # A form's Origin header tells pages apart, and "no-referrer" would leave it out.
            "Referrer-Policy": "strict-origin",
            **({"X-Frame-Options": ""} if self._framed_by else {}),
            **({"WWW-Authenticate": "Bearer"} if status == 401 else {}),
        }
        return Response(status, body, "text/html; charset=utf-8", headers)

    async def _live(self, request: Request) -> Response:
        name = request.query.get("viewer", "")
        if not VIEWER_ID.fullmatch(name):
            return text(400, "Give ?viewer= with 16 to 64 random hexadecimal digits.")
        viewer = self._viewers.admit(name)
        if viewer is None:
            return text(503, f"There are {MAX_VIEWERS} viewers already; close one of their pages.")
        self._watched_until_s = time.monotonic() + WAIT_S + LINGER_S
        shot = await self._viewers.after(_number(request.query.get("after", "")), WAIT_S)
        self._watched_until_s = max(self._watched_until_s, time.monotonic() + LINGER_S)
        if shot is None:
            return Response(204)
        viewer.shot, viewer.seen_s = shot, time.monotonic()
        return Response(200, shot.body, shot.content_type)

    async def _health(self, request: Request) -> Response:
        # Keeps the viewer known: a page that shows a held frame sends no other request.
        self._viewers.find(request.query.get("viewer", ""))
        threshold = self._context.config.smoothing.threshold
        record = view.health(self._context.status(), threshold)
        # With the CSRF token: a page that was open during a restart has the old one.
        more = {"history": self._history.record(), "csrf": self._csrf, "mask": self._mask_files()}
        return _json({**record, **more})

    async def _list_visits(self, request: Request) -> Response:
        return _json(await asyncio.to_thread(self._visits.record))

    async def _visit_picture(self, request: Request) -> Response:
        visit_id = request.query.get("visit", "")
        picture = await asyncio.to_thread(self._visits.picture, visit_id)
        if picture is None:
            return text(404, "There is no picture of this visit.")
        return Response(200, picture, "image/jpeg")

    async def _drift(self, request: Request) -> Response:
        """What has changed; nothing if the settings watch for nothing, or nothing is known yet."""
        watcher = self._context.watcher()
        found = watcher.drift if watcher else None
        if found is None:
            return Response(204)
        # A number that changes with the pictures.
        return _json({**found.record(), "shown": int(time.monotonic() / SHOWN_S)})

    async def _drift_picture(self, request: Request) -> Response:
        watcher = self._context.watcher()
        which = request.query.get("which", "")
        picture = await asyncio.to_thread(watcher.drift_picture, which) if watcher else None
        if picture is None:
            return text(404, "There is no such picture yet.")
        return Response(200, picture, "image/jpeg")

    async def _thumbnail(self, request: Request) -> Response:
        """A picture of a training photo, by its number in the bundle of a model."""
        model, number = self._context.status().model, _number(request.query.get("n", ""))
        kept = model.thumbnails if model else None
        is_of_model = model is not None and request.query.get("model") == model.sha256
        if kept is None or not is_of_model or not 0 <= number < len(kept.pictures):
            return text(404, "There is no such picture.")
        return Response(200, kept.pictures[number], webp.MEDIA_TYPE)

    async def _acknowledge(self, wanted: Mapping[str, Any]) -> Response:
        watcher = self._context.watcher()
        if watcher is None:
            return text(409, "Nothing is watched: drift.enabled says so.")
        watcher.acknowledge_drift()
        return _json({})

    async def _install(self, wanted: Mapping[str, Any]) -> Response:
        """Leave the wish that Home Assistant can leave, too."""
        updating = self._context.updating()
        if updating is None:
            return text(409, "No releases are fetched: update.enabled says so.")
        try:
            await asyncio.to_thread(updating.install_update)
        except OutputError as error:
            return text(507, f"Not asked for: {error}")
        return _json({})

    async def _mask(self, request: Request) -> Response:
        """The mask that the camera uses."""
        try:
            picture = await asyncio.to_thread(mask.load, mask_in_use(self._context.config))
        except MaskError as error:
            return text(422, f"The mask is not used: {error}.")
        return Response(200, picture, "image/png") if picture else Response(204)

    async def _save_mask(self, wanted: Mapping[str, Any]) -> Response:
        camera, file = self._context.status().camera, own_mask(self._context.config)
        size_px = (camera.width_px, camera.height_px)
        try:
            picture = base64.b64decode(wanted.get("picture", ""), validate=True)
            async with self._one_mask:
                drawn = await asyncio.to_thread(mask.save, file, picture, size_px)
        except (MaskError, TypeError, ValueError) as error:
            why = str(error) if isinstance(error, MaskError) else "it is no PNG in Base64"
            return text(422, f"The mask was not saved: {why}.")
        except OSError as error:
            return text(507, f"The mask was not saved: {file}: {error.strerror or error}.")
        return _json({**self._mask_files(), "drawn": drawn})

    def _mask_files(self) -> dict[str, str]:
        """Where the page's mask is, and the file that the camera uses instead; else empty."""
        file, used = own_mask(self._context.config), mask_in_use(self._context.config)
        return {"file": str(file), "other": "" if used == file else str(used)}

    async def _save(self, wanted: Mapping[str, Any]) -> Response:
        if self._saving:
            return text(429, "Another frame is being saved; try again.")
        self._saving = True
        try:
            return await self._save_wanted(wanted)
        finally:
            self._saving = False

    async def _save_wanted(self, wanted: Mapping[str, Any]) -> Response:
        observation = await self._requested_frame(wanted)
        if observation is None:
            return text(409, "That frame is no longer available; hold another one.")
        label = wanted.get("label")
        problem = name_problem(label) if isinstance(label, str) else "is not text"
        if problem:
            return text(422, f"Not saved: the class name {problem}.")
        model = self._context.status().model
        spelled = settled(str(label), model.labels if model else ())
        try:
            file = await asyncio.to_thread(self._context.keep, observation, spelled)
        except ClassNameError as error:
            return text(422, f"Not saved: {error}.")
        except (OutputError, OSError) as error:
            return text(507, f"Not saved: {error}")
        return _json({"file": file})

    async def _requested_frame(self, wanted: Mapping[str, Any]) -> Observation | None:
        """The frame that the page holds: as it was sent, or else as the page sends it back."""
        viewer = self._viewers.find(str(wanted.get("viewer", "")))
        shot = viewer.shot if viewer else None
        if shot is not None and shot.observation.number == wanted.get("frame"):
            return shot.observation
        if "picture" not in wanted:
            return None
        return await asyncio.to_thread(
            frame_from_page.restore, wanted.get("state"), wanted["picture"]
        )

    def _made_by_page(self, request: Request) -> bool:
        given = request.headers.get("x-fieldguide-csrf", "").encode("utf-8", "replace")
        is_json = request.headers.get("content-type", "").split(";")[0] == "application/json"
        genuine = secrets.compare_digest(given, self._csrf.encode())
        return genuine and is_json and self._access.is_own_page(request)


def _json(record: Mapping[str, Any]) -> Response:
    return Response(200, json.dumps(record).encode(), "application/json")


def _number(digits: str) -> int:
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else -1


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
