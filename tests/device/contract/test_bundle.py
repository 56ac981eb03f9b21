"""What `device.contract.bundle` promises: only bytes that were verified are ever loaded."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract import bundle as contract
from device.contract.look.rules import LookRules
from device.errors import BundleError
from tests.device.contract.manifests import Files, body
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.pictures import LABELS, RULES

MANIFEST, MODEL, NAMES = contract.MANIFEST, contract.MODEL, contract.REQUIRED_FILES
EDITS_PER_FILE = 40


@pytest.fixture
def files(tiny_bundle: Path) -> Files:
    return read_folder(tiny_bundle)


def refusal(path: Path) -> str:
    """The message of the BundleError that loading raises; it must be one, of one line."""
    with pytest.raises(BundleError) as caught:
        contract.load(path)
    message = str(caught.value)
    assert message and len(message.splitlines()) == 1, message
    return message


def tarred(path: Path, files: Files, prefix: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


# --- whole bundles ----------------------------------------------------------------------------


def test_a_folder_and_its_tar_load_the_same(tiny_bundle: Path, files: Files) -> None:
    loaded = contract.load(tiny_bundle)
    assert loaded == contract.load(tiny_bundle.with_name("bundle.tar"))
    assert loaded.model == files[MODEL] and loaded.golden == files[contract.GOLDEN]
    assert loaded.labels == LABELS and loaded.preprocessing == RULES
    assert loaded.name == "tiny" and loaded.data.startswith("39 synthetic pictures")


def test_a_tar_made_by_hand_loads_too(tiny_bundle: Path, files: Files, tmp_path: Path) -> None:
    # `tar cf x.tar -C bundle .` puts "./" before every name; a file more does not matter.
    path = tarred(tmp_path / "x.tar", {"notes.txt": b"mine", **files}, prefix="./")
    assert contract.load(path) == contract.load(tiny_bundle)


def test_the_golden_arrays_are_those_that_were_written(tiny_bundle: Path) -> None:
    arrays = contract.load(tiny_bundle).golden_arrays()
    assert set(arrays) == {"inputs", "probabilities", "class_map", "features"}
    assert arrays["inputs"].shape == (4, *RULES.shape)
    assert arrays["probabilities"].shape == (4, len(LABELS))
    assert all(array.dtype == np.uint8 for array in arrays.values())


# --- edited, truncated, missing ---------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_edited_byte_is_refused_by_naming_the_file(
    name: str, files: Files, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "bundle", files)
    rng, data = np.random.default_rng(0), files[name]
    ends = {0, len(data) // 2, len(data) - 1}
    for at in sorted(ends | set(rng.integers(0, len(data), EDITS_PER_FILE).tolist())):
        edited = bytearray(data)
        edited[at] ^= 1 << rng.integers(8)
        (folder / name).write_bytes(edited)
        assert name in refusal(folder)


def test_every_edit_of_the_manifest_that_says_something_else_is_refused(
    files: Files, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "bundle", files)
    rng, data = np.random.default_rng(0), files[MANIFEST]
    refused = 0
    for at in rng.integers(0, len(data), 8 * EDITS_PER_FILE):
        edited = bytearray(data)
        edited[at] = rng.integers(256)
        (folder / MANIFEST).write_bytes(edited)
        try:
            contract.load(folder)
        except BundleError:
            refused += 1
        else:
            # A space or line end between two fields is no edit.
            assert json.loads(edited) == json.loads(data)
    assert refused > 3 * EDITS_PER_FILE


@pytest.mark.parametrize("name", [*NAMES, MANIFEST])
def test_a_truncated_file_is_refused_with_one_line(name: str, files: Files, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "bundle", files)
    for kept in (0, 1, len(files[name]) // 2, len(files[name]) - 2):
        (folder / name).write_bytes(files[name][:kept])
        message = refusal(folder)
        assert name in message and "truncated" in message


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_more_is_refused_with_one_line(name: str, files: Files, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "bundle", {**files, name: files[name] + b"\n"})
    assert name in refusal(folder)


def test_a_model_for_the_edge_tpu_is_checked_like_every_file(files: Files, tmp_path: Path) -> None:
    name = contract.EDGETPU_MODEL
    folder = write_folder(tmp_path / "bundle", resealed({**files, name: b"compiled"}))
    contract.load(folder)
    (folder / name).write_bytes(b"Compiled")
    assert name in refusal(folder)
    (folder / name).unlink()
    assert f"{name} is missing" in refusal(folder)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
@pytest.mark.parametrize("name", [*NAMES, MANIFEST])
def test_a_missing_file_is_refused_by_name(
    name: str, packed: bool, files: Files, tmp_path: Path
) -> None:
    rest = {other: data for other, data in files.items() if other != name}
    path = tarred(tmp_path / "x.tar", rest) if packed else write_folder(tmp_path / "x", rest)
    assert f"{name} is missing" in refusal(path)


def test_a_folder_in_the_place_of_a_file_is_refused(files: Files, tmp_path: Path) -> None:
    rest = {name: data for name, data in files.items() if name != MODEL}
    folder = write_folder(tmp_path / "bundle", rest)
    (folder / MODEL).mkdir()
    assert MODEL in refusal(folder)


def test_what_is_not_there_is_refused_by_saying_how_to_build_one(tmp_path: Path) -> None:
    assert "make bundle" in refusal(tmp_path / "absent")


@pytest.mark.parametrize("change", [gzip.compress, lambda data: b"no tar " * 200, lambda data: b""])
def test_what_is_no_tar_is_refused(
    change: Callable[[bytes], bytes], tiny_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(change(tiny_bundle.with_name("bundle.tar").read_bytes()))
    refusal(path)


def test_a_tar_cut_anywhere_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    data = tiny_bundle.with_name("bundle.tar").read_bytes()
    path = tmp_path / "bundle.tar"
    for kept in (1, 511, 512, 513, 5000, len(data) // 2, 9 * len(data) // 10):
        path.write_bytes(data[:kept])
        refusal(path)


def test_damaged_tar_headers_are_a_bundle_error_and_nothing_else(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    source = tiny_bundle.with_name("bundle.tar")
    with tarfile.open(source) as archive:
        offsets = [member.offset for member in archive]
    whole, path, rng = contract.load(tiny_bundle), tmp_path / "bundle.tar", np.random.default_rng(0)
    data, refused = source.read_bytes(), 0
    for _ in range(400):
        edited = damaged_header(data, int(rng.choice(offsets)), rng)
        path.write_bytes(edited)
        try:
            assert contract.load(path) == whole
        except BundleError:
            refused += 1
    assert refused > 200


def damaged_header(data: bytes, offset: int, rng: np.random.Generator) -> bytes:
    """A tar with some bytes of one header changed and its checksum made to fit."""
    edited = bytearray(data)
    size_field, kind_field, magic_field = range(124, 136), (156,), range(257, 265)
    for at in rng.choice([*size_field, *kind_field * 6, *magic_field, 0, 100, 345], 3):
        edited[offset + at] = rng.choice([*rng.bytes(1), 0x80, 0xFF, *b"xgSLK1257"])
    edited[offset + 148 : offset + 156] = b" " * 8
    total = sum(edited[offset : offset + 512])
    edited[offset + 148 : offset + 156] = b"%06o\0 " % total
    return bytes(edited)


# --- what a forger or a bug might seal --------------------------------------------------------


def test_a_newer_schema_says_to_update_whatever_else_it_holds(tmp_path: Path) -> None:
    for rest in ({}, {"files": 7}, {"files": {"model.new": 1}}):
        newer = contract.seal_manifest({"schema": contract.SCHEMA + 1, **rest})
        (tmp_path / MANIFEST).write_bytes(newer)
        assert "update the device package" in refusal(tmp_path)


def test_an_older_schema_says_how_to_make_a_new_bundle(files: Files, tmp_path: Path) -> None:
    older = write_folder(tmp_path / "b", resealed(files, schema=contract.SCHEMA - 1))
    assert "build it again with `make bundle`" in refusal(older)


@pytest.mark.parametrize(
    "change",
    [
        {"region": "half"},
        {"region": None},
        {"look": {}},
        {"look_sha256": "0" * 64},
        {"look": {**LookRules().record(), "columns": 0}},
    ],
)
def test_unknown_rules_of_looking_are_refused(
    change: dict[str, Any], files: Files, tmp_path: Path
) -> None:
    said = refusal(write_folder(tmp_path / "b", resealed(files, **change)))
    assert "look" in said or "region" in said


@pytest.mark.parametrize("schema", [None, "1", 1.0, 0, -1, True, []])
def test_a_schema_that_never_was_is_no_bundle(schema: Any, files: Files, tmp_path: Path) -> None:
    assert "schema" in refusal(write_folder(tmp_path / "b", resealed(files, schema=schema)))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "sub/model_int8.tflite", "..", "", "x"])
def test_a_manifest_that_lists_any_other_path_is_refused(
    name: str, files: Files, tmp_path: Path
) -> None:
    evil = tmp_path / "evil"
    evil.write_bytes(b"here")
    listed = {**body(files)["files"], name: contract.file_record(b"here")}
    refusal(write_folder(tmp_path / "bundle", resealed(files, files=listed)))


def test_a_tar_cannot_lead_outside_of_itself(files: Files, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(files[MODEL])
    rest = {name: data for name, data in files.items() if name != MODEL}
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        path = tarred(tmp_path / "bundle.tar", rest)
        with tarfile.open(path, "a") as archive:
            member = tarfile.TarInfo(MODEL)
            member.type, member.linkname = kind, str(tmp_path / "outside")
            archive.addfile(member)
        assert f"{MODEL} is missing" in refusal(path)


@pytest.mark.parametrize(
    "labels", [b"", b"\n", b"a\n\nb\n", b"\xff\xfe\n", b"caf\xe9\n", b"a\n" * 100_001]
)
def test_labels_that_are_no_lines_of_utf_8_are_refused(
    labels: bytes, files: Files, tmp_path: Path
) -> None:
    forged = resealed({**files, contract.LABELS: labels})
    assert contract.LABELS in refusal(write_folder(tmp_path / "bundle", forged))


@given(st.lists(st.text(min_size=1).filter(lambda s: "\n" not in s), min_size=1))
def test_labels_in_any_language_survive(labels: list[str]) -> None:
    data = ("\n".join(labels) + "\n").encode("utf-8", "replace")
    kept = tuple(label.encode("utf-8", "replace").decode() for label in labels)
    assert contract.parse_labels(data) == kept


def test_a_preprocessing_record_that_is_not_its_digest_s_is_refused(
    files: Files, tmp_path: Path
) -> None:
    rules = {**RULES.record(), "height_px": 128}
    forged = write_folder(tmp_path / "bundle", resealed(files, preprocess=rules))
    assert "preprocessing" in refusal(forged)


def without(arrays: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in arrays.items() if key != name}


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {},
        lambda a: without(a, "inputs"),
        lambda a: without(a, "probabilities"),
        lambda a: {**a, "probabilities": a["probabilities"][:2]},
        lambda a: {**a, "extra": np.array(3)},
        lambda a: {name: array[:0] for name, array in a.items()},
        lambda a: {**a, "inputs": a["inputs"][:, :5]},
        lambda a: {**a, "inputs": a["inputs"].astype(np.float32)},
        lambda a: {**a, "inputs": np.array(["a", "b", "c", "d"])},
        lambda a: {**a, "extra": np.array([None] * 4)},
    ],
    ids=[
        "nothing",
        "no-inputs",
        "no-outputs",
        "counts-differ",
        "scalar",
        "no-photos",
        "other-size",
        "floats",
        "text",
        "pickle",
    ],
)
def test_golden_outputs_that_cannot_prove_anything_are_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], files: Files, tmp_path: Path
) -> None:
    with np.load(io.BytesIO(files[contract.GOLDEN])) as archive:
        arrays = {name: archive[name] for name in archive.files}
    data = io.BytesIO()
    np.savez(data, **change(arrays))
    forged = resealed({**files, contract.GOLDEN: data.getvalue()})
    loaded = contract.load(write_folder(tmp_path / "bundle", forged))
    with pytest.raises(BundleError, match=contract.GOLDEN):
        loaded.golden_arrays()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"text"])
def test_a_golden_file_that_is_no_archive_is_refused(
    data: bytes, files: Files, tmp_path: Path
) -> None:
    forged = resealed({**files, contract.GOLDEN: data})
    with pytest.raises(BundleError, match=contract.GOLDEN):
        contract.load(write_folder(tmp_path / "bundle", forged)).golden_arrays()
