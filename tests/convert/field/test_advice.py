"""What to do next follows from what was seen."""

from collections.abc import Sequence
from dataclasses import replace

from convert.field.advice import advise
from convert.field.figures import figures_of
from convert.field.record import JudgedPhoto
from convert.field.words import judge
from tests.convert.field.fieldwork import PROMISE, judged, promise


def advice(photos: Sequence[JudgedPhoto]) -> str:
    figures = figures_of(photos)
    return "\n".join(advise(judge(figures.right, PROMISE, 1), PROMISE, figures, photos))


GOOD = [judged(n, day=n // 10) for n in range(90)]


def test_where_all_is_well_nothing_has_to_be_done() -> None:
    assert advice(GOOD).startswith("Nothing to do.")


def test_few_events_are_told_how_many_more_are_needed() -> None:
    said = advice([judged(n, right=n % 4 > 0, day=n // 3) for n in range(12)])
    assert "events of known classes would tell, now there are 12" in said
    assert "more days at this pace" in said
    assert "now there are 0" in advice([judged(1, label="_other", unknown=True)])


def test_confused_classes_are_to_be_photographed_where_the_camera_stands() -> None:
    said = advice([*GOOD, *(judged(100 + n, right=False) for n in range(4))])
    assert "red is taken for blue in 4% of its time (4 photos, 4 events)" in said
    assert "photograph both where the camera stands" in said
    once = advice([*GOOD, *(judged(100 + n, right=False, event="one") for n in range(4))])
    assert "is taken for" not in once


def test_a_device_that_stands_out_gets_a_look_at_its_lens() -> None:
    bad = [judged(200 + n, right=n % 2 > 0, device="shed", day=n % 9) for n in range(30)]
    said = advice([*GOOD, *bad])
    assert "Device shed is right less often than the others, 50% (" in said and "lens" in said


def test_a_day_that_stands_out_gets_a_look_at_its_pictures() -> None:
    bad = [judged(200 + n, right=n % 2 > 0, day=4) for n in range(30)]
    assert "2026-11-07 was a worse day than the others" in advice([*GOOD, *bad])


def test_what_is_called_unknown_more_than_promised_is_told() -> None:
    photos = [replace(photo, unknown=n % 4 == 0) for n, photo in enumerate(GOOD)]
    assert "Known classes are called unknown in 26% (" in advice(photos)


def test_what_shows_no_class_and_still_gets_a_name_can_become_a_class() -> None:
    named = [judged(300 + n, label="_other", unknown=n % 2 > 0) for n in range(20)]
    assert "still gets a name in 50% of its time: make a class of it" in advice([*GOOD, *named])
    silent = [replace(photo, unknown=True) for photo in named]
    assert "still gets a name" not in advice([*GOOD, *silent])


def test_older_days_may_train_and_newer_days_judge() -> None:
    said = advice([replace(photo, predicted="blue") for photo in GOOD])
    assert "Photos up to 2026-11-08 may train the next bundle" in said
    assert "3 newer days (from 2026-11-09) can then judge it" in said
    one_day = advice([judged(n, right=False) for n in range(40)])
    assert "photos of later days must judge it" in one_day


def test_a_device_that_answers_otherwise_with_the_same_model_is_told() -> None:
    same = [replace(photo, named="red") for photo in GOOD]
    assert "Nothing to do." in advice(same)
    other = [replace(p, named="green") if n % 5 == 0 else p for n, p in enumerate(same)]
    assert "named only 80% of these photos as this computer does" in advice(other)


def test_where_only_the_promise_for_new_places_is_kept_their_photos_are_to_train() -> None:
    photos = [judged(n, right=n % 10 < 7, day=n // 10) for n in range(90)]
    both = promise(new_places_accuracy=0.7, new_places_interval=(0.6, 0.8))
    figures = figures_of(photos)
    for new in (True, False):
        said = advise(judge(figures.right, both, 9, new_places=new), both, figures, photos)
        assert any("photos of these places in the training data" in line for line in said) == new
