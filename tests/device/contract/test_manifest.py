"""Promises of the manifest: whatever stands in it, it loads whole or is a bundle error."""

import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.contract import bundle as contract
from device.contract.accuracy import Estimate, ScoreOffset
from device.contract.bundle import Bundle
from device.contract.look.rules import LookRules, Region
from device.errors import BundleError, SelfTestError
from device.inference import selftest
from device.inference.classifier import Classifier
from tests.device.contract.manifests import Files, anything, body
from tests.support.device.bundle_files import THRESHOLD, read_folder
from tests.support.device.known import STATISTICS
from tests.support.pictures import RULES

MANIFEST, NAMES = contract.MANIFEST, contract.REQUIRED_FILES


@pytest.fixture
def files(tiny_bundle: Path) -> Files:
    return read_folder(tiny_bundle)


@given(st.binary(max_size=200) | anything.map(json.dumps).map(str.encode))
def test_whatever_stands_in_a_manifest_it_is_a_bundle_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        contract.parse_manifest(data)


INTERVALS = anything | st.tuples(st.floats(), st.floats())


@given(share=anything | st.floats(0, 1), interval=INTERVALS, photos=anything | st.integers(1))
def test_a_measured_accuracy_is_whole_or_none(share: Any, interval: Any, photos: Any) -> None:
    record = {"int8_accuracy": share, "int8_accuracy_interval": interval, "n": photos}
    record |= {"events": photos, "new_places_accuracy": share, "new_places_interval": interval}
    record |= {"same_places_accuracy": share, "same_places_interval": interval}
    for verification in (record, share):
        text = json.dumps({"verification": verification})
        files = b"", ("a",), RULES, b"", STATISTICS
        found = Bundle(json.loads(text), *files, Region.WHOLE, LookRules()).accuracy
        assert found is None or json.loads(json.dumps(asdict(found), allow_nan=False))["photos"] > 0


def test_the_measured_accuracy_is_the_manifest_s(tiny_bundle: Path) -> None:
    loaded = contract.load(tiny_bundle)
    measured, found = loaded.manifest["verification"], loaded.accuracy
    assert found is not None and found.low <= found.value <= found.high
    assert (found.value, found.photos) == (measured["int8_accuracy"], measured["n"])
    assert found.events == measured["events"]
    nothing = {"same_places_accuracy": None, "new_places_accuracy": None}
    plain = replace(loaded, manifest={"verification": measured | nothing}).accuracy
    assert plain is not None and plain.same_places is None and plain.new_places is None
    measured |= {"new_places_accuracy": 0.66, "new_places_interval": [0.55, 0.76]}
    measured |= {"same_places_accuracy": 0.87, "same_places_interval": [0.81, 0.92]}
    beside = replace(loaded, manifest={"verification": measured}).accuracy
    assert beside is not None and beside.new_places == Estimate(0.66, 0.55, 0.76)
    assert beside.same_places == Estimate(0.87, 0.81, 0.92)


def test_the_offset_of_scores_is_the_manifest_s_and_none_where_it_was_not_measured(
    files: Files,
) -> None:
    forged = body(files)
    for record, expected in (
        ({"value": -0.02, "error": 0.01, "n": 400}, ScoreOffset(-0.02, 0.01)),
        (None, ScoreOffset()),
    ):
        forged["score_offset"] = record
        sealed = {**files, MANIFEST: contract.seal_manifest(forged)}
        assert contract.from_files(sealed).score_offset == expected
    # A bundle that was packed before it was measured.
    del forged["score_offset"]
    old = {**files, MANIFEST: contract.seal_manifest(forged)}
    assert contract.from_files(old).score_offset == ScoreOffset()


@pytest.mark.parametrize("record", [{}, [], 0.01, {"value": 2, "error": 0}, {"value": 0.1}])
def test_an_offset_of_scores_that_is_damaged_is_one_line(files: Files, record: Any) -> None:
    forged = {**body(files), "score_offset": record}
    with pytest.raises(BundleError, match="the record of score_offset is damaged; build it again"):
        contract.parse_manifest(contract.seal_manifest(forged))


@pytest.mark.parametrize("depth", [10, 900, 5_000, 100_000])
def test_a_deeply_nested_manifest_is_a_bundle_error(depth: int) -> None:
    nested = b'{"schema": 1, "x": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(BundleError):
        contract.parse_manifest(nested)


@given(anything.filter(lambda value: not isinstance(value, dict)) | st.just({}))
def test_a_sealed_manifest_of_any_other_form_is_a_bundle_error(value: Any) -> None:
    with pytest.raises(BundleError):
        contract.parse_manifest(contract.seal_manifest({"schema": 1, "files": value}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_any_value_sealed_into_any_place_loads_or_is_a_bundle_error(
    data: st.DataObject, files: Files, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    forged = body(files)
    place, key = forged, data.draw(st.sampled_from(sorted(forged)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(anything)
    for name, content in {**files, MANIFEST: contract.seal_manifest(forged)}.items():
        (tmp_path / name).write_bytes(content)
    try:
        loaded = contract.load(tmp_path)
    except BundleError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert isinstance(loaded.name, str) and isinstance(loaded.data, str)
        with suppress(SelfTestError):
            selftest.run(loaded, tiny_classifier)


@given(st.dictionaries(st.text(max_size=8), anything, max_size=4))
def test_what_is_sealed_is_read_back(extra: dict[str, Any]) -> None:
    record = contract.file_record(b"")
    files = dict.fromkeys(NAMES, record)
    manifest = {**extra, "schema": contract.SCHEMA, "files": files, "threshold": {**THRESHOLD}}
    sealed = contract.seal_manifest(manifest)
    back = contract.parse_manifest(sealed)
    assert contract.seal_manifest(back) == sealed == contract.seal_manifest(manifest)
    assert back.pop("manifest_sha256") == contract.manifest_digest(manifest)
    assert json.dumps(back, sort_keys=True) == json.dumps(manifest, sort_keys=True)
