"""The figures of a build, as a few lines."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.verify.confidence import MIN_EVENTS
from device.contract import bundle as contract
from device.inference.classifier import Classifier
from device.workstation.conversion import (
    Claims,
    claims_of,
    threshold_of,
)
from device.workstation.faults.figures import faults_line
from device.workstation.training import REPORT, TIMINGS, Timings
from device.workstation.unknown.known import ThresholdFigures
from device.workstation.unknown.strangers import OwnClaim
from device.workstation.wording import at_a_new_place, counted, paired_test, photos_in_events


def summarise(loaded: contract.Bundle, bundle: Path, training: Path) -> list[tuple[str, str]]:
    """Names and values of the summary; measures how long an inference takes on this machine.

    Args:
        loaded: the content of `bundle`.
        bundle: its folder.
        training: the training's folder, for its time and memory.
    """
    v = claims_of(loaded.manifest)
    timings = Timings.read(training / TIMINGS)
    classifier = Classifier.from_bundle(loaded)
    invoke_ms = _invoke_p50_ms(classifier, loaded)
    low, high = v.loss_interval_points
    return [
        ("made from", loaded.data),
        *([("shown", v.shown)] if v.shown else []),
        ("float top-1", _share(v.float_accuracy, v.float_accuracy_interval, v)),
        ("int8 top-1", _share(v.int8_accuracy, v.int8_accuracy_interval, v)),
        *([("", v.held_out)] if v.held_out else []),
        *([("", elsewhere)] if (elsewhere := new_places_line(v)) else []),
        ("int8 loses", f"{v.loss_points:+.2f} points (95% {low:+.2f} to {high:+.2f})"),
        ("agreement", f"{v.agreement:.2%}, {paired_test(v.n, v.events)} p = {v.mcnemar_p:.3f}"),
        ("unknown", threshold_line(threshold_of(loaded.manifest))),
        *([("", strangers_line(v.strangers))] if v.strangers else []),
        ("faults", faults_line(v.faults)),
        ("gate", gate_line(v)),
        ("model", f"{len(loaded.model) / 2**20:.1f} MiB, one inference {invoke_ms:.1f} ms here"),
        ("training", f"{sum(timings.seconds.values()):.0f} s, {timings.peak_memory_mib} MiB"),
        ("report", str(bundle.with_name(REPORT))),
        ("bundle", f"{bundle}, {bundle}.tar"),
    ]


def gate_line(v: Claims) -> str:
    """The gate's verdict, with its note."""
    shipped = ", shipped on request" if v.failures else ""
    return f"{v.verdict}{shipped}: {v.gate_note}"


def threshold_line(record: ThresholdFigures) -> str:
    """When the device says "unknown", and what that costs."""
    if record.value is None:
        return (
            f"never: fewer than {MIN_EVENTS} validation photos of different events are too few for "
            "a limit"
        )
    right = "" if record.precision is None else f", {record.precision:.1%} of these correct"
    return f"what is too strange; {record.coverage:.1%} of known photos get a label{right}"


def strangers_line(own: OwnClaim) -> str:
    """What becomes of the user's own pictures that show none of the classes."""
    low, high = own.int8_interval
    taught = f"; {own.taught:,} others taught it" if own.taught else ""
    return (
        f"{own.int8:.1%} (95% {low:.1%} to {high:.1%}) of {photos_in_events(own.n, own.events)} of "
        f"_other are called unknown (float {own.float:.1%}){taught}"
    )


def _share(value: float, interval: Sequence[float], v: Claims) -> str:
    n = counted(v.n, v.events)
    return f"{value:.2%} (95% {interval[0]:.2%} to {interval[1]:.2%}, n = {n})"


def new_places_line(v: Claims) -> str:
    """What to expect of int8 where no photo was taken; empty if that cannot be told."""
    if v.new_places_accuracy is None or v.new_places_interval is None:
        return ""
    return at_a_new_place(v.new_places_accuracy, v.new_places_interval)


def _invoke_p50_ms(classifier: Classifier, loaded: contract.Bundle) -> float:
    classifier.set_input(loaded.golden_arrays()["inputs"][0])
    times = []
    for _ in range(30):
        started = time.perf_counter()
        classifier.invoke()
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3
