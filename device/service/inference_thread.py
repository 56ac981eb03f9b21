"""The inference thread of the service: infer, smooth, follow visits, publish."""

import queue
import threading
import time
from collections.abc import Callable

import numpy as np

from device.camera.frame import FrameSource
from device.inference.answers import Answers
from device.inference.looking import Looking
from device.inference.loop import CHECK_S, Preparer
from device.inference.pace import Pace, Rest
from device.inference.prepared import Other, Result, infer
from device.inference.trial import LoadedModel
from device.outputs.thread import SinkThread
from device.service.systemd import Notifier
from device.service.visiting import Visiting
from device.settings.sections import Config
from device.telemetry.counters import Telemetry
from device.telemetry.observation import NOTHING, UNKNOWN, Also, Observation
from device.telemetry.unknown import UnknownRule

TAKE_TIMEOUT_S = 0.25
"""How long to wait for a frame before checking for other work."""
IDLE_INFERENCE_S = 1.0
"""While no frames come, the model runs this often to prove that it still works; every `CHECK_S` if
the last one showed nothing."""
CAPTURE_SILENCE_LIMIT_S = 15.0
"""If the capture threads have done nothing for this long, the watchdog is not fed any more."""


class InferenceThread:
    """Classifies a source's frames until it ends or `close` is called.

    `config` and the model may be replaced at any time, from any thread; each frame sees either the
    old or the new.
    """

    def __init__(
        self,
        source: FrameSource,
        model: LoadedModel,
        config: Config,
        sinks: Callable[[], tuple[SinkThread, ...]],
        telemetry: Telemetry,
        notifier: Notifier,
        finished: Callable[[BaseException | None], None],
        *,
        after: "InferenceThread | None" = None,
        pace: Pace | None = None,
        looking: Looking | None = None,
        visiting: Visiting | None = None,
    ) -> None:
        """Start at once; `finished` is called with the error, or with None when the source ends.

        Args:
            sinks: returns the current sinks; called for each frame.
            after: a closed thread that may still be running the same model; frame numbers continue
                from it.
            pace: tells the source when a frame is wanted; a new one if not given.
            looking: what is known of the place; nothing yet if not given.
            visiting: the visits so far; none if not given.
        """
        self.config, self._sinks = config, sinks
        self.pace = pace or Pace()
        self.pace.restart(config.inference.max_fps)
        self.number, self._after = 0, after
        self._source, self._telemetry, self._notifier = source, telemetry, notifier
        self._finished = finished
        self._lock = threading.Lock()
        self._models: tuple[LoadedModel, ...] = (model,)
        self._answers, self._visiting = Answers(), visiting or Visiting()
        self._resting = Rest()
        self._inferred_s, self._idle_s = time.monotonic(), IDLE_INFERENCE_S
        self._stop = threading.Event()
        self._preparer = Preparer(
            source,
            lambda: self._models[-1].classifier,
            region=lambda: self.config.camera.region,
            look=(looking or Looking()).through(source, lambda: self.config.camera),
            pace=self.pace,
            ahead=lambda: self._models[-1].ahead,
        )
        self._thread = threading.Thread(target=self._run, name="infer", daemon=True)
        self._thread.start()

    def swap(self, model: LoadedModel) -> None:
        """Use another model from the next frame on."""
        with self._lock:
            self._models = (*self._models, model)

    def close(self, timeout_s: float = 0.3) -> bool:
        """Stop; false if the inference hangs."""
        self._stop.set()
        self._preparer.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self._after is not None:
                # Two threads inside one interpreter would crash the process.
                self._after._thread.join()
                self.number, self._after = self._after.number, None
            while not self._stop.is_set() and self._step():
                pass
            fault = None
        except Exception as error:
            # Any error goes to the main thread, which ends the service.
            fault = error
        if not self._stop.is_set():
            self._finished(fault)

    def _step(self) -> bool:
        """Classify the next frame, if it comes soon; false at the source's end."""
        try:
            prepared = self._preparer.take(TAKE_TIMEOUT_S)
        except queue.Empty:
            self._prove_alive()
            return True
        if self._stop.is_set():
            return False
        if prepared is None:
            self._telemetry.camera.ended()
            return False
        self._take(infer(self.number, prepared))
        return True

    def _take(self, result: Result) -> None:
        if self._stop.is_set():
            # It took so long that another source may be in use by now.
            return
        if not self._source.live:
            self._count(result)
        if result.frame.size_px is None:
            # A folder full of damaged photos does not mean that the service is dead.
            self._prove_alive()
            return
        sinks = self._sinks()
        watching = [sink for sink in sinks if sink.sink.wants_pictures]
        observation = self._observe(result, self._model_of(result), with_picture=bool(watching))
        self.number += 1
        self._idle_s = IDLE_INFERENCE_S if result.is_answered else CHECK_S
        self._rest(observation, result)
        # A slow sink that does not use pictures must not keep them in memory.
        bare = observation.without_picture() if watching else observation
        for sink in sinks:
            sink.put(observation if sink in watching else bare)
        self._telemetry.inferred(observation)
        if result.prediction is not None:
            self._inferred_s = time.monotonic()
            self._notifier.feed_watchdog()

    def _rest(self, observation: Observation, result: Result) -> None:
        """Ask for fewer frames while nothing is there; of a film all are wanted."""
        rests = observation.label == NOTHING and self._source.live
        self.pace.rest_fps = self._resting.most_fps(
            result.outcome if rests else None,
            result.frame.captured_s,
            self.config.inference.rest_fps,
        )

    def _count(self, result: Result) -> None:
        frame, camera = result.frame, self._telemetry.camera
        if frame.size_px is None:
            camera.corrupt_frame()
            return
        camera.streams()
        camera.frames(1, captured_s=frame.captured_s, size_px=frame.size_px)

    def _model_of(self, result: Result) -> LoadedModel:
        """The model behind a result; releases the ones before it."""
        with self._lock:
            models = self._models
            index = next(i for i, m in enumerate(models) if m.classifier is result.classifier)
            self._models = models[index:]
            return models[index]

    def _observe(self, result: Result, model: LoadedModel, *, with_picture: bool) -> Observation:
        started_s = time.perf_counter()
        answer = self._answers.next(result, model.info, self.config.smoothing)
        picture, class_map, scores = None, None, np.zeros(len(model.info.labels), np.float32)
        distance = features = None
        if with_picture:
            picture = result.frame.picture
        if result.is_answered:
            assert result.prediction is not None
            scores, distance = result.prediction.scores, result.prediction.distance
            if with_picture and model.classifier.has_class_map:
                class_map = model.classifier.class_map()
            if with_picture and model.classifier.has_features:
                features = model.classifier.features()
        now_s = time.monotonic()
        unix_s = time.time() - (now_s - result.frame.captured_s)
        visit, visit_changed = self._visiting.next(result, model.info, self.config, unix_s)
        return Observation(
            number=result.number,
            unix_s=unix_s,
            monotonic_s=result.frame.captured_s,
            source=result.frame.name,
            scores=scores,
            smoothed=answer.smoothed,
            label=answer.label,
            score=answer.score,
            top=answer.top,
            changed=answer.changed,
            model=model.info,
            invoke_s=result.invoke_s,
            overhead_s=result.overhead_s + time.perf_counter() - started_s,
            latency_s=now_s - result.frame.captured_s,
            lag_s=result.frame.lag_s,
            picture=picture,
            crop_box=result.crop_box,
            class_map=class_map,
            seen=result.outcome.seen if result.outcome else None,
            changed_permille=result.outcome.changed_permille if result.outcome else 0,
            visit=visit,
            visit_changed=visit_changed,
            distance=distance,
            doubt=answer.doubt,
            features=features,
            also=tuple(self._also(other, model) for other in result.others),
        )

    def _also(self, other: Other, model: LoadedModel) -> Also:
        found = other.prediction
        rule = UnknownRule.of(model.info.limit, self.config.smoothing.threshold)
        away = rule.turns_away(found.score, found.distance)
        return Also(other.box, UNKNOWN if away else found.label, found.score)

    def _prove_alive(self) -> None:
        """Run the model on its last input: without frames the service is not dead.

        The camera may be lost, or the settings may ask for less than a frame per minute. But do
        nothing if the thread that should get the next frame hangs: then the watchdog must act.
        """
        now_s = time.monotonic()
        if now_s - self._inferred_s < self._idle_s:
            return
        alive_s = max(min(now_s, self.pace.late_s), self._source.alive_s)
        if now_s - alive_s < CAPTURE_SILENCE_LIMIT_S:
            self._models[-1].classifier.invoke()
            self._inferred_s = time.monotonic()
            self._notifier.feed_watchdog()
