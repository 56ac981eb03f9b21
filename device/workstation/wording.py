"""Words that the pages and lines of training and conversion share."""

from collections.abc import Sequence

from device.safe_text import printable


def number(count: int, noun: str) -> str:
    """A number with its noun, which gets an s unless there is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted(n: int, events: int, what: str = "photos") -> str:
    """How many photos a figure comes from, for after "n = ".

    Args:
        n: photos.
        events: occasions at which they were taken.
        what: the plural of what is counted.

    Returns:
        Like "486 photos in 480 events", or only "486" if every photo is an event of its own.
    """
    if n == events:
        return f"{n:,}"
    return f"{n:,} {what} in {number(events, 'event')}"


def photos_in_events(n: int, events: int) -> str:
    """Like "486 photos in 480 events", or only "486 photos" if each is an event of its own."""
    return counted(n, events) if n != events else number(n, "photo")


def at_the_same_places(
    accuracy: float, interval: tuple[float, float], n: int, events: int, without: Sequence[str] = ()
) -> str:
    """What to expect of other events like these; whole percent, for it is an estimate.

    Args:
        accuracy: 0..1.
        interval: of it.
        n: photos of the events.
        events: that were held out in turn.
        without: classes that it is not about.

    Returns:
        Like "whole events held out in turn: 87% (95% 81% to 92%, 90 events, without wren)".
    """
    low, high = interval
    held_out, unit = ("photos", "photo") if n == events else ("whole events", "event")
    of = f"{number(events, unit)}{', without ' if without else ''}{', '.join(without)}"
    return f"{held_out} held out in turn: {accuracy:.0%} (95% {low:.0%} to {high:.0%}, {of})"


def rather_than(n: int, events: int) -> str:
    """Which figure to believe where the test part is small.

    Args:
        n: photos of the test part.
        events: of these.
    """
    few = number(events, "test photo" if n == events else "test event")
    return f"rely on this figure rather than on {few}"


def at_a_new_place(accuracy: float, interval: tuple[float, float]) -> str:
    """What to expect where no photo was taken; whole percent, for it is an estimate."""
    low, high = interval
    return f"at a new place expect {accuracy:.0%} (95% {low:.0%} to {high:.0%})"


def paired_test(n: int, events: int) -> str:
    """The name of the test that compares two models on the same photos, for before "p = "."""
    return "McNemar" if n == events else "McNemar by event"


def sampled(trained: int, photos: int) -> str:
    """How many of the training photos were trained on; empty if all were."""
    return "" if trained == photos else f"{trained:,} of {photos:,} training photos"


def shown(name: str) -> str:
    """A name from elsewhere, of a file or a device, for a line: control characters are escaped."""
    return printable(name)
