"""Follows visits from frame to frame: gives them ids, labels and pictures."""

import secrets
import threading
import time

from device.contract.arrays import Pixels
from device.contract.look.rules import Seen
from device.inference.prepared import Result
from device.outputs.visits import store_of
from device.settings.sections import Config
from device.telemetry.observation import UNKNOWN, ModelInfo
from device.telemetry.unknown import UnknownRule
from device.visits import picture
from device.visits.tracker import Going, Sight, State, step
from device.visits.visit import Visit, new_id

PICTURE_S = 10.0
"""How often a visit that goes on gets a better picture: encoding it takes some milliseconds."""


class Visiting:
    """The visits of one camera; `leave` may be called from any thread."""

    def __init__(self, cut_short: Visit | None = None) -> None:
        """Begin.

        Args:
            cut_short: what the last process had seen of a visit; it ends with the first frame.
        """
        self._lock = threading.Lock()
        self._waiting = [cut_short] if cut_short else []
        """Visits that have ended, and that no observation has told of yet."""
        self._state, self._id = State(), ""
        self._model: ModelInfo | None = None
        self._threshold: float | None = None
        self._top_k = 1
        self._part: Pixels | None = None
        """What the best frame shows, if that is not in `_jpeg` yet."""
        self._jpeg: bytes | None = None
        self._encoded_s = float("-inf")

    def leave(self) -> None:
        """End what goes on: the next frame is of another camera."""
        with self._lock:
            self._leave()

    def next(
        self, result: Result, model: ModelInfo, config: Config, unix_s: float
    ) -> tuple[Visit | None, bool]:
        """Take the next frame, which has a picture.

        Args:
            result: of the frame.
            model: behind it.
            config: of visits, and the threshold.
            unix_s: wall clock when it was captured.

        Returns:
            The visit that goes on, or has just ended; and whether it began or ended now.
        """
        with self._lock:
            # Other classes: what was seen so far cannot be added to.
            if not config.visits.enabled or (self._model and self._model.labels != model.labels):
                self._leave()
            self._model = model
            self._threshold, self._top_k = config.smoothing.threshold, config.smoothing.top_k
            if not config.visits.enabled:
                return self._told()
            return self._step(result, _sight(result, unix_s), config.visits.end_s)

    def _step(self, result: Result, sight: Sight, end_s: float) -> tuple[Visit | None, bool]:
        self._state = now = step(self._state, sight, end_s)
        if now.ended is not None:
            self._waiting.append(self._ended(now.ended))
        if now.going is not None and now.going.best is sight:
            assert result.frame.picture is not None
            self._part = picture.cut(result.frame.picture, sight.box)
        if now.begun and now.going is not None:
            self._id = new_id(now.going.first.unix_s, secrets.token_hex(3))
            self._encoded_s = float("-inf")
        elif self._waiting:
            return self._told()
        return (self._record(now.visit) if now.visit else None), now.begun

    def _told(self) -> tuple[Visit | None, bool]:
        return (self._waiting.pop(0), True) if self._waiting else (None, False)

    def _leave(self) -> None:
        if self._state.visit is not None:
            self._waiting.append(self._ended(self._state.visit))
        self._state = State()

    def _ended(self, going: Going) -> Visit:
        self._encoded_s = float("-inf")
        visit = self._record(going)
        self._jpeg = self._part = None
        lasted_s = going.last.monotonic_s - going.first.monotonic_s
        return visit.ended(going.first.unix_s + lasted_s)

    def _record(self, going: Going) -> Visit:
        """What is known of a visit; its score is that of its best class if it is unknown."""
        assert self._model is not None
        self._encode()
        labels, shares = self._model.labels, going.evidence.probabilities()
        best = int(shares.argmax())
        top = sorted(zip(labels, map(float, shares), strict=True), key=lambda pair: -pair[1])
        rule = UnknownRule.of(self._model.limit, self._threshold)
        away = rule.turns_away_visit(going.evidence)
        return Visit(
            id=self._id,
            start_unix_s=going.first.unix_s,
            end_unix_s=None,
            label=UNKNOWN if away else labels[best],
            score=float(shares[best]),
            why=rule.doubt_of_visit(labels, going.evidence).words() if away else "",
            top=tuple(top[: self._top_k]),
            frames=going.frames,
            box=going.best.box,
            best_unix_s=going.best.unix_s,
            picture=self._jpeg,
        )

    def _encode(self) -> None:
        now_s = time.monotonic()
        if self._part is not None and now_s >= self._encoded_s + PICTURE_S:
            self._jpeg, self._part, self._encoded_s = picture.jpeg(self._part), None, now_s


def resumed(config: Config) -> Visiting:
    """Visits after those of the last process, which may have been killed in the middle of one."""
    # Where no sink keeps visits, it would be told again at each start.
    return Visiting(store_of(config.visits).cut_short() if config.visits.enabled else None)


def _sight(result: Result, unix_s: float) -> Sight:
    size = result.frame.size_px
    assert size is not None
    # Where frames are not looked at, nothing visits.
    seen = result.outcome.seen if result.outcome else Seen.LEARNING
    found = result.prediction if seen is Seen.SOMETHING else None
    scores, distance = (found.scores, found.distance) if found else (None, None)
    novelty = found.novelty if found else None
    return Sight(
        seen, result.frame.moment_s, unix_s, scores, result.crop_box, size, distance, novelty
    )
