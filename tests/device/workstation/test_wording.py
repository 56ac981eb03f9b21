"""How photos and events are counted in words."""

import pytest

from device.workstation.wording import counted


@pytest.mark.parametrize(
    ("n", "events", "said"),
    [
        (486, 480, "486 photos in 480 events"),
        (1486, 1, "1,486 photos in 1 event"),
        (486, 486, "486"),
        (1, 1, "1"),
        (2048, 2048, "2,048"),
        (0, 0, "0"),
    ],
)
def test_events_are_named_only_where_they_are_fewer_than_the_photos(
    n: int, events: int, said: str
) -> None:
    assert counted(n, events) == said


def test_rendered_pictures_are_not_called_photos() -> None:
    assert counted(9, 3, "pictures") == "9 pictures in 3 events"
