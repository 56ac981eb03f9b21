"""The bundle on emulated Raspberry Pis, with the wheels a board would install: `make test-arm`.

The workstation's outputs are the measure. What was measured goes to `build/arm/report.json`, and
how far other kernels are off to `build/arm/tolerances.json`, which `make bundle` reads.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convert.artifacts import training
from convert.targets import tolerance
from convert.targets.tolerance import Measured
from device.contract import bundle as contract
from tests.emulated.support import arm_boards, qemu_user
from tests.emulated.support.arm_boards import OTHERS, PROMISED, TFLITE, Bench, Way
from tests.emulated.support.arm_photos import (
    FRAMES,
    PHOTOS,
    camera_frames,
    odd_pictures,
    real_photos,
)
from tests.emulated.support.arm_program import STAGES
from tests.support.cli import device, lines
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.places import BUILD

CORES = os.environ.get("FIELDGUIDE_CORES", "").split()
if not CORES:
    pytest.skip("emulated boards take minutes: run `make test-arm`", allow_module_level=True)
if missing := [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]:
    pytest.skip(f"no {missing[0]}: Debian's packages cannot be had here", allow_module_level=True)
if unknown := set(CORES) - set(qemu_user.BOARDS):
    known = ", ".join(qemu_user.BOARDS)
    pytest.fail(f"CORES={' '.join(sorted(unknown))}: choose of {known}", pytrace=False)

each_core = pytest.mark.parametrize("core", CORES)
each_promised_way = pytest.mark.parametrize("way", PROMISED, ids=lambda way: way.system)
MAX_SPREAD = 0.02
SAMPLES = 6
MOST_OF_A_MOMENT = 70_000_000
"""1% of a core of a Pi 3 (1.4 GHz) over the ten seconds of a moment, with two cycles each."""
STEP = 1.01 / 256
"""Of a probability; printed ones are rounded."""


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle that `make` built."""
    return BUILD / "bundle"


@pytest.fixture(scope="session")
def our_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The device's wheel, unpacked."""
    (wheel,) = (BUILD / "wheel").glob("*.whl")
    folder = tmp_path_factory.mktemp("wheel")
    qemu_user.unpack_wheel(wheel, folder)
    return folder


@pytest.fixture(scope="session")
def bench(
    bundle: Path,
    our_wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Bench]:
    """All boards at work; what they gave is written and shown at the end."""
    folder = tmp_path_factory.mktemp("boards")
    photos = real_photos(training.read_training(BUILD / "train"))
    assert len(photos) >= PHOTOS
    frames = camera_frames(contract.load(bundle), folder / "frames")
    pictures = [*photos, *odd_pictures(photos[0], folder / "odd"), *frames]
    started = Bench(CORES, bundle, pictures, our_wheel, folder)
    yield started
    answers = started.finish()
    if (arm_boards.WORKSTATION, PROMISED[0]) not in answers:
        return
    found = arm_boards.report(contract.load(bundle), answers, len(frames))
    arm_boards.write(found, BUILD / "arm")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{arm_boards.table(found)}")


