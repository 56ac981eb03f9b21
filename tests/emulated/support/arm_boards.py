"""Runs a bundle on emulated boards and beside it on the workstation, and compares the outputs."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.targets.tolerance import Measured, merged, read_tolerances, tolerances_text
from device.contract import bundle as contract
from device.contract.look.rules import Seen
from device.files import write_text
from device.inference.outputs import FEATURES
from tests.emulated.support.arm_means import write_means
from tests.emulated.support.arm_program import STAGES, WITHOUT_XNNPACK
from tests.emulated.support.qemu_user import (
    BOARDS,
    LIMIT_S,
    Machine,
    System,
    counting_plugin,
    machine,
    qemu,
)
from tests.support.exact_film import exact_film
from tests.support.places import BUILD

LITERT, TFLITE = "ai-edge-litert", "tflite-runtime"
SYSTEMS = {
    "bookworm": System("bookworm", "3.11", "device/locks/device.txt"),
    "trixie": System("trixie", "3.13", "device/locks/device.txt"),
    "bookworm-tflite": System("bookworm", "3.11", "device/locks/device-tflite.txt"),
}
Outputs = Mapping[str, npt.NDArray[Any]]
PROGRAM = Path(__file__).with_name("arm_program.py")
WORKSTATION = "workstation"
FILM_SCALE = 4


@dataclass(frozen=True)
class Way:
    """A runtime on a system: one way to run the model."""

    system: str
    runtime: str


PROMISED = (Way("bookworm", LITERT), Way("trixie", LITERT))
OTHERS = (Way("bookworm", LITERT + WITHOUT_XNNPACK), Way("bookworm-tflite", TFLITE))


@dataclass(frozen=True)
class Answer:
    """What one way gave for all pictures, see `on_board`."""

    version: str
    arrays: Mapping[str, npt.NDArray[Any]]

    def outputs(self) -> Outputs:
        """The raw outputs by name, of the pictures and behind them of the golden inputs."""
        golden = self.golden()
        return {name: np.concatenate([self.arrays[name], golden[name]]) for name in golden}

    def golden(self) -> Outputs:
        """The raw outputs by name of the golden inputs alone."""
        names = [name for name in self.arrays if f"golden_{name}" in self.arrays]
        return {name: self.arrays[f"golden_{name}"] for name in names}

    def instructions(self, pictures: int) -> dict[str, int]:
        """The median of the last pictures' instructions by stage."""
        medians = np.median(self.arrays["instructions"][-pictures:], axis=0)
        return dict(zip(STAGES, map(int, medians), strict=True))

    def moment_instructions(self) -> int:
        """The median of a moment's of drift; the first one also fetches what is needed."""
        return int(np.median(self.arrays["moment_instructions"][1:]))

    def look_instructions(self) -> dict[str, int]:
        """The median of a look's instructions, by what it found; each has a background's step."""
        kinds, spent = self.arrays["looked"][:, 0], self.arrays["look_instructions"]
        found = {kind.value: spent[kinds == number] for number, kind in enumerate(Seen)}
        return {name: int(np.median(some)) for name, some in found.items() if len(some)}


@dataclass(frozen=True)
class Difference:
    """How far an answer's outputs are from the workstation's."""

    photos: int
    steps: Mapping[str, int]
    """The largest difference by output."""
    unequal: int
    """On how many photos any output differs."""
    other_top1: int
    """On how many the most probable class does."""

    @property
    def max_steps(self) -> int:
        """The largest difference of a probability or of the class map."""
        return max(steps for name, steps in self.steps.items() if name != FEATURES)


def difference(outputs: Outputs, reference: Outputs) -> Difference:
    """Compare the outputs of two answers."""
    assert outputs.keys() == reference.keys() and len(outputs) == 3
    best, expected = (some["probabilities"].argmax(axis=1) for some in (outputs, reference))
    off = {
        name: np.abs(array.astype(np.int32) - reference[name]).reshape(len(best), -1).max(axis=1)
        for name, array in outputs.items()
    }
    steps = {name: int(by_photo.max()) for name, by_photo in off.items()}
    unequal = np.any([by_photo > 0 for by_photo in off.values()], axis=0).sum()
    return Difference(len(best), steps, int(unequal), int((best != expected).sum()))


