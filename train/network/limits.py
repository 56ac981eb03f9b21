"""The limits of settings, and their check before any photo is read.

Every `make` runs this first, also before it installs what training needs, so it needs only the
standard library: a mistyped setting should not cost the time of the steps before the one that uses
it.
"""

import device.interrupt  # noqa: F401

import math
import os
import sys
from collections.abc import Callable, Mapping

from device.console import guarded
from device.errors import UsageError
from device.workstation.engine.address import check_address as check_cluster
from device.workstation.shards.stores import check_address, check_shared, is_address
from train.network.backbones import BACKBONES, DEFAULT
from train.network.trials import trials
from train.stamps import RENDERED

EPOCHS = (0, 1000)
MICRO_EPOCHS = (1, 1000)
VIEWS = (1, 64)
SEEDS = (0, 2**31 - 1)
TRAIN_PHOTOS = (100, 10**9)
CALIBRATION = (1, 2**31 - 1)
JOBS = (1, 1000)
MOST_ALPHA = 2
"""The greatest width multiplier."""
MOST_FILM_FPS = 30
CAMERAS = ("auto", "picamera2")
"""`SOURCE` besides folders, films and addresses, as the device has it."""
MAY_BE_EMPTY = ("SIZE", "WEIGHTS", "DATA", "EVENTS")
"""Where nothing means something: the backbone's own size, what is fetched, the flowers."""

KERAS_DOWNLOAD = "imagenet"
"""`WEIGHTS=imagenet` asks Keras for its own download."""

Check = Callable[[str], str]
"""From a setting's text to what is wrong with it; empty if it is right."""


def check(settings: Mapping[str, str]) -> None:
    """Refuse settings of make that a later step would refuse; what is not given is not checked.

    Args:
        settings: the text of each setting by its name in make, `BACKBONE` and `WEIGHTS` among them.

    Raises:
        UsageError: naming the setting, its value, and what to give.
        TrainingError: if `SWEEP` names no networks.
        StoreError: if `DATA` or `RAY_STORE` is an address of no use, or that may hold a secret.
        ClusterError: if nothing answers at `RAY_ADDRESS`.
    """
    data = settings.get("DATA", "")
    if is_address(data):
        # Its own message repeats no secret.
        check_address(data)
    check_shared(settings.get("RAY_STORE", ""))
    if "RAY_ADDRESS" in settings:
        check_cluster(settings["RAY_ADDRESS"])
    if "SWEEP" in settings:
        trials(settings["SWEEP"])
    backbone = settings["BACKBONE"]
    checks: dict[str, Check] = {
        "SIZE": lambda text: _size(text, backbone),
        "ALPHA": lambda text: _alpha(text, backbone, settings["WEIGHTS"]),
        "DATA": _data,
        "WEIGHTS": _weights,
        "EVENT_S": lambda text: "" if 0 <= _number(text) < math.inf else "give seconds, 0 or more",
        "EVENTS": lambda text: "" if os.path.isfile(text) else "no such file",
        "FILM_FPS": _film_fps,
        "SOURCE": _source,
        "EPOCHS": lambda text: _whole(text, EPOCHS),
        "VIEWS": lambda text: _whole(text, VIEWS),
        "TRAIN_PHOTOS": lambda text: _whole(text, TRAIN_PHOTOS),
        "SEED": lambda text: _whole(text, SEEDS),
        "CALIBRATION": lambda text: _whole(text, CALIBRATION),
        "MICRO_SIZE": lambda text: _size(text, DEFAULT),
        "MICRO_EPOCHS": lambda text: _whole(text, MICRO_EPOCHS),
        "JOBS": lambda text: _whole(text, JOBS),
    }
    for name, wrong in checks.items():
        text = settings.get(name)
        if text is None or (not text and name in MAY_BE_EMPTY):
            continue
        if told := wrong(text):
            raise UsageError(f"{name}={text}: {told}")


def _whole(text: str, limits: tuple[int, int]) -> str:
    low, high = limits
    right = text.isascii() and text.isdecimal() and low <= int(text) <= high
    return "" if right else f"give a whole number in {low}..{high}"


def _size(text: str, backbone: str) -> str:
    spec = BACKBONES[backbone]
    right = text.isascii() and text.isdecimal() and spec.takes(int(text))
    return "" if right else f"{spec.sizes_allowed} for {backbone}"


def _alpha(text: str, backbone: str, weights: str) -> str:
    try:
        alpha = float(text)
    except ValueError:
        return "give a number, such as 0.5"
    if alpha != 1 and not BACKBONES[backbone].widths:
        return f"{backbone} has the width 1.0 alone"
    if not 0 < alpha <= MOST_ALPHA:
        return f"give a number above 0, {MOST_ALPHA} at most"
    if alpha != 1 and not weights:
        return "the weights that are fetched have the width 1.0 alone; give WEIGHTS=imagenet, too"
    return ""


def _number(text: str) -> float:
    """Below 0 if it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0


def _film_fps(text: str) -> str:
    right = 0 < _number(text) <= MOST_FILM_FPS
    return "" if right else f"give frames a second, above 0 and up to {MOST_FILM_FPS}"


def _source(text: str) -> str:
    there = text in CAMERAS or "://" in text or os.path.exists(text)
    return "" if there else "no such folder, video file or camera"


def _data(text: str) -> str:
    if text == RENDERED or is_address(text) or os.path.exists(os.path.expanduser(text)):
        return ""
    return "no such folder; it must hold one folder per class"


def _weights(text: str) -> str:
    if text == KERAS_DOWNLOAD or os.path.exists(os.path.expanduser(text)):
        return ""
    return f"no such file; give a checkpoint, a folder for one, or {KERAS_DOWNLOAD}"


def main(arguments: list[str]) -> int:
    """Check settings given as NAME=VALUE; returns the exit status."""
    settings = dict(argument.split("=", 1) for argument in arguments)

    def work() -> int:
        check(settings)
        return 0

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
