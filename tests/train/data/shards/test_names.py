"""Members of shards promise: whatever they are called, none escapes, and none vanishes silently."""

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.pictures import RULES, encoded, picture
from tests.train.data.shards.making import write_tar
from train.data.dataset import scan
from train.data.shards.entries import plain_name
from train.data.shards.source import find_source
from train.errors import DataError

PARTS = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["..", ".", "", "fern", "~", "a" * 300, "\u202egpj.exe", "C:\\x", "\udcff"]),
)
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
JPEG = encoded(picture(0, 0, 40, 40), "JPEG")


@given(NAMES)
@example("../../etc/passwd")
@example("/etc/passwd")
@example("./fern/./1")
def test_a_plain_name_leads_nowhere_else(name: str) -> None:
    plain = plain_name(name)
    if plain is None:
        assert name.startswith("/") or ".." in name.split("/") or not name.strip("/.")
        return
    inside = Path("/data").joinpath(plain)
    assert inside.resolve().is_relative_to("/data") and str(inside) == f"/data/{plain}"


@given(st.lists(NAMES, min_size=1, max_size=6))
@example(["fern/x", "./fern/x", "fern//x"])
@example(["fern/\n1", "fern/a/../b"])
@example(["\udcff/1", "fern/\udcff"])
def test_every_member_is_a_photo_a_line_or_a_refusal(names: list[str]) -> None:
    members = [(f"{name}.jpg", JPEG) for name in names if "/" in name or name]
    # Two that are always there, so that the others are what is found odd.
    usual = [("_known/1.jpg", JPEG), ("known one/1.jpg", JPEG), ("known two/1.jpg", JPEG)]
    with TemporaryDirectory() as folder, redirect_stderr(StringIO()) as told:
        before = {Path(folder, "a.tar"), Path(folder, "out")}
        data = write_tar(Path(folder, "a.tar"), [*usual[1:], *members])
        try:
            found = scan(find_source(str(data), Path(folder), Path(folder, "out")), RULES)
        except DataError:
            return
        finally:
            assert {*Path(folder).iterdir()} == before
        skipped = sum(
            int(line.partition(": ")[2].partition(" ")[0].replace(",", ""))
            for line in told.getvalue().split("\n")
            if line.startswith("skipped, ")
        )
        assert len(found) + skipped == len(members) + 2


@pytest.mark.parametrize("length", [90, 250, 5000])
def test_a_long_name_is_read_as_it_is(length: int, tmp_path: Path) -> None:
    name = f"fern/{'x' * length}.jpg"
    data = write_tar(tmp_path / "a.tar", {name: JPEG, "moss/1.jpg": JPEG})
    found = scan(find_source(str(data), tmp_path, tmp_path / "out"), RULES)
    assert {photo.path for photo in found} == {name, "moss/1.jpg"}
