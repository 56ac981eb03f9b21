"""Lies that only a server can tell: each is refused, and does no lasting harm."""

import pytest

from device.contract import bundle as contract
from device.contract.release.naming import PACKED
from device.update.trust import web
from tests.device.update.releases.conftest import Scene
from tests.support.device.board import Files, offer
from tests.support.device.release_server import body, dripping


def test_a_server_that_claims_a_length_and_sends_less_is_refused(
    scene: Scene, second: Files
) -> None:
    offer(scene.fleet, second, 2)
    data = scene.fleet.contents[f"birds/2/{contract.LABELS}{PACKED}"]
    scene.server.lies[f"{contract.LABELS}{PACKED}"] = body(data[:10], length=len(data))
    scene.refuses("labels.txt")
    scene.accepts(second, 3)


def test_a_server_that_sends_a_byte_at_a_time_is_cut_off(
    scene: Scene, second: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DOCUMENT_S", 0.3)
    scene.server.lies["timestamp.json"] = dripping
    scene.refuses("too long")


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_a_server_that_only_gives_errors_changes_nothing(
    status: int, scene: Scene, second: Files
) -> None:
    scene.server.lies["json"] = body(b"sorry", status=status)
    assert scene.refuses().problem
    scene.accepts(second)