class Bench:
    """All ways on all cores, at work in the background, one at a time for each processor."""

    def __init__(
        self,
        cores: Sequence[str],
        bundle: Path,
        pictures: Sequence[Path],
        wheel: Path,
        folder: Path,
    ) -> None:
        """Start.

        Args:
            cores: names of `emulation.BOARDS`.
            pictures: files that all ways classify.
            wheel: the device's wheel, unpacked.
            folder: for what the boards write.
        """
        self.bundle, self.wheel = bundle, wheel
        self._pictures, self._folder = pictures, folder
        self._film = write_film(folder / "film.npz")
        self._means = write_means(bundle, folder / "means.npz")
        self.counts = shutil.which("cc") is not None
        # Made here and not by the threads, which would all begin to.
        _ = qemu(), self.counts and counting_plugin()
        self.machines: dict[tuple[str, str], Machine] = {
            (core, name): machine(BOARDS[core], system, folder / f"{core}-{name}")
            for core in cores
            for name, system in SYSTEMS.items()
        }
        here = [way for way in (PROMISED[0], *OTHERS) if _python_here(way).exists()]
        jobs = [(WORKSTATION, way) for way in here]
        jobs += [(core, way) for core in cores for way in (*PROMISED, *OTHERS)]
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._answers: dict[tuple[str, Way], Future[Answer]] = {
            job: self._pool.submit(self._run, *job) for job in jobs
        }

    def answer(self, place: str, way: Way) -> Answer:
        """What a way gave on a core or on the workstation; waits for it."""
        return self._answers[place, way].result()

    @property
    def reference(self) -> Answer:
        """The workstation's answer."""
        return self.answer(WORKSTATION, PROMISED[0])

    def python(
        self, core: str, system: str, *arguments: str | Path, **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python on a board."""
        return self.machines[core, system].python(*arguments, our_wheel=self.wheel, **options)

    def finish(self) -> dict[tuple[str, Way], Answer]:
        """Start nothing more; the answers that there are."""
        self._pool.shutdown(cancel_futures=True)
        done = {job: future for job, future in self._answers.items() if not future.cancelled()}
        return {job: future.result() for job, future in done.items() if not future.exception()}

    def _run(self, place: str, way: Way) -> Answer:
        out = self._folder / f"{place}-{way.system}-{way.runtime}.npz"
        counter = out.with_suffix(".count") if self.counts and place != WORKSTATION else None
        job = {
            "bundle": str(self.bundle),
            "photos": [str(path) for path in self._pictures],
            "film": str(self._film),
            "means": str(self._means),
            "runtime": way.runtime,
            "counter": str(counter or ""),
            "out": str(out),
        }
        given = json.dumps(job)
        if place == WORKSTATION:
            done = _run_here(way, self.wheel, given)
        else:
            program = ("-P", PROGRAM)
            done = self.python(place, way.system, *program, given=given, counter=counter)
        assert done.returncode == 0, f"{way.runtime} on {place}: {done.stderr}"
        with np.load(out) as arrays:
            return Answer(done.stdout.strip(), {name: arrays[name] for name in arrays.files})


def write_film(path: Path) -> Path:
    """The exact film as 640x480 frames."""
    frames, times_ms = zip(*exact_film(FILM_SCALE), strict=True)
    np.savez_compressed(path, frames=np.stack(frames), times_ms=np.array(times_ms))
    return path


def _python_here(way: Way) -> Path:
    if way.runtime == TFLITE:
        return BUILD / "venv-tflite" / "bin" / "python"
    return Path(sys.executable)


def _run_here(way: Way, wheel: Path, given: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(_python_here(way)), "-P", str(PROGRAM)],
        cwd=wheel,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        input=given,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


# --- what is written --------------------------------------------------------------------------


def report(
    loaded: contract.Bundle, answers: Mapping[tuple[str, Way], Answer], frames: int
) -> dict[str, Any]:
    """All that was measured; instructions are those of the last `frames` pictures."""
    reference = answers[WORKSTATION, PROMISED[0]].outputs()
    return {
        "bundle": loaded.name,
        "data": loaded.data,
        "model_sha256": loaded.manifest["files"][contract.MODEL]["sha256"],
        "runs": [
            {
                "place": place,
                "core": _core(place),
                "python": SYSTEMS[way.system].python if place != WORKSTATION else "",
                "runtime": way.runtime,
                "version": answer.version,
                **asdict(difference(answer.outputs(), reference)),
                "instructions": answer.instructions(frames),
                "look_instructions": answer.look_instructions(),
                "moment_instructions": answer.moment_instructions(),
            }
            for (place, way), answer in answers.items()
        ],
    }


def measured(found: dict[str, Any]) -> list[Measured]:
    """The rows of `tolerances.json` that a report has."""
    names = ("runtime", "version", "core", "photos", "other_top1")
    return [
        Measured(
            model_sha256=found["model_sha256"],
            max_steps=max(n for name, n in run["steps"].items() if name != FEATURES),
            max_feature_steps=run["steps"][FEATURES],
            **{name: run[name] for name in names},
        )
        for run in found["runs"]
        if run["runtime"] != LITERT
    ]


def write(found: dict[str, Any], folder: Path) -> None:
    """Write report and tolerances; these only if they changed: then the bundle is packed anew."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "report.json", json.dumps(found, indent=2) + "\n")
    place = folder / "tolerances.json"
    old = [row for row in read_tolerances(place) if row.model_sha256 == found["model_sha256"]]
    text = tolerances_text(merged(old, measured(found)))
    if not place.is_file() or place.read_text("utf-8") != text:
        write_text(place, text)


def _core(place: str) -> str:
    return platform.machine() if place == WORKSTATION else BOARDS[place].cpu


def table(found: dict[str, Any]) -> str:
    """The report to read."""
    heads = ("class map", "features", "probabilities", "photos unequal", "top-1 other")
    columns = (*heads, *STAGES, "moment of drift")
    lines = [f"{'place':12} {'runtime':38} {'Python':6}" + "".join(f" {h:>14}" for h in columns)]
    for run in found["runs"]:
        of = f"of {run['photos']}"
        cells = [*(str(run["steps"][name]) for name in ("class_map", "features", "probabilities"))]
        cells += [f"{run[name]} {of}" for name in ("unequal", "other_top1")]
        counts = [*run["instructions"].values(), run["moment_instructions"]]
        cells += [f"{count / 1e6:.2f}" for count in counts]
        name = f"{run['runtime']} {run['version']}"
        start = f"{run['place']:12} {name:38} {run['python']:6}"
        lines.append(start + "".join(f" {cell:>14}" for cell in cells))
    return "\n".join([*lines, "(largest difference in steps; million instructions, 640x480 JPEG)"])
