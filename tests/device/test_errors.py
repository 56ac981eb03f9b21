"""What a user reads of a library's error."""

import pytest

from device.errors import one_line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first,\n  second\tthird\r\n"), "first, second third"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_an_error_is_one_line_and_never_none(error: Exception, said: str) -> None:
    assert one_line(error) == said
