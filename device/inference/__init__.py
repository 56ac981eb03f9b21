"""From a frame to a label: runtime, classifier, self-test, frame loop, smoothing."""

__all__ = ["classifier", "files", "loop", "runtime", "selftest", "smoothing", "threads", "trial"]
