"""Trying a model in a child process with a time limit before it is loaded here.

Bytes that pass every hash can still crash or hang an interpreter, and so can a delegate's library
(google-coral/edgetpu#812): that must cost a message and a fallback, never the service. The child
is a new Python, not a fork: threads and locks of native libraries do not survive forking. It gets
the verified bytes through a pipe, so both processes load the same ones.
"""

import device.interrupt  # noqa: F401

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TypeVar

from device import child
from device.contract.bundle import EDGETPU_MODEL, MODEL, Bundle
from device.contract.runtimes import AUTO, EDGETPU, FASTEST_FIRST
from device.errors import BundleError, FieldguideError, SelfTestError, one_line
from device.inference import looking, selftest, threads
from device.inference.classifier import Classifier
from device.inference.runtime import find, is_installed
from device.inference.threads import DEFAULT_WORKLOAD, Workload
from device.settings.sections import InferenceConfig
from device.telemetry.observation import ModelInfo

log = logging.getLogger("fieldguide")

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedModel:
    """A classifier that passed its self-test, and facts about it."""

    info: ModelInfo
    classifier: Classifier
    ahead: bool = True
    """Whether the next frame is prepared while it runs."""


@dataclass(frozen=True)
class Check:
    """What the child found out."""

    threads: int
    """The best number of threads."""
    ahead: bool
    """Whether preparing the next frame meanwhile is worth it."""
    invoke_s: float
    """Median time of one invoke."""
    frame_s: float
    """From one frame to the next, when they come as fast as they are taken."""


class Trial:
    """Checks models in child processes; `stop` ends the running one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def load(
        self, bundle: Bundle, config: InferenceConfig, workload: Workload = DEFAULT_WORKLOAD
    ) -> LoadedModel:
        """Check a bundle on the first runtime that passes its self-test, and load it.

        Raises:
            BundleError: if it passes on none, with the reason for each; or if the workload asks for
                looks that it was not trained for.
        """
        looking.check(workload.look, bundle.region)
        return self._first(bundle, config, workload, _load)

    def passes(self, bundle: Bundle, config: InferenceConfig) -> str:
        """The first runtime on which a bundle passes its self-test.

        Raises:
            BundleError: if it passes on none; with the reason for each.
        """
        return self._first(bundle, config, DEFAULT_WORKLOAD, lambda _bundle, name, _check: name)

    def _first(
        self,
        bundle: Bundle,
        config: InferenceConfig,
        workload: Workload,
        use: Callable[[Bundle, str, Check], T],
    ) -> T:
        failures = []
        for name in candidates(bundle, config.runtime):
            try:
                return use(bundle, name, self.check(bundle, name, config, workload))
            except FieldguideError as error:
                failures.append(f"{name}: {error}")
                log.warning("model: %s", failures[-1])
        reasons = "; ".join(failures) or "none is installed"
        raise BundleError(f"the model runs on no TFLite runtime here ({reasons})")

    def check(
        self,
        bundle: Bundle,
        runtime: str,
        config: InferenceConfig,
        workload: Workload = DEFAULT_WORKLOAD,
    ) -> Check:
        """Load, self-test and time a bundle in a child process.

        Raises:
            SelfTestError: if the child fails, crashes or takes too long.
        """
        request = pickle.dumps((bundle, runtime, config.threads, workload))
        with self._lock:
            if self._stopped:
                raise SelfTestError("stopped")
            self._child = process = _spawn()
        try:
            output, _ = process.communicate(request, timeout=config.load_timeout_s)
        except subprocess.TimeoutExpired as error:
            raise SelfTestError(
                f"the self-test took longer than {config.load_timeout_s:g} s"
            ) from error
        finally:
            # Needed where Ctrl-C ended the wait; has no effect on a child that has ended.
            process.kill()
            process.communicate()
        return _answer(output, process.returncode)

    def stop(self) -> None:
        """End the running child, and start no more."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()


def candidates(bundle: Bundle, choice: str) -> Iterator[str]:
    """Runtimes to try: the chosen one first, then slower ones; a slow label is better than none."""
    first = 0 if choice == AUTO else FASTEST_FIRST.index(choice)
    for name in FASTEST_FIRST[first:]:
        usable = is_installed(name) and (name != EDGETPU or bundle.edgetpu_model)
        if usable or name == choice:
            yield name


def _load(bundle: Bundle, name: str, check: Check) -> LoadedModel:
    classifier = Classifier.from_bundle(bundle, runtime=find(name), threads=check.threads)
    file = EDGETPU_MODEL if name == EDGETPU else MODEL
    info = ModelInfo(
        name=bundle.name,
        labels=bundle.labels,
        sha256=bundle.manifest["files"][file]["sha256"],
        data=bundle.data,
        runtime=name,
        runtime_version=classifier.runtime.version,
        threads=check.threads,
        limit=bundle.limit,
        checked_invoke_s=check.invoke_s,
        accuracy=bundle.accuracy,
        score_offset=bundle.score_offset,
        region=bundle.region,
        thumbnails=bundle.thumbnails,
    )
    return LoadedModel(info, classifier, check.ahead)


def _spawn() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        child.command("-m", "device.inference.trial", str(os.getpid())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child.environment(),
        preexec_fn=child.tie(),
        # Ctrl-C reaches the whole group of a terminal; the parent decides what it means.
        start_new_session=True,
    )


def _answer(output: bytes, status: int) -> Check:
    if status < 0:
        name = signal.Signals(-status).name
        raise SelfTestError(f"the interpreter crashed in its self-test ({name})")
    try:
        # The last line: native libraries may print anything before it.
        record = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise SelfTestError(f"the self-test ended with status {status} and no answer") from error
    if "error" in record:
        raise SelfTestError(record["error"])
    return Check(**record)


def _measure(bundle: Bundle, runtime: str, number: int, workload: Workload) -> Check:
    """Run the self-test, then find the best way to run the loop."""
    cores = min(len(os.sched_getaffinity(0)), threads.MOST_THREADS)
    numbers = [number] if number else [1] if runtime == EDGETPU else range(1, cores + 1)
    found = find(runtime)
    first = Classifier.from_bundle(bundle, runtime=found, threads=numbers[0])
    selftest.run(bundle, first)

    def classifier(number: int) -> Classifier:
        if number == numbers[0]:
            return first
        return Classifier.from_bundle(bundle, runtime=found, threads=number)

    example = bundle.golden_arrays()["inputs"][0]
    best = threads.measure_best(classifier, numbers, workload, example)
    return Check(best.way.threads, best.way.ahead, best.invoke_s, best.frame_s)


def _child() -> None:
    child.end_with_parent(int(sys.argv[1]))
    request = pickle.load(sys.stdin.buffer)
    try:
        answer = asdict(_measure(*request))
    except FieldguideError as error:
        answer = {"error": str(error)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {one_line(error)}"}
    print(f"\n{json.dumps(answer)}", flush=True)
    # Skips cleaning up, in which a delegate may hang or crash.
    os._exit(0)


if __name__ == "__main__":
    _child()
