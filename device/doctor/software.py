"""Checks of `device.doctor` that concern software: Python, NumPy, runtimes, bundle.

Anything that may crash is only imported or loaded in a child process.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from device import child
from device.contract import bundle, mask
from device.contract.bundle import Bundle
from device.contract.runtimes import EDGETPU, LITERT, TFLITE
from device.doctor import machine
from device.doctor.finding import FAILED, OK, WARNING, Finding
from device.doctor.host import Host
from device.errors import BundleError, FieldguideError, MaskError
from device.inference import looking
from device.inference.runtime import EDGETPU_LIBRARY, EDGETPU_NEEDS, LIBRARY_FOLDERS, MODULES
from device.inference.threads import workload_of
from device.inference.trial import Trial, candidates
from device.outputs.registry import INSTALL, NEEDS
from device.settings.sections import LOOK_CHANGE, LOOK_WHOLE, Config
from device.settings.state import background_file, mask_in_use
from device.update import slots

SUPPORTED = ((3, 11), (3, 13))
IMPORT_TIMEOUT_S = 30
SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")
"""Where apt puts Python packages."""
NO_CAMERA = "no CSI camera is connected"
OTHER_ROUNDING = (
    "it rounds otherwise than the runtime that verified the bundle: near the limits a few answers "
    "differ; ai-edge-litert gives the same ones"
)
AS_SERVICE = "run it as the user: sudo -u fieldguide /opt/fieldguide/venv/bin/fieldguide doctor"
CSI_CAMERA = f"""
import sys, picamera2
sys.exit(not picamera2.Picamera2.global_camera_info() and {NO_CAMERA!r})
"""

Try = Callable[[str], str]
"""Runs a statement in a new Python; returns the error, empty if there was none."""
Version = Callable[[str], str]
"""Returns the version of an installed distribution, empty if it is not installed."""


def installed(name: str) -> str:
    """The version of a distribution; empty if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def in_child(statement: str) -> str:
    """Run a statement in a new Python; returns the last line of its error, or nothing."""
    begin = f"from device.child import end_with_parent; end_with_parent({os.getpid()})"
    try:
        run = child.run("-c", f"{begin}\n{statement}", time_limit_s=IMPORT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"it took longer than {IMPORT_TIMEOUT_S} s"
    if run.returncode < 0:
        return f"it crashed (signal {-run.returncode})"
    lines = run.stderr.strip().splitlines() or [f"status {run.returncode}"]
    return lines[-1] if run.returncode else ""


def python(version: tuple[int, ...] = tuple(sys.version_info[:2])) -> Finding:
    """Whether there are wheels of the runtimes for this Python."""
    text = ".".join(map(str, version))
    if SUPPORTED[0] <= version <= SUPPORTED[1]:
        return Finding("python", OK, text)
    fix = "make the venv with Python 3.11 to 3.13 (Raspberry Pi OS Bookworm or Trixie)"
    return Finding("python", FAILED, f"{text} is not supported", fix)


def numpy_abi(version: Version, numpy: str = np.__version__) -> Finding:
    """Whether NumPy is one that the runtime was built for (Nachtzuster/BirdNET-Pi#314)."""
    old = version(TFLITE)
    if old and not version(LITERT) and int(numpy.partition(".")[0]) >= 2:
        fix = 'pip install "numpy<2", or ai-edge-litert in place of tflite-runtime'
        found = f"NumPy {numpy}, but tflite-runtime {old} was built for NumPy 1"
        return Finding("numpy", FAILED, found, fix)
    return Finding("numpy", OK, numpy)


def runtime(attempt: Try) -> Finding:
    """Whether any TFLite runtime can be imported."""
    problems = []
    for name, module in MODULES.items():
        problem = attempt(f"import {module}")
        if not problem:
            rounds = f"; {OTHER_ROUNDING}" if name == TFLITE else ""
            return Finding("runtime", OK, f"{name} {installed(name)}".strip() + rounds)
        problems.append(f"{name}: {problem}")
    fix = "pip install ai-edge-litert (Python 3.9 or later, 64-bit)"
    return Finding("runtime", FAILED, "; ".join(problems), fix)


def servers(settings: Config, version: Version) -> Iterator[Finding]:
    """Whether the packages that outputs with a server need are installed."""
    for name in settings.output.listeners():
        missing = [package for package in NEEDS[name] if not version(package)]
        if missing:
            found = f"{' and '.join(missing)} not installed"
            yield Finding(f"packages of {name}", FAILED, found, INSTALL)
        else:
            found = ", ".join(f"{package} {version(package)}" for package in NEEDS[name])
            yield Finding(f"packages of {name}", OK, found)


def edgetpu_library() -> str:
    """Path of the Edge TPU's library; empty if it is not installed."""
    found = (path for folder in LIBRARY_FOLDERS for path in Path("/").glob(_below(folder)))
    return next(map(str, found), "")


def _below(folder: str) -> str:
    return f"{folder.lstrip('/')}/{EDGETPU_LIBRARY}"


def picamera2(
    attempt: Try,
    *,
    needed: bool,
    system: Path = SYSTEM_PACKAGES,
    venv: Path | None = Path(sys.prefix) if sys.prefix != sys.base_prefix else None,
) -> Finding:
    """Whether CSI cameras can be used; libcamera's bindings belong to the system's Python.

    Args:
        attempt: runs a statement in a new Python.
        needed: whether the settings name it.
        system: where apt puts Python packages.
        venv: this Python's venv, if it is in one.
    """
    state = FAILED if needed else WARNING
    if not (system / "picamera2").is_dir():
        fix = "apt install python3-picamera2 --no-install-recommends (only for CSI cameras)"
        return Finding("picamera2", state, "not installed", fix)
    if venv is not None and not _sees_system(venv):
        fix = f"python3 -m venv --system-site-packages {venv} (it keeps what is installed there)"
        return Finding("picamera2", state, "installed, but hidden from this venv", fix)
    problem = attempt(CSI_CAMERA)
    if not problem:
        return Finding("picamera2", OK, "sees a camera")
    if problem == NO_CAMERA:
        fix = "check the ribbon cable, both ends; then rpicam-hello --list-cameras"
        return Finding("picamera2", state, problem, fix)
    if "numpy" in problem.lower() and venv is not None:
        # A newer NumPy in the venv than apt's bindings were built for
        # (raspberrypi/picamera2#964).
        fix = f"{venv}/bin/pip uninstall numpy, so that apt's NumPy is used"
    else:
        fix = (
            "apt install --reinstall python3-picamera2 python3-libcamera, and use /usr/bin/python3"
        )
    return Finding("picamera2", state, problem, fix)


def _sees_system(venv: Path) -> bool:
    try:
        text = (venv / "pyvenv.cfg").read_text()
    except OSError:
        return False
    return re.search(r"(?mi)^include-system-site-packages\s*=\s*true\s*$", text) is not None


def current_bundle(settings: Config, host: Host) -> Iterator[Finding]:
    """Whether the bundle is whole, can be used as set, and passes its self-test here."""
    path = Path(settings.bundle.path)
    try:
        loaded = bundle.load(path)
    except BundleError as error:
        fix = f"make bundle on the workstation, and copy build/bundle to {path}"
        if path.name == slots.CURRENT:
            fix = "copy build/bundle.tar here, then: fieldguide slots install bundle.tar"
        if isinstance(error.__cause__, PermissionError):
            fix = AS_SERVICE
        yield Finding("bundle", FAILED, str(error), fix)
        return
    yield _whole(loaded)
    yield look(loaded, settings)
    if looking.may_look(settings.camera.look, loaded.region):
        yield from machine.visits(host, settings)
    yield operators(loaded, installed)
    yield from self_tests(loaded, settings, Trial())


def _whole(loaded: Bundle) -> Finding:
    about = f"{loaded.name}, {len(loaded.labels)} classes"
    if loaded.thumbnails_problem:
        fix = "install the bundle again; it classifies without them"
        return Finding("bundle", WARNING, f"{about}; {loaded.thumbnails_problem}", fix)
    return Finding("bundle", OK, f"{about}, all hashes correct")


def look(loaded: Bundle, settings: Config) -> Finding:
    """Whether the service looks where something is, and what it knows of the place."""
    setting = settings.camera.look
    try:
        looking.check(setting, loaded.region)
    except BundleError as error:
        return Finding("look", FAILED, str(error), 'set camera.look = "auto"')
    if not looking.may_look(setting, loaded.region):
        why = "camera.look says so" if setting == LOOK_WHOLE else "the bundle was trained on them"
        return Finding("look", OK, f"off: whole pictures are classified, because {why}")
    limits = "always" if setting == LOOK_CHANGE else "while the camera stands still"
    background, drawn = background_file(settings), mask_in_use(settings)
    is_kept, is_drawn = map(os.path.exists, (background, drawn))
    known = f"background kept in {background}" if is_kept else "no background kept yet"
    if is_drawn or settings.camera.mask:
        try:
            mask.read(drawn)
        except MaskError as error:
            fix = "correct camera.mask" if settings.camera.mask else "draw it again"
            return Finding("look", WARNING, f"the mask is not used: {error}", fix)
        known += f", only where {drawn} is white"
    return Finding("look", OK, f"on, {limits}; {known}")


def operators(loaded: Bundle, version: Version) -> Finding:
    """Whether the runtime is new enough for the model's operators (tensorflow/tensorflow#80736)."""
    asked = str(loaded.manifest.get("oldest_runtime", ""))
    old = version(TFLITE)
    needed = re.search(r"(?i)(?:tflite|tflite-runtime) ([0-9.]+)", asked)
    # Every release of its successor, ai-edge-litert, is newer than these.
    if needed and old and not version(LITERT) and _parts(old) < _parts(needed[1]):
        fix = "pip install ai-edge-litert, or convert with a TensorFlow as old as the runtime"
        found = f"the model needs {asked}; tflite-runtime {old} is installed"
        return Finding("operators", FAILED, found, fix)
    return Finding("operators", OK, f"the model needs {asked or 'no particular runtime'}")


def self_tests(loaded: Bundle, settings: Config, trial: Trial) -> Iterator[Finding]:
    """The golden outputs on each runtime that the service would try, in child processes."""
    problems, passed = {}, []
    for name in candidates(loaded, settings.inference.runtime):
        try:
            check = trial.check(loaded, name, settings.inference, workload_of(settings))
        except FieldguideError as error:
            problems[name] = str(error)
            continue
        threads = f"{check.threads} thread{'s' * (check.threads != 1)}"
        found = f"passed, {check.invoke_s * 1e3:.1f} ms with {threads}"
        passed.append(Finding(f"self-test on {name}", OK, found))
    yield from passed
    # A runtime that passes replaces those that fail.
    state = WARNING if passed else FAILED
    for name, problem in problems.items():
        yield Finding(f"self-test on {name}", state, problem, _remedy(problem, name))


def _remedy(problem: str, name: str) -> str:
    if name == EDGETPU:
        return f"install {EDGETPU_NEEDS}, or set inference.runtime"
    if "op for builtin opcode" in problem:
        return "pip install --upgrade ai-edge-litert: the model is newer than the runtime"
    return f"do not use this bundle on {name} {installed(name)} ({_machine()}); build it again"


def _machine() -> str:
    return f"{os.uname().machine}, Python {sysconfig.get_python_version()}"


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