def assert_same(bench: Bench, core: str, way: Way, names: set[str]) -> None:
    """These arrays have the workstation's bytes on a core."""
    arrays, expected = bench.answer(core, way).arrays, bench.reference.arrays
    for name in names:
        assert arrays[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(arrays[name], expected[name], err_msg=name)


@each_core
@each_promised_way
def test_the_board_s_class_map_and_features_have_the_workstation_s_bytes(
    core: str, way: Way, bench: Bench, bundle: Path
) -> None:
    assert_same(bench, core, way, {"class_map", "features"})
    seen, golden = bench.answer(core, way).arrays, contract.load(bundle).golden_arrays()
    for name in ("class_map", "features"):
        np.testing.assert_array_equal(seen[f"golden_{name}"], golden[name])
        assert len(seen[name]) > PHOTOS and len(np.unique(seen[name])) > 60


@each_core
@each_promised_way
def test_the_board_rounds_the_mean_of_every_sum_as_the_workstation(
    core: str, way: Way, bench: Bench
) -> None:
    """Photos give few of the sums that are possible: some bundle's next photo gives another."""
    assert_same(bench, core, way, {"means"})
    means = bench.reference.arrays["means"]
    assert len(means) == 2 and all(len(np.unique(each)) == 256 for each in means)


@each_core
@each_promised_way
def test_the_board_s_probabilities_are_at_most_a_step_from_the_workstation_s(
    core: str, way: Way, bench: Bench
) -> None:
    found = arm_boards.difference(bench.answer(core, way).outputs(), bench.reference.outputs())
    assert found.steps["probabilities"] <= 1 and found.other_top1 == 0


@each_core
def test_a_board_says_the_same_on_either_debian(core: str, bench: Bench) -> None:
    old, new = (bench.answer(core, way).outputs() for way in PROMISED)
    assert arm_boards.difference(old, new).unequal == 0


@each_core
@pytest.mark.parametrize("way", (*PROMISED, OTHERS[1]), ids=lambda way: way.system)
def test_pictures_are_prepared_to_the_same_bytes_on_the_board(
    core: str, way: Way, bench: Bench
) -> None:
    assert_same(bench, core, way, {"pixels"})
    assert len({pixels.tobytes() for pixels in bench.reference.arrays["pixels"]}) > PHOTOS


@each_core
@pytest.mark.parametrize("way", (*PROMISED, OTHERS[1]), ids=lambda way: way.system)
def test_a_look_at_a_film_finds_the_workstation_s_boxes_on_the_board(
    core: str, way: Way, bench: Bench
) -> None:
    assert_same(bench, core, way, {"looked"})
    kinds, boxes = np.split(bench.reference.arrays["looked"], [2], axis=1)
    assert len(np.unique(kinds[:, 0])) >= 3 and len(np.unique(boxes, axis=0)) > 20


@each_core
@each_promised_way
def test_the_self_test_passes_on_the_board(core: str, way: Way, bench: Bench, bundle: Path) -> None:
    command = ("-m", "device", "selftest", "--bundle", bundle.with_name("bundle.tar"))
    done = bench.python(core, way.system, *command)
    assert done.returncode == 0, done.stderr
    golden = len(contract.load(bundle).golden_arrays()["inputs"])
    assert f"{golden} golden photos on ai-edge-litert" in done.stdout
    assert done.stdout.endswith(f" steps, top-1 equal on {golden}\n")


@each_core
@each_promised_way
def test_classify_says_the_same_on_the_board(
    core: str, way: Way, bench: Bench, bundle: Path
) -> None:
    photos = sorted(path for path in (BUILD / "samples").iterdir() if path.suffix)[:SAMPLES]
    command = ["classify", "--json", "--bundle", str(bundle), *map(str, photos)]
    there, here = bench.python(core, way.system, "-m", "device", *command), device(*command)
    assert there.returncode == here.returncode == 0, there.stderr
    pairs = list(zip(lines(there.stdout), lines(here.stdout), strict=True))
    assert len(pairs) == SAMPLES
    for ours, theirs in pairs:
        assert ours.pop("score") == pytest.approx(theirs.pop("score"), abs=STEP)
        assert ours.pop("scores") == pytest.approx(theirs.pop("scores"), abs=STEP)
        assert ours == theirs


@each_core
def test_tflite_runtime_passes_the_self_test_by_exactly_what_was_measured(
    core: str, bench: Bench, bundle: Path, tmp_path: Path
) -> None:
    old = next(way for way in OTHERS if way.runtime == TFLITE)
    answer, reference, files = bench.answer(core, old), bench.reference, read_folder(bundle)
    found = arm_boards.difference(answer.outputs(), reference.outputs())
    row = Measured(
        runtime=TFLITE,
        version=answer.version,
        core=core,
        model_sha256="this",
        photos=found.photos,
        max_steps=found.max_steps,
        max_feature_steps=found.steps["features"],
        other_top1=found.other_top1,
    )
    allowed = tolerance.tolerance_by_runtime("this", [row])
    assert allowed[TFLITE]["max_steps"] == found.max_steps
    golden = arm_boards.difference(answer.golden(), reference.golden())
    less = {TFLITE: {**allowed[TFLITE], "max_steps": golden.max_steps - 1}}
    for name, record, status in (("exact", allowed, 0), ("less", less, 1)):
        folder = write_folder(tmp_path / name, resealed(files, tolerance=record))
        command = ("-m", "device", "selftest", "--bundle", folder)
        done = bench.python(core, old.system, *command)
        assert done.returncode == status, done.stdout + done.stderr


@each_core
@each_promised_way
def test_a_frame_costs_the_same_instructions_every_time(core: str, way: Way, bench: Bench) -> None:
    if not bench.counts:
        pytest.skip("no C compiler: the plugin that counts cannot be made")
    counted = bench.answer(core, way).arrays["instructions"][-FRAMES:]
    assert counted.shape == (FRAMES, len(STAGES)) and counted.min() > 0
    invoke = counted[:, STAGES.index("invoke")]
    assert np.ptp(invoke) <= MAX_SPREAD * invoke.mean()


@each_core
@each_promised_way
def test_watching_for_drift_takes_less_than_a_hundredth_of_a_core(
    core: str, way: Way, bench: Bench
) -> None:
    if not bench.counts:
        pytest.skip("no C compiler: the plugin that counts cannot be made")
    counted = bench.answer(core, way).arrays["moment_instructions"][1:]
    assert counted.min() > 0 and counted.max() < MOST_OF_A_MOMENT
