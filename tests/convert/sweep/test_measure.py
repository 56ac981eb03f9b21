"""What a network costs is measured in a process of its own, which may end or hang."""

from pathlib import Path

import pytest

from convert.errors import InputError
from convert.sweep import measure


def test_a_process_that_hangs_is_one_line_that_names_the_bundle(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "TIME_LIMIT_S", 0.01)
    with pytest.raises(InputError, match=r"tiny.* did not answer within 0\.01 s$"):
        measure._cost(b"", tiny_bundle)


def test_a_bundle_that_does_not_run_is_one_line_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not run: .*manifest"):
        measure._cost(b"", tmp_path)
