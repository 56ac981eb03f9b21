"""`cuts.csv` is read back as it was written, and damage is one clear line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.cuts import read_cuts, to_csv
from device.workstation.records import RecordError

SIDES = st.tuples(*[st.integers(0, 9000)] * 4).map(
    lambda n: (n[0], n[1], n[0] + n[2] + 1, n[1] + n[3] + 1)
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), SIDES))
def test_boxes_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, boxes: dict[str, tuple[int, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("cuts") / "cuts.csv"
    path.write_text(to_csv(boxes), "utf-8")
    assert read_cuts(path) == boxes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,box\n",
        "path,left,upper,right,lower\na.jpg,1,2,3\n",
        "path,left,upper,right,lower\na.jpg,5,0,5,9\n",
        "path,left,upper,right,lower\na.jpg,-1,0,5,9\n",
        "path,left,upper,right,lower\na.jpg,0,0,x,9\n",
    ],
)
def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cuts.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(RecordError, match=r"cuts.csv: damaged .*run `make data`"):
        read_cuts(path)
    path.unlink()
    with pytest.raises(RecordError, match="is missing"):
        read_cuts(path)
