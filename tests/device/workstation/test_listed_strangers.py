"""`strangers.csv` is read back as it was written, and damage is one clear line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.records import RecordError
from device.workstation.training import LEFT_OUT, Part
from device.workstation.unknown.listed import COLUMNS, Stranger, read_strangers, to_csv

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
BOXES = st.none() | st.tuples(*[st.integers(0, 9000)] * 4).map(
    lambda n: (n[0], n[1], n[0] + n[2] + 1, n[1] + n[3] + 1)
)
PARTS = st.sampled_from([Part.TRAIN.value, Part.TEST.value, LEFT_OUT])
STRANGERS = st.builds(Stranger, TEXT, PARTS, TEXT, TEXT, BOXES, TEXT)
HEADER = ",".join(COLUMNS)


@given(st.lists(STRANGERS))
def test_strangers_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, strangers: list[Stranger]
) -> None:
    path = tmp_path_factory.mktemp("strangers") / "strangers.csv"
    path.write_text(to_csv(strangers), "utf-8")
    assert read_strangers(path) == tuple(strangers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,part\n",
        f"{HEADER}\na.jpg,test\n",
        f"{HEADER}\na.jpg,test,ab,e,1,2,3,\n",
        f"{HEADER}\na.jpg,test,ab,e,5,0,5,9,\n",
        f"{HEADER}\na.jpg,test,ab,e,0,0,x,9,\n",
    ],
)
def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "strangers.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(RecordError, match=r"strangers.csv: damaged .*run `make data`"):
        read_strangers(path)
    path.unlink()
    with pytest.raises(RecordError, match="is missing; run `make data`"):
        read_strangers(path)
