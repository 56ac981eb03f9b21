"""The model card: the model's purpose, its measured accuracy and its limits."""

import json
from collections.abc import Mapping

from convert.artifacts.training import Training
from convert.targets import runtimes
from convert.tflite.flatbuffer import read_facts
from convert.verify.confidence import MIN_EVENTS
from device.contract.look.rules import Region
from device.workstation.conversion import (
    EvidenceFigures,
    VerificationRecord,
)
from device.workstation.faults.figures import faults_line
from device.workstation.training import Metrics, Pretrained, PupilMetrics
from device.workstation.unknown.known import ThresholdFigures
from device.workstation.unknown.strangers import TurnedFigures
from device.workstation.wording import (
    at_a_new_place,
    counted,
    paired_test,
    photos_in_events,
    sampled,
)

_CARD = """\
---
base_model: {base}
pipeline_tag: image-classification
datasets:
- {dataset}
metrics:
- accuracy
---

# {title}

Classifies a picture into {count} classes: {labels}.

- **Made from**: {description} (fingerprint `{fingerprint}`).
- **Network**: {network} at {size}x{size}, {made}, full-int8 TFLite, {mib:.1f} MiB.
- **ImageNet weights**: {weights}.
- **Input**: RGB bytes, prepared as `manifest.json` records under `preprocess`{boxes}.
- **Runs on**: {runtime}, or newer.{thumbnails}

## Measured on {photos} that were not trained on

| model | top-1 | 95% interval |
|---|---|---|
| float32 | {float_accuracy:.2%} | {float_low:.2%} to {float_high:.2%} |
| int8 | {int8_accuracy:.2%} | {int8_low:.2%} to {int8_high:.2%} |

{same_places}int8 names the same class as float32 on {agreement:.2%} of them ({test} p = {p:.3f}).
Gate: {verdict}.{shown}

| class | photos | float32 recall | int8 recall | 95% interval |
|---|---|---|---|---|
{recalls}

{faults}

## Unknown

{unknown}

| known photos | n | get a label | 95% interval |
|---|---|---|---|
{kept}

{turned}
{strangers}{left_out}

## Limits

What looks much like one of the classes may get its label. The
test photos come from the same collection as the training photos: another camera, season or place
can be harder. {limits}It must not be used where a wrong answer can hurt anybody.
"""

_TURNED = """\
| {what} | n | called unknown | 95% interval | ROC area | by score alone |
|---|---|---|---|---|---|"""


def model_card(
    training: Training, verification: VerificationRecord, model: bytes, thumbnails: int = 0
) -> str:
    """The text of `MODEL_CARD.md`, from measured figures only.

    Args:
        training: what trained it.
        verification: what was measured.
        model: the int8 one.
        thumbnails: how many pictures of training photos travel with it.
    """
    data, v = training.metrics.data, verification
    architecture = training.metrics.config.architecture
    recalls = "\n".join(
        f"| {_cell(row.label)} | {counted(row.n, row.events)} | {_percent(row.float)} "
        f"| {_percent(row.int8)} | {_interval(row.int8_interval)} |"
        for row in v.per_class
    )
    faults = faults_line(v.faults)
    rendered = "It was made from rendered pictures and knows no real photos. "
    return _CARD.format(
        dataset=json.dumps(data.name),
        title=f"Fieldguide classifier: {_cell(data.name)}",
        count=len(training.labels),
        labels=", ".join(_cell(label) for label in training.labels),
        description=_cell(data.description),
        fingerprint=data.fingerprint[:16],
        base=_base(training.metrics),
        made=_made(training.metrics),
        network=_network(training.metrics),
        weights=_weights(training.metrics),
        size=architecture.size_px,
        mib=len(model) / 2**20,
        runtime=_runtime(model),
        boxes=_boxes(v.region),
        thumbnails=_thumbnails(thumbnails),
        shown=_shown(v),
        photos=photos_in_events(v.n, v.events),
        float_accuracy=v.float_accuracy,
        float_low=v.float_accuracy_interval[0],
        float_high=v.float_accuracy_interval[1],
        int8_accuracy=v.int8_accuracy,
        int8_low=v.int8_accuracy_interval[0],
        int8_high=v.int8_accuracy_interval[1],
        same_places=_same_places(v),
        agreement=v.agreement,
        p=v.mcnemar_p,
        test=paired_test(v.n, v.events),
        verdict=_verdict(v),
        recalls=recalls,
        faults=f"{faults[0].upper()}{faults[1:]}.",
        unknown=_unknown(v.threshold),
        kept=_kept(v.evidence),
        turned=_TURNED.format(what="pictures without a class"),
        strangers=_strangers(v.evidence),
        left_out=_left_out(v.evidence),
        limits=_new_places(v)
        + _occasions(data.occasion_only)
        + (rendered if data.kind == "rendered" else ""),
    )


def _thumbnails(count: int) -> str:
    """One more line of the list, where training photos can be seen in the bundle."""
    if not count:
        return ""
    return f"\n- **Shows training photos**: small pictures of {count} are in the bundle."


