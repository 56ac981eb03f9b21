"""Words that the pages and lines of training and conversion share."""


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


def at_a_new_place(accuracy: float, interval: tuple[float, float]) -> str:
    """What to expect where no photo was taken; whole percent, for it is an estimate."""
    low, high = interval
    return f"at a new place expect {accuracy:.0%} (95% {low:.0%} to {high:.0%})"


def paired_test(n: int, events: int) -> str:
    """The name of the test that compares two models on the same photos, for before "p = "."""
    return "McNemar" if n == events else "McNemar by event"
