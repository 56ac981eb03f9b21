"""From a frame to a label: runtime, classifier, self-test, frame loop, smoothing."""