def _pretrained(metrics: Metrics | PupilMetrics) -> Pretrained:
    """The network with the ImageNet weights: for a pupil, its teacher's."""
    return (metrics.teacher if isinstance(metrics, PupilMetrics) else metrics).pretrained


def _base(metrics: Metrics | PupilMetrics) -> str:
    return f"{_pretrained(metrics).title}, ImageNet"


def _weights(metrics: Metrics | PupilMetrics) -> str:
    began = _pretrained(metrics)
    return f"{began.title} from {began.source}, licence {began.licence}"


def _network(metrics: Metrics | PupilMetrics) -> str:
    if isinstance(metrics, PupilMetrics):
        return f"MobileNetV2 {metrics.config.architecture.alpha}"
    return metrics.pretrained.title


def _made(metrics: Metrics | PupilMetrics) -> str:
    if not isinstance(metrics, PupilMetrics):
        teachers = [teacher.pretrained.title for teacher in metrics.teachers]
        robust = " with faults of cameras among the views" if metrics.config.robust else ""
        taught = f", taught by {' and '.join(teachers)}" if teachers else ""
        sample = sampled(metrics.trained_photos, metrics.training_photos)
        return f"fine-tuned{f' on {sample}' if sample else ''}{robust}{taught}"
    size_px = metrics.teacher.config.architecture.size_px
    return (
        f"distilled from a fine-tuned {metrics.teacher.pretrained.title} at "
        f"{size_px}x{size_px}, of whose weights it began with a reduced copy"
    )


def _verdict(v: VerificationRecord) -> str:
    shipped = f", shipped on request: {'; '.join(v.failures)}" if v.failures else ""
    return f"{v.verdict}{shipped} ({v.gate_note})"


def _unknown(threshold: ThresholdFigures) -> str:
    if threshold.value is None:
        return (
            f'The device never says "unknown": fewer than {MIN_EVENTS} validation photos of '
            "different events are too few to choose a limit."
        )
    low, high = threshold.coverage_interval
    return (
        'What is too strange the device calls "unknown". That happened to '
        f"{1 - threshold.coverage:.1%} (95% {1 - high:.1%} to {1 - low:.1%}) of these photos."
    )


def _strangers(evidence: EvidenceFigures) -> str:
    """A row for each kind of pictures that show no class."""
    own = evidence.own
    kinds = (
        ("the user's own", own.int8 if own else None),
        ("the user's own, by float32", own.float if own else None),
        ("rendered pictures of nothing", evidence.clutter),
        ("boxes of background", evidence.backgrounds),
    )
    return "\n".join(_turned(kind, row) for kind, row in kinds if row is not None)


def _left_out(evidence: EvidenceFigures) -> str:
    """A table of its own, where classes were the strangers in turn."""
    if not evidence.left_out:
        return ""
    rows = "\n".join(_turned(_cell(row.label), row.turned) for row in evidence.left_out)
    return (
        "\n\nEach class as the stranger to the others. Only the last layer and the limits were "
        f"found again without it:\n\n{_TURNED.format(what='left out')}\n{rows}"
    )


def _turned(kind: str, row: TurnedFigures) -> str:
    return (
        f"| {kind} | {counted(row.n, row.events)} | {row.rejected:.1%} | {_interval(row.interval)} "
        f"| {row.auroc:.3f} | {row.by_score:.1%} |"
    )


def _kept(evidence: EvidenceFigures) -> str:
    """A row for each class: how many of its test photos are not called unknown."""
    return "\n".join(
        f"| {_cell(row.label)} | {row.n} | {_share(row.kept)} | {_interval(row.interval)} |"
        for row in evidence.kept
    )


def _same_places(v: VerificationRecord) -> str:
    return f"int8, {v.held_out}. It is an estimate from all parts.\n\n" if v.held_out else ""


def _new_places(v: VerificationRecord) -> str:
    if v.new_places_accuracy is None or v.new_places_interval is None:
        return ""
    return f"A{at_a_new_place(v.new_places_accuracy, v.new_places_interval)[1:]}. "


def _boxes(region: Region) -> str:
    if region is Region.WHOLE:
        return ""
    return (
        ": of a box around what differs from the background of a camera that stands still "
        "(`region`: `change`), found by the rules under `look`. Whole pictures are not what it was "
        "trained for"
    )


def _shown(v: VerificationRecord) -> str:
    return f" The models were shown {v.shown}." if v.shown else ""


def _occasions(classes: Mapping[str, int]) -> str:
    return "".join(
        f"All photos of {_cell(label)} are of one or two occasions, and its figures hold for these "
        f"only; {more} more would make it a class like the others. "
        for label, more in classes.items()
    )


def _runtime(model: bytes) -> str:
    return runtimes.oldest_runtimes_text(read_facts(model).operators, runtimes.read_runtimes())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.1%} to {interval[1]:.1%}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
