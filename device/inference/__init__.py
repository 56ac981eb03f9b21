"""From a frame or photo to a label: runtime, classifier, self-test, looks, loop, smoothing."""

__all__ = [
    "answers",
    "classifier",
    "kept",
    "looking",
    "loop",
    "outputs",
    "pace",
    "photos",
    "prepared",
    "runtime",
    "selftest",
    "smoothing",
    "threads",
    "trial",
]
