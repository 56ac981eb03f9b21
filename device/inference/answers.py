"""From what frames show, one after the other, to what the device says."""

from dataclasses import dataclass, field, replace

import numpy as np

from device.contract.arrays import Scores
from device.contract.look.rules import Seen
from device.inference.prepared import Result
from device.inference.smoothing import Presence, Smoothed, notice, step
from device.settings.sections import SmoothingConfig
from device.telemetry.observation import NOTHING, UNKNOWN, ModelInfo
from device.telemetry.unknown import Doubt, UnknownRule


@dataclass(frozen=True)
class Answer:
    """What the device says about a frame, in the light of those before."""

    label: str
    """A class, `UNKNOWN`, or `NOTHING`."""
    score: float
    smoothed: Scores
    """float32 (classes,); zeros for `NOTHING`."""
    top: tuple[tuple[str, float], ...] = ()
    changed: bool = True
    """Whether another answer came before."""
    is_of_model: bool = field(default=False, compare=False)
    doubt: Doubt | None = None
    """Why it is `UNKNOWN`; None if it is not, or if nothing was classified yet."""


class Answers:
    """Keeps what is needed from one frame to the next."""

    def __init__(self) -> None:
        """Begin without a frame."""
        self._model: ModelInfo | None = None
        self._shown: Answer | None = None
        self._smoothed: Smoothed | None = None
        self._presence: Presence | None = None

    def next(self, result: Result, model: ModelInfo, config: SmoothingConfig) -> Answer:
        """The answer to the next frame, which has a picture.

        Args:
            result: of the frame.
            model: behind it; another one may have other classes, so that nothing is taken over.
            config: how much is taken over from frames before.
        """
        if model is not self._model:
            self._model, self._shown, self._smoothed = model, None, None
        self._shown = self._next(result, model, config)
        return self._shown

    def _next(self, result: Result, model: ModelInfo, config: SmoothingConfig) -> Answer:
        seen = result.outcome.seen if result.outcome else None
        if seen in (Seen.LIGHT, Seen.MOVED):
            return self._same(UNKNOWN, model)
        is_there = seen is not Seen.NOTHING
        if seen in (None, Seen.LEARNING):
            self._presence = None
        else:
            # Nothing is there to go on with.
            before = self._presence if self._shown else None
            self._presence = notice(before, is_there, result.frame.moment_s, config)
        if not is_there and self._presence and self._presence.is_there:
            return self._same(NOTHING, model)
        if is_there:
            self._smooth(result, config)
        if self._presence and not self._presence.is_there:
            self._smoothed = self._smoothed if is_there else None
            return self._nothing(model)
        return self._of_model(model, config)

    def _smooth(self, result: Result, config: SmoothingConfig) -> None:
        assert result.prediction is not None
        self._smoothed = step(self._smoothed, result.prediction, result.frame.moment_s, config)

    def _of_model(self, model: ModelInfo, config: SmoothingConfig) -> Answer:
        now, shown = self._smoothed, self._shown
        assert now is not None
        changed = shown is None or not shown.is_of_model or now.changed
        top = now.top(model.labels, config.top_k)
        rule = UnknownRule.of(model.limit, config.threshold)
        is_known = now.best is not None
        doubt = None if is_known else rule.doubt(model.labels, now.scores, now.novelty)
        return Answer(now.label(model.labels), now.score(), now.scores, top, changed, True, doubt)

    def _nothing(self, model: ModelInfo) -> Answer:
        changed = self._shown is None or self._shown.label != NOTHING or self._shown.is_of_model
        return replace(_empty(NOTHING, model), changed=changed)

    def _same(self, otherwise: str, model: ModelInfo) -> Answer:
        """The answer of before; another one if there is none."""
        return replace(self._shown, changed=False) if self._shown else _empty(otherwise, model)


def _empty(label: str, model: ModelInfo) -> Answer:
    return Answer(label, 0.0, np.zeros(len(model.labels), np.float32))
