"""`make audit` and `make data CLEAN=1` from photos to split, as their commands run them."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from device.workstation.training import AUDIT, AUDIT_PAGE, DATA, DataRecord
from tests.support.builds.build_folder import Build, succeeded, train, weights_folder
from train.curate.audit_record import AuditRecord
from train.data.rendered import render_data_set

pytestmark = pytest.mark.slow

PHOTOS_PER_CLASS = 34
"""So many that each class has the 20 training photos that it takes to be judged."""


def test_cleaning_leaves_out_what_the_audit_found_and_nothing_else(tmp_path: Path) -> None:
    photos, build = tmp_path / "photos", Build(tmp_path / "build")
    render_data_set(photos, photos_per_class=PHOTOS_PER_CLASS)
    first, second, *_ = classes = sorted(path for path in photos.iterdir() if path.is_dir())
    a, b, wrong = sorted(first.iterdir())[:3]
    shutil.copy(a, first / "copy.jpg")
    with Image.open(b) as picture:
        picture.save(second / "again.jpg", quality=70)
    wrong.rename(second / "wrong.jpg")
    kinds = {
        "copy": {f"{first.name}/{a.name}", f"{first.name}/copy.jpg"},
        "contradiction": {f"{first.name}/{b.name}", f"{second.name}/again.jpg"},
    }

    data = ("--data", photos, "--out", build.train)
    said = succeeded(train("audit", *data, "--weights", weights_folder()))
    assert "report: " in said and "not judged" not in said
    page = (build.train / AUDIT_PAGE).read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") > 4
    record = AuditRecord.read(build.train / AUDIT)
    found = {kind: [set(f.paths) for f in record.findings if f.kind == kind] for kind in kinds}
    assert found == {kind: [paths] for kind, paths in kinds.items()}
    suspects = [f for f in record.findings if f.kind == "mislabel"]
    (suspect,) = [f for f in suspects if f.paths == (f"{second.name}/wrong.jpg",)]
    assert suspect.suggested == first.name

    succeeded(train("data", *data))
    before = {row["path"]: row for row in build.rows()}
    succeeded(train("data", *data, "--clean", build.train / AUDIT))
    after = {row["path"]: row for row in build.rows()}
    changed = {path for path, row in after.items() if row != before[path]}
    assert changed == {removal.path for removal in record.removals}
    assert all(
        after[p]["part"] == "left_out" and "cleaned: " in after[p]["reason"] for p in changed
    )
    assert kinds["contradiction"] < changed and len(kinds["copy"] & changed) == 1
    assert len([p for c in classes for p in c.iterdir()]) == len(after), "no file is deleted"
    assert DataRecord.read(build.train / DATA).data.counts[first.name]["left_out"] == 2
