"""A real venv, by the real pip, offline, of small wheels; faults are found before it is used."""

import hashlib
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from device.errors import UnfitError, UpdateError
from device.update.offer import LOCK
from device.update.software import build
from device.update.trust.fetch import Wanted

pytestmark = pytest.mark.slow

MAIN = """
import sys
{before}
print("fieldguide {version}") if "--version" in sys.argv else None
"""


def wheel(folder: Path, name: str, files: Mapping[str, str], *, python: str = ">=3.11") -> Path:
    """A wheel of Python source, by its file name."""
    project, version = name.split("-")[:2]
    info = f"{project}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
    metadata += f"Requires-Python: {python}\n"
    whole = {
        **files,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        f"Tag: {name.removesuffix('.whl').split('-', 2)[2]}\n",
    }
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in whole.items():
            archive.writestr(path, text)
        record = "".join(f"{path},,\n" for path in [*whole, f"{info}/RECORD"])
        archive.writestr(f"{info}/RECORD", record)
    return folder / name


def own(folder: Path, version: str, before: str = "", *, python: str = ">=3.11") -> None:
    main = MAIN.format(version=version, before=before)
    files = {"device/__init__.py": "", "device/__main__.py": main}
    files |= {"device/update/__init__.py": "", "device/update/__main__.py": "import shared\n"}
    wheel(folder, f"fieldguide_device-{version}-py3-none-any.whl", files, python=python)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    own(folder, "2.0")
    wheel(folder, "shared-1.5-py3-none-any.whl", {"shared.py": ""})
    return folder


def signed(wheels: Path, lock: str = "") -> dict[str, Wanted]:
    """What the release says of the files that are in the folder; the lock fits them."""
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels.iterdir()
    }
    pins = [
        f"{name.split('-')[0]}=={name.split('-')[1]} --hash=sha256:{digest}\n"
        for name, digest in digests.items()
        if not name.startswith(build.OWN)
    ]
    (wheels / LOCK).write_text(lock or "".join(pins))
    digests[LOCK] = hashlib.sha256((wheels / LOCK).read_bytes()).hexdigest()
    return {name: Wanted(name, 1, digest) for name, digest in digests.items()}


def tried(venv: Path, wheels: Path) -> None:
    build.check(venv, wheels, wheels / "no bundle", wheels / "settings.toml")


def test_a_venv_of_verified_wheels_runs_without_this_one(wheels: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    build.build(venv, wheels, signed(wheels))
    tried(venv, wheels)
    found = venv / f"lib/python3.{sys.version_info.minor}/site-packages"
    assert (found / "shared.py").exists() and (found / "device/__main__.py").exists()


def test_a_lock_that_needs_more_than_the_release_has_makes_no_venv(
    wheels: Path, tmp_path: Path
) -> None:
    files = signed(wheels)
    text = (wheels / LOCK).read_text()
    (wheels / LOCK).write_text(f"{text}missing==1.0 --hash=sha256:{'1' * 64}\n")
    with pytest.raises(UnfitError, match="missing"):
        build.build(tmp_path / "venv", wheels, files)


def test_a_wheel_for_another_python_makes_no_venv(wheels: Path, tmp_path: Path) -> None:
    own(wheels, "2.0", python=">=3.99")
    with pytest.raises(UnfitError, match="Python"):
        build.build(tmp_path / "venv", wheels, signed(wheels))


def test_a_wheel_for_another_processor_makes_no_venv(wheels: Path, tmp_path: Path) -> None:
    (wheels / "shared-1.5-py3-none-any.whl").unlink()
    wheel(wheels, "shared-1.5-cp39-cp39-manylinux2014_s390x.whl", {"shared.py": ""})
    with pytest.raises(UnfitError, match="shared"):
        build.build(tmp_path / "venv", wheels, signed(wheels))


def test_a_wheel_that_was_changed_after_it_was_signed_makes_no_venv(
    wheels: Path, tmp_path: Path
) -> None:
    files = signed(wheels)
    wheel(wheels, "shared-1.5-py3-none-any.whl", {"shared.py": "evil = True"})
    with pytest.raises(UnfitError):
        build.build(tmp_path / "venv", wheels, files)


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        ("echo fieldguide 1.9", UnfitError, "not 2.0"),
        (
            "echo fieldguide 2.0; test $# -lt 5 || { echo broken >&2; exit 1; }",
            UnfitError,
            "broken",
        ),
        ("kill -9 $$", UpdateError, "status -9"),
        ("echo 'No space left on device' >&2; exit 1", UpdateError, "No space"),
        ("exec sleep 60", UpdateError, "took more than"),
    ],
)
def test_what_does_not_run_is_found_before_it_is_live(
    program: str,
    error: type[Exception],
    words: str,
    wheels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "CHECK_LIMIT_S", 2.0)
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{program}\n")
    os.chmod(python, 0o755)
    with pytest.raises(error, match=words) as raised:
        tried(tmp_path / "venv", wheels)
    assert isinstance(raised.value, UnfitError) == (error is UnfitError)


def test_a_whole_package_passes_its_own_trial() -> None:
    from device.update.software.run import try_out

    try_out()
