"""What to do next, from what the figures show."""

from collections.abc import Iterable, Iterator, Sequence

from convert.field.moments import NO_DAY
from convert.field.record import (
    NOTHING_SEEN,
    Confusion,
    FieldVerdict,
    Figure,
    Figures,
    Group,
    JudgedPhoto,
    Promise,
    days_of,
)
from convert.field.words import Judgement, events_needed, percent, with_interval
from device.contract.provenance import OTHER
from device.workstation.wording import number, shown

SHOWN = 3
"""Confusions, devices or days that are named."""
LEAST_CONFUSED_EVENTS = 2
LEAST_ABOVE_PROMISE = 0.05
OFTEN_NAMED = 0.2
"""Of the time without a class: if more gets a name, that is worth a word."""
DAYS_PER_JUDGING_DAY = 3
"""Of so many days the newest one judges next time, the others may train."""
LEAST_SAME_ANSWERS, LEAST_COMPARED = 0.95, 20


def advise(
    judgement: Judgement, promised: Promise, figures: Figures, photos: Sequence[JudgedPhoto]
) -> tuple[str, ...]:
    """Sentences that say what to do, the most useful first."""
    found = (
        *_more_events(judgement, promised, figures.right, len(days_of(photos))),
        *_new_places(judgement),
        *_odd_devices(figures.by_device),
        *_odd_days(figures.by_day),
        *_other_answers(photos),
        *_missed(figures.confusions),
        *_confused(figures.confusions),
        *_unknown(figures.unknown, promised.unknown),
        *_named_other(figures.other_unknown),
    )
    if judgement.verdict is FieldVerdict.LOWER or figures.confusions:
        found = (*found, _train_and_judge(days_of(photos)))
    return found or ("Nothing to do. Sort new photos of random moments later, and look again.",)


def _new_places(judgement: Judgement) -> Iterator[str]:
    lower, kept = FieldVerdict.LOWER, FieldVerdict.AS_PROMISED
    if judgement.verdict is lower and judgement.new_places is kept:
        yield (
            "No device here took training photos, and what was promised for new places is kept: "
            "photos of these places in the training data close the gap."
        )


def _more_events(
    judgement: Judgement, promised: Promise, right: Figure | None, days: int
) -> Iterator[str]:
    if judgement.verdict is not FieldVerdict.NOT_ENOUGH:
        return
    needed = events_needed(right, promised.accuracy, promised.interval)
    if needed is None:
        yield (
            "The promise itself rests on too few photos: photograph more occasions, build the "
            "bundle again, and judge that one."
        )
        return
    have = right.events if right else 0
    more_days = round(days * (needed - have) / have) if have else 0
    pace = f", in about {number(more_days, 'more day')} at this pace" if more_days else ""
    yield (
        f"Go on collecting and sorting: about {number(needed, 'event')} of known classes would "
        f"tell, now there are {have:,}{pace}."
    )


def _odd_devices(devices: Sequence[Group]) -> Iterator[str]:
    for group in _worst(devices):
        yield (
            f"Device {shown(group.name)} is right less often than the others, "
            f"{with_interval(group.right)}: look at its lens, focus, exposure and light."
        )


def _odd_days(days: Sequence[Group]) -> Iterator[str]:
    for group in _worst(days):
        if group.name != NO_DAY:
            yield (
                f"{group.name} was a worse day than the others, {with_interval(group.right)}: look "
                "at its pictures. Low sun, rain, a dirty lens, a camera that was moved?"
            )


def _worst(groups: Sequence[Group]) -> list[Group]:
    odd = [group for group in groups if group.stands_out]
    return sorted(odd, key=lambda group: group.right.value)[:SHOWN]


def _other_answers(photos: Sequence[JudgedPhoto]) -> Iterator[str]:
    compared = [p for p in photos if p.named and p.predicted != NOTHING_SEEN]
    same = sum(photo.named == photo.predicted for photo in compared)
    if len(compared) >= LEAST_COMPARED and same < LEAST_SAME_ANSWERS * len(compared):
        yield (
            f"The devices named only {percent(same / len(compared))} of these photos as this "
            "computer does, with the same model: run the self-test there."
        )


def _missed(confusions: Sequence[Confusion]) -> Iterator[str]:
    for each in _often(each for each in confusions if each.predicted == NOTHING_SEEN):
        yield (
            f"{each.label} is not seen in {percent(each.share)} of its time "
            f"({number(each.n, 'photo')}, {number(each.events, 'event')}): bring the camera "
            "nearer, or look whether a mask or a region hides it."
        )


def _often(confusions: Iterable[Confusion]) -> list[Confusion]:
    return [each for each in confusions if each.events >= LEAST_CONFUSED_EVENTS][:SHOWN]


def _confused(confusions: Sequence[Confusion]) -> Iterator[str]:
    often = _often(each for each in confusions if each.predicted != NOTHING_SEEN)
    for each in often:
        yield (
            f"{each.label} is taken for {each.predicted} in {percent(each.share)} of its time "
            f"({number(each.n, 'photo')}, {number(each.events, 'event')}): photograph both "
            "where the camera stands, on several occasions, and train again."
        )


def _unknown(unknown: Figure | None, promised: float) -> Iterator[str]:
    if (
        unknown
        and unknown.interval[0] > promised
        and unknown.value > promised + LEAST_ABOVE_PROMISE
    ):
        yield (
            f"Known classes are called unknown in {with_interval(unknown)}, promised were "
            f"{percent(promised)}: they look different here than in the training photos "
            "(distance, light, background). Train with these photos, too."
        )


def _named_other(unknown: Figure | None) -> Iterator[str]:
    if unknown and unknown.interval[0] < 1 - OFTEN_NAMED and unknown.value < 1 - OFTEN_NAMED:
        yield (
            f"What shows no class ({OTHER}) still gets a name in {percent(1 - unknown.value)} of "
            "its time: make a class of it, such as nothing, and train with these photos."
        )


def _train_and_judge(days: Sequence[str]) -> str:
    judging = len(days) // DAYS_PER_JUDGING_DAY
    if not judging:
        return "These photos may train the next bundle. Then photos of later days must judge it."
    return (
        f"Photos up to {days[-judging - 1]} may train the next bundle: copy them into its class "
        f"folders. {number(judging, 'newer day')} (from {days[-judging]}) can then judge it."
    )
