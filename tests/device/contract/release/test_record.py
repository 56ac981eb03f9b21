"""Files of a release: no name leaves its folder, and what is of another release is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.release.naming import (
    is_file_name,
    is_name,
    paths_of,
    release_id,
    role_of,
    target_of,
)
from device.contract.release.record import (
    MAX_FILE_BYTES,
    Release,
    ReleaseFile,
    parse,
    record_target,
    system_key,
)
from device.errors import ReleaseError

MODEL = ReleaseFile("model_int8.tflite", "birds/3/model_int8.tflite.xz", 2_704_027)
LABELS = ReleaseFile("labels.txt", "birds/3/labels.txt", 37)
RELEASE = Release("birds", 3, "British birds, commit 1c6c5b2", (MODEL, LABELS))
BAD_NAMES = ["..", ".", "", ".x", "-x", "a/b", "../a", "/etc/passwd", "a\\b", "a\n", "a b", "a%2Fb"]


def _edited(file: dict[str, Any], **changes: Any) -> bytes:
    """The record with its first file changed, and with other changes."""
    record = json.loads(RELEASE.to_json())
    record["files"][0] |= file
    return json.dumps(record | changes).encode()


def test_what_is_written_is_read_as_the_same() -> None:
    assert parse(RELEASE.to_json(), "birds", 3) == RELEASE


def test_a_compressed_file_says_so() -> None:
    assert MODEL.packed
    assert not LABELS.packed
    assert not ReleaseFile("a.xz", "birds/3/a.xz", 1).packed


def test_fields_of_a_newer_publisher_are_left_alone() -> None:
    assert parse(_edited({"sha1": ""}, news="much"), "birds", 3) == RELEASE


def test_a_release_under_another_name_or_number_is_refused() -> None:
    for name, number in (("frogs", 3), ("birds", 4)):
        with pytest.raises(ReleaseError, match="another release"):
            parse(RELEASE.to_json(), name, number)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_file_whose_name_leaves_its_folder_is_refused(name: str) -> None:
    assert not is_file_name(name)
    with pytest.raises(ReleaseError, match="damaged"):
        parse(_edited({"name": name, "target": f"birds/3/{name}"}), "birds", 3)


@pytest.mark.parametrize(
    "target",
    [
        "frogs/3/model_int8.tflite",
        "birds/2/model_int8.tflite",
        "birds/3/labels.txt",
        "birds/3/../3/model_int8.tflite",
        "software/wheels/model_int8.tflite",
        "https://example.org/model_int8.tflite",
        "",
        None,
        3,
    ],
)
def test_a_target_that_is_not_of_the_release_is_refused(target: object) -> None:
    with pytest.raises(ReleaseError, match="damaged"):
        parse(_edited({"target": target}), "birds", 3)


@pytest.mark.parametrize("length", [-1, MAX_FILE_BYTES + 1, True, 1.5, "1", None, 10**400])
def test_a_length_out_of_range_is_refused(length: object) -> None:
    with pytest.raises(ReleaseError, match="damaged"):
        parse(_edited({"bytes": length}), "birds", 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": {}},
        {"files": [None]},
        {"files": [{}] * 501},
        {"about": None},
        {"about": "x" * 201},
        {"number": True},
        {"name": ["birds"]},
    ],
)
def test_a_record_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError):
        parse(_edited({}, **changes), "birds", 3)


def test_a_file_that_is_named_twice_or_is_the_record_itself_is_refused() -> None:
    twice = {"name": "labels.txt", "target": "birds/3/labels.txt"}
    with pytest.raises(ReleaseError, match="twice"):
        parse(_edited(twice), "birds", 3)
    itself = {"name": "release.json", "target": "birds/3/release.json"}
    with pytest.raises(ReleaseError, match="damaged"):
        parse(_edited(itself), "birds", 3)


@given(st.binary(max_size=80))
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse(data, "birds", 3)


def test_another_schema_says_to_update() -> None:
    with pytest.raises(ReleaseError, match="update the device package"):
        parse(_edited({}, schema=2), "birds", 3)


def test_software_shares_wheels_and_names_the_boards_that_need_them() -> None:
    key = system_key("3.11.2", "aarch64")
    wheel = ReleaseFile("h11-0.16-py3-none-any.whl", "software/wheels/h11-0.16-py3-none-any.whl", 9)
    only = ReleaseFile("numpy.whl", "software/wheels/numpy.whl", 9, (key,))
    release = Release("software", 7, "0.5.0", (wheel, only))
    assert parse(release.to_json(), "software", 7) == release
    assert wheel.is_for(key)
    assert only.is_for("3.11-aarch64")
    assert not only.is_for(system_key("3.13.0", "aarch64"))


@given(st.text())
def test_a_name_is_safe_in_an_address_a_folder_and_a_shell(text: str) -> None:
    if is_name(text):
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert text[0] != "-"
    else:
        with pytest.raises(ReleaseError, match="no name of releases"):
            role_of(text)


@pytest.mark.parametrize("number", [0, -1, 10**6 + 1, True])
def test_a_number_out_of_range_makes_no_release(number: int) -> None:
    with pytest.raises(ReleaseError, match="no number of a release"):
        release_id("birds", number)


@pytest.mark.parametrize("file", BAD_NAMES)
def test_no_target_leaves_its_release(file: str) -> None:
    with pytest.raises(ReleaseError, match="cannot be the name"):
        target_of("birds", 3, file)


def test_names_of_roles_have_no_slash_and_do_not_meet() -> None:
    assert role_of("birds") == "model-birds"
    assert role_of("software") == "software"
    assert record_target("birds", 3) == "birds/3/release.json"
    assert paths_of("birds") == ["birds/*/*"]
    for taken in ("rollout", "wheels"):
        with pytest.raises(ReleaseError, match="no name"):
            role_of(taken)
