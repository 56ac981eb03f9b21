"""Which boards may have a release: raising a percentage only adds boards, bad JSON is one line."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.release.rollout import Rollout, Stage, is_in, is_percent, parse
from device.errors import ReleaseError

BOARDS = [f"fieldguide-{number:04d}" for number in range(2000)]
STAGE = Stage(release=3, percent=10, base=2)
PERCENT = st.floats(0, 100).map(lambda value: round(value, 4))


def _takers(release: str, percent: float) -> set[str]:
    return {board for board in BOARDS if is_in(release, percent, board)}


def _edited(**changes: Any) -> bytes:
    stage = {"release": 3, "percent": 10, "halted": False, "base": 2, **changes}
    return json.dumps({"schema": 1, "groups": {"all": {"birds": stage}}}).encode()


@given(PERCENT, PERCENT, st.text())
def test_raising_the_percentage_only_adds_boards(one: float, other: float, board: str) -> None:
    low, high = sorted([one, other])
    assert is_in("birds/3", high, board) or not is_in("birds/3", low, board)


@given(st.text())
def test_no_board_is_in_at_0_percent_and_every_one_at_100(board: str) -> None:
    assert not is_in("birds/3", 0, board)
    assert is_in("birds/3", 100, board)


def test_a_tenth_of_the_boards_is_in_at_10_percent() -> None:
    assert 150 <= len(_takers("birds/3", 10)) <= 250


def test_another_release_begins_with_other_boards() -> None:
    first, second = _takers("birds/3", 10), _takers("birds/4", 10)
    assert len(first & second) < 50


def test_a_halted_release_and_boards_that_wait_get_what_everyone_may_have() -> None:
    taker = next(board for board in BOARDS if is_in("birds/3", 10, board))
    waits = next(board for board in BOARDS if not is_in("birds/3", 10, board))
    assert STAGE.offered("birds", taker) == 3
    assert STAGE.offered("birds", waits) == 2
    assert replace(STAGE, halted=True).offered("birds", taker) == 2
    assert replace(STAGE, base=0).offered("birds", waits) == 0


def test_a_board_takes_the_stage_of_its_own_group_else_that_of_all() -> None:
    own = replace(STAGE, percent=50)
    rollout = Rollout().with_stage("all", "birds", STAGE).with_stage("garden", "birds", own)
    assert rollout.stage("garden", "birds") == own
    assert rollout.stage("roof", "birds") == STAGE
    assert rollout.with_stage("all", "frogs", own).stage("garden", "frogs") == own
    assert rollout.stage("garden", "frogs") is None


@given(st.integers(1, 10**6), PERCENT, st.booleans(), st.integers(0, 10**6))
def test_what_is_written_is_read_as_the_same(
    release: int, percent: float, halted: bool, base: int
) -> None:
    stage = Stage(release, percent, halted, base)
    rollout = Rollout().with_stage("garden", "birds", stage)
    assert parse(rollout.to_json()) == rollout


def test_fields_of_a_newer_publisher_are_left_alone() -> None:
    assert parse(_edited(until="tomorrow")) == Rollout().with_stage("all", "birds", STAGE)


@given(st.binary(max_size=80))
def test_bytes_that_are_no_rollout_are_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(JSON)
def test_a_stage_of_another_form_is_refused(stage: Any) -> None:
    record = {"schema": 1, "groups": {"all": {"birds": stage}}}
    with pytest.raises(ReleaseError):
        parse(json.dumps(record).encode())


@given(JSON)
def test_groups_of_another_form_are_refused(groups: Any) -> None:
    if groups == {}:
        return
    with pytest.raises(ReleaseError):
        parse(json.dumps({"schema": 1, "groups": groups}).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"release": 0},
        {"release": -1},
        {"release": 10**6 + 1},
        {"release": True},
        {"release": 1.0},
        {"release": "3"},
        {"percent": -0.1},
        {"percent": 100.1},
        {"percent": 0.00001},
        {"percent": True},
        {"percent": "10"},
        {"percent": float("nan")},
        {"percent": float("inf")},
        {"percent": 10**400},
        {"halted": 0},
        {"base": -1},
        {"base": False},
        {"base": 0.0},
        {"base": None},
    ],
)
def test_numbers_out_of_range_and_of_other_types_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError, match="damaged"):
        parse(_edited(**changes))


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", "A", "-a", "a-", "rollout", "wheels", "a" * 33]
)
def test_names_that_leave_a_folder_are_refused(name: str) -> None:
    stage = {"release": 3, "percent": 10, "halted": False, "base": 2}
    for groups in ({name: {"birds": stage}}, {"all": {name: stage}}):
        with pytest.raises(ReleaseError, match="damaged"):
            parse(json.dumps({"schema": 1, "groups": groups}).encode())


def test_another_schema_says_to_update() -> None:
    with pytest.raises(ReleaseError, match="update the device package"):
        parse(b'{"schema": 2, "groups": {}}')


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(ReleaseError, match="not JSON"):
        parse(b"[" * 100_000)


def test_a_percentage_has_four_decimals() -> None:
    assert is_percent(0.0001)
    assert is_percent(33.3333)
    assert not is_percent(0.00005)
