"""What `python -m device` promises its caller: which lines, with which fields, in which order."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from device.contract import bundle as contract
from tests.device.service.scenes import film_file
from tests.support.cli import Call, assert_one_error_line, device, lines
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.films import Film, Visit, shots
from tests.support.peers.cameras import mjpeg_camera
from tests.support.pictures import LABELS, encoded, picture, write_video

BENCHMARK_KEYS = {
    "frames",
    "runtime",
    "threads",
    "ahead",
    "invoke_p50_ms",
    "invoke_p95_ms",
    "frame_p50_ms",
    "frame_p95_ms",
    "overhead_p50_ms",
    "overhead_p95_ms",
    "fps",
    "resident_mib",
    "resident_peak_mib",
    "first_label_s",
}

# --- classify ---------------------------------------------------------------------------------


def test_classify_json_prints_one_object_a_photo_with_exactly_the_promised_fields(
    call: Call, tiny_bundle: Path, photos: Path
) -> None:
    status, stdout, stderr = call(
        "classify", "--bundle", tiny_bundle, "--json", photos / "a.png", photos / "z.JPG"
    )
    assert status == 0 and stderr == ""
    for record, name, label in zip(lines(stdout), ("a.png", "z.JPG"), ("red", "blue"), strict=True):
        assert list(record) == [
            "path",
            "label",
            "score",
            "unknown",
            "why",
            "distance",
            "scores",
            "seen",
            "box",
        ]
        assert record["path"] == str(photos / name) and record["label"] == label
        assert list(record["scores"]) == list(LABELS)
        assert record["score"] == max(record["scores"].values()) == record["scores"][label]
        assert sum(record["scores"].values()) == pytest.approx(1, abs=0.02)


def test_a_bad_file_stops_nothing_and_makes_the_exit_status_1(
    call: Call, tiny_bundle: Path, photos: Path
) -> None:
    missing, empty = photos / "missing.jpg", photos / "empty"
    empty.mkdir()
    status, stdout, stderr = call(
        "classify", "--bundle", tiny_bundle, "--json", missing, empty, photos / "sub", photos
    )
    assert status == 1 and stderr == ""
    records = lines(stdout)
    bad = photos / "sub" / "n.jpg"
    assert [(Path(r["path"]), r.get("label")) for r in records] == [
        (missing, None),
        (empty, None),
        (photos / "sub" / "m.webp", "green"),
        (bad, None),
        (photos / "a.png", "red"),
        (photos / "sub" / "m.webp", "green"),
        (bad, None),
        (photos / "z.JPG", "blue"),
    ]
    for record in records:
        if "label" not in record:
            assert list(record) == ["path", "error"] and record["error"]


def test_without_json_results_go_to_stdout_and_faults_to_stderr(
    call: Call, tiny_bundle: Path, photos: Path
) -> None:
    status, stdout, stderr = call("classify", "--bundle", tiny_bundle, photos)
    assert status == 1
    assert [line.split(": ")[1].split()[0] for line in stdout.splitlines()] == [
        "red",
        "green",
        "blue",
    ]
    about, fault = stderr.splitlines()
    assert "39 synthetic pictures" in about, "every output says which data it was made from"
    assert fault.startswith(f"{photos / 'sub' / 'n.jpg'}: error: ")


def test_the_tar_of_a_bundle_classifies_the_same(
    call: Call, tiny_bundle: Path, photos: Path
) -> None:
    runs = [
        call("classify", "--bundle", bundle, "--json", photos)
        for bundle in (tiny_bundle, tiny_bundle.with_name("bundle.tar"))
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_file_name_that_is_no_text_is_classified_and_printed(
    encoding: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xc3\xa9.png")
    try:
        Path(path).write_bytes(encoded(picture(0, 1)))
    except OSError:
        pytest.skip("this file system takes no such name")
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for options in ([], ["--json"]):
        run = device(
            "classify", "--bundle", tiny_bundle, *options, tmp_path, environment=environment
        )
        assert run.returncode == 0 and "Traceback" not in run.stderr
        assert "red" in run.stdout and len(run.stdout.splitlines()) == 1
    assert lines(run.stdout)[0]["path"] == path


# --- run --------------------------------------------------------------------------------------


def test_run_classifies_a_folder_with_one_json_line_per_photo(
    call: Call, tiny_bundle: Path, photos: Path
) -> None:
    status, stdout, stderr = call("run", "--bundle", tiny_bundle, "--source", photos)
    records = lines(stdout)
    assert status == 1 and stderr == "", "a bad photo is a line and the exit status"
    assert [record["frame"] for record in records] == [0, 1, 2, 3]
    assert [record.get("label") for record in records] == ["red", "green", None, "blue"]
    assert list(records[2]) == ["frame", "source", "time", "error"]
    for record in (records[0], records[1], records[3]):
        assert set(record["scores"]) == set(LABELS)
        assert record["invoke_ms"] > 0 and record["overhead_ms"] > 0


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("b.mkv", "mjpeg")])
def test_run_classifies_every_frame_of_a_video_in_order(
    name: str, codec: str, call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, codec)
    status, stdout, stderr = call("run", "--bundle", tiny_bundle, "--source", path)
    records = lines(stdout)
    assert status == 0 and stderr == ""
    assert [record["source"] for record in records] == [f"{path}#{n}" for n in range(9)]
    assert [record["label"] for record in records] == [*LABELS] * 3


@pytest.mark.parametrize("limit", [1, 3])
def test_run_stops_after_the_asked_number_of_frames(
    limit: int, call: Call, tiny_bundle: Path, video: Path, photos: Path
) -> None:
    for source in (video, photos):
        run = call("run", "--bundle", tiny_bundle, "--source", source, "--frames", limit)
        assert len(lines(run[1])) == limit


def test_run_looks_at_a_film_if_the_bundle_was_trained_for_it(
    call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = write_folder(tmp_path / "b", resealed(read_folder(tiny_bundle), region="change"))
    film = film_file(tmp_path / "film.mkv", shots(Film(24, visits=(Visit(15, 30, 0.5),))), 2)
    records = lines(call("run", "--bundle", bundle, "--source", film)[1])
    assert {record["seen"] for record in records[:19]} == {"learning"}
    assert all(record["label"] in LABELS and record["box"] is None for record in records[:19])
    empty, resting = records[24], records[-3]
    assert (empty["label"], empty["scores"], empty["box"]) == ("nothing", {}, None)
    assert resting["seen"] == "something" and resting["label"] in LABELS
    assert len(resting["box"]) == 4 and resting["invoke_ms"] > 0 == empty["invoke_ms"]
    whole = lines(call("run", "--bundle", tiny_bundle, "--source", film)[1])
    assert all(record["seen"] is None and record["label"] in LABELS for record in whole)


def test_run_classifies_a_camera_until_it_is_told_to_stop(call: Call, tiny_bundle: Path) -> None:
    with mjpeg_camera() as camera:
        run = call("run", "--bundle", tiny_bundle, "--source", camera.url, "--frames", 5)
    assert run[0] == 0 and [record["label"] for record in lines(run[1])] == ["red"] * 5


def test_a_damaged_video_gives_its_whole_frames_and_no_traceback(
    tiny_bundle: Path, video: Path
) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: 2 * len(data) // 3])
    run = device("run", "--bundle", tiny_bundle, "--source", video)
    assert lines(run.stdout)[0]["label"] == "red"
    assert "Traceback" not in run.stderr and len(run.stderr.splitlines()) <= 1


def test_a_video_without_pyav_says_what_to_install(
    call: Call, tiny_bundle: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    run = call("run", "--bundle", tiny_bundle, "--source", video)
    assert_one_error_line(run, "pip install av")


# --- selftest and benchmark -------------------------------------------------------------------


def test_the_self_test_passes_on_an_unchanged_bundle(call: Call, tiny_bundle: Path) -> None:
    status, stdout, stderr = call("selftest", "--bundle", tiny_bundle)
    assert status == 0 and stderr == ""
    assert stdout.startswith("self-test passed: 4 golden photos") and "0 steps" in stdout


@pytest.mark.parametrize(
    ("name", "steps"), [("probabilities", 2), ("class_map", 1), ("features", 1)]
)
def test_the_self_test_fails_when_a_golden_output_is_a_step_further_off_than_promised(
    name: str, steps: int, call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    files = read_folder(tiny_bundle)
    with np.load(io.BytesIO(files[contract.GOLDEN])) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name].flat[-1] ^= steps
    data = io.BytesIO()
    np.savez(data, **arrays)
    forged = write_folder(tmp_path / "b", resealed({**files, contract.GOLDEN: data.getvalue()}))
    run = call("selftest", "--bundle", forged)
    said = f"{name} differs by {steps} steps from the golden one ({steps - 1} allowed)"
    assert_one_error_line(run, said)
    # The tolerance is the manifest's, for this runtime alone.
    for limits, status in (
        ({"max_steps": steps}, 0),
        ({"max_steps": steps - 1}, 1),
        ({"max_steps": steps, "exact": [name]}, 1),
        ({"max_steps": steps, "exact": ["another"]}, 0),
    ):
        if name == "features" and "exact" not in limits:
            limits = {"max_steps": 0, "max_feature_steps": limits["max_steps"]}
        tolerance = {"ai-edge-litert": limits, "tflite-runtime": {"max_steps": 9}}
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        folder = write_folder(place, resealed(read_folder(forged), tolerance=tolerance))
        assert call("selftest", "--bundle", folder, "--runtime", "ai-edge-litert")[0] == status
    unmeasured = {"ai-edge-litert": {"max_steps": 0, "max_feature_steps": None}}
    folder = write_folder(tmp_path / "un", resealed(read_folder(forged), tolerance=unmeasured))
    assert call("selftest", "--bundle", folder)[0] == (name != "features")
    folder = write_folder(tmp_path / "unknown", resealed(read_folder(forged), tolerance={}))
    assert call("selftest", "--bundle", folder)[0] == 1


def test_the_self_test_fails_when_more_photos_than_allowed_are_of_another_class(
    call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    files = read_folder(tiny_bundle)
    with np.load(io.BytesIO(files[contract.GOLDEN])) as archive:
        arrays = {key: archive[key] for key in archive.files}
    # Of two photos the classes change places.
    arrays["probabilities"][:2] = np.roll(arrays["probabilities"][:2], 1, axis=1)
    data = io.BytesIO()
    np.savez(data, **arrays)
    files = {**files, contract.GOLDEN: data.getvalue()}
    for allowed, status in ((2, 0), (1, 1), (None, 1)):
        limits = {"max_steps": 255} | ({} if allowed is None else {"max_other_top1": allowed})
        sealed = resealed(files, tolerance={"ai-edge-litert": limits})
        run = call("selftest", "--bundle", write_folder(tmp_path / f"{allowed}", sealed))
        assert run[0] == status
    assert_one_error_line(run, "2 of 4 photos are of another class (0 allowed)")


@pytest.mark.slow
def test_benchmark_json_has_every_promised_figure(call: Call, tiny_bundle: Path) -> None:
    status, stdout, _ = call("benchmark", "--bundle", tiny_bundle, "--json", "--frames", 5)
    (record,) = lines(stdout)
    assert status == 0 and set(record) == BENCHMARK_KEYS
    assert record["frames"] == 5 and record["runtime"].startswith("ai-edge-litert ")
    for key, value in record.items():
        assert key in ("runtime", "ahead") or value > 0, key
    for name in ("invoke", "frame", "overhead"):
        assert record[f"{name}_p50_ms"] <= record[f"{name}_p95_ms"]
    assert record["invoke_p50_ms"] < record["frame_p50_ms"]
    assert record["resident_mib"] <= record["resident_peak_mib"]


@pytest.mark.slow
@pytest.mark.parametrize(("region", "look"), [("whole", []), ("change", ["look"])])
def test_the_breakdown_accounts_for_all_work_on_a_frame(
    call: Call, tiny_bundle: Path, tmp_path: Path, region: str, look: list[str]
) -> None:
    bundle = write_folder(tmp_path / "b", resealed(read_folder(tiny_bundle), region=region))
    arguments = ("benchmark", "--bundle", bundle, "--breakdown", "--frames", 5)
    status, stdout, _ = call(*arguments, "--json")
    stages = json.loads(stdout)
    names = ["decode", *look, "prepare", "copy", "invoke", "scores", "smooth"]
    assert status == 0 and [stage["name"] for stage in stages] == names
    assert sum(stage["share"] for stage in stages) == pytest.approx(1)
    for stage in stages:
        assert 0 < stage["p50_us"] <= stage["p95_us"]
    status, stdout, _ = call(*arguments)
    table = stdout.splitlines()
    assert status == 0 and [line.split()[0] for line in table] == ["stage", *names, "sum"]


def test_benchmark_prints_a_table_of_a_given_folder(
    call: Call, tiny_bundle: Path, photos: Path
) -> None:
    status, stdout, _ = call(
        "benchmark", "--bundle", tiny_bundle, "--source", photos, "--frames", 3, "--threads", 2
    )
    table = dict(line.split(None, 1) for line in stdout.splitlines())
    assert status == 0 and set(table) == BENCHMARK_KEYS and table["threads"] == "2"


def test_a_folder_is_classified_by_the_rule_of_training(
    call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, disk = tmp_path / "photos", tmp_path / "disk"
    for path in (folder / "a.jfif", folder / "b", disk / "c.JPE", folder / "@eaDir" / "d.jpg"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(picture(0, 1), "JPEG"))
    (folder / "link").symlink_to(disk)
    (folder / "loop").symlink_to(folder)
    (folder / "raw.NEF").write_bytes(b"II*\0")
    (folder / "zoo.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    status, out, err = call("classify", "--bundle", tiny_bundle, folder)
    assert status == 1
    assert [line.split(":")[0] for line in out.splitlines()] == [
        str(folder / name) for name in ("a.jfif", "b", "link/c.JPE")
    ]
    assert err.splitlines()[1:] == [
        f"{folder}/raw.NEF: error: a camera's raw picture, which is not read: convert it to JPEG",
        f"{folder}/zoo.mp4: error: a film, which is not read here: `run --source` reads films",
    ]
