"""Packages that read and write shards and buckets elsewhere: pyarrow, s3fs, a server like S3."""

import sys
from pathlib import Path

import pytest

from tests.support.places import BUILD

FOLDER = BUILD / "venv-shards"


def packages() -> Path:
    """The folder of these packages; skips a test where they are not installed."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = FOLDER / "lib" / version / "site-packages"
    if not found.is_dir():
        pytest.skip(f"{FOLDER} is not there: run these tests with `make test`")
    return found


def lend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test import them, behind the packages of the environment."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages())])
