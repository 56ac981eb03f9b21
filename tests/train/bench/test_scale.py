"""The measurement of how training grows runs, and counts what it measured."""

from pathlib import Path

import pytest

from tests.support.builds.build_folder import weights_folder
from train.bench import scale


@pytest.mark.slow
def test_a_size_is_measured_by_make_s_own_commands(tmp_path: Path) -> None:
    row = scale.measure(75, tmp_path, weights_folder())
    assert row["photos"] == 75 and row["peak_memory_mib"] > 0 and row["cache_mib"] > 0
    assert {"head", "fine_tuning", "evaluation"} <= set(row["seconds"])
    (line,) = scale.table([row]).splitlines()[1:]
    assert line.split()[0] == "75"
