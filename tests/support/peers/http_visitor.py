"""Who calls the device's page: a browser, as far as the server can tell."""

import email
import email.policy
import http.client
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from device.outputs.web.sink import Web
from tests.support.device.observations import publish_until, sight


class Visitor:
    """A browser, as far as the server can tell."""

    def __init__(self, page: Web, number: int = 0, **headers: str) -> None:
        self._page, self.name = page, f"{number:016x}"
        self._headers = {k.replace("_", "-"): v for k, v in headers.items()}

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, bytes]:
        client = http.client.HTTPConnection("127.0.0.1", self._page.port, timeout=10)
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        with closing(client):
            client.request(method, path, body, {**self._headers, **named})
            response = client.getresponse()
            return response.status, response.headers, response.read()

    def live(self, after: int | str = "") -> tuple[int, Any, bytes]:
        return self.ask(f"/live?viewer={self.name}&after={after}")

    def health(self) -> Any:
        return json.loads(self.ask(f"/health?viewer={self.name}")[2])

    def csrf(self) -> str:
        found = re.search(rb'name="csrf" content="([^"]+)"', self.ask("/")[2])
        assert found is not None
        return found[1].decode()

    def save(
        self, frame: int, label: Any, *, more: Mapping[str, Any] | None = None, **changed: str
    ) -> tuple[int, str]:
        wanted = {"viewer": self.name, "frame": frame, "label": label, **(more or {})}
        return self.post("/save", wanted, **changed)

    def post(self, path: str, record: Any, **changed: str) -> tuple[int, str]:
        """Send what the page's script sends, with other headers where a test says so."""
        headers = {
            "Origin": f"http://127.0.0.1:{self._page.port}",
            "Content_Type": "application/json",
            "X_Fieldguide_CSRF": self.csrf(),
            **changed,
        }
        status, _, body = self.ask(path, "POST", json.dumps(record).encode(), **headers)
        return status, body.decode()


def parts(headers: Any, body: bytes) -> tuple[dict[str, Any], bytes]:
    """State and JPEG of an answer, read as any MIME reader would."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    found: dict[str | None, bytes] = {
        part.get_filename(): part.get_content() for part in message.iter_parts()
    }
    return json.loads(found["state"]), found["picture"]


def shown(page: Web, visitor: Visitor, crowd: ThreadPoolExecutor, **more: Any) -> dict[str, Any]:
    """What a visitor sees next, while frames come."""
    status = 204
    # "Nothing new yet", on a busy machine: a browser asks again.
    while status == 204:
        answer = crowd.submit(visitor.live)
        publish_until(page, answer.done, lambda number: sight(number, **more))
        status, headers, body = answer.result()
    assert status == 200
    return parts(headers, body)[0]
