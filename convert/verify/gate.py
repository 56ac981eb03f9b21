"""The gate: may the int8 model ship, and how much can these photos prove?

There are three verdicts. A model that loses too much *failed*. Any other model *passed* only if the
photos rule out a larger loss. If they are too few for that, the verdict is *not enough photos to
tell*: thirty photos without a mistake prove nothing. Nor do a thousand photos of three events, and
then it is *not enough events to tell*.

Photos of one event are lost together. All rules therefore work on numbers of single photos that
would tell as much, which need not be whole; if each photo is an event of its own, these are the
photos.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from convert.config import Gate
from convert.verify.statistics import Comparison, Labels, paired_effective_n, upper_bound
from device.workstation.conversion import Verdict
from device.workstation.wording import paired_test, photos_in_events

CHANCE = 0.05
"""Probability that a rule objects to a model that is just good enough, or misses a bad one."""


@dataclass(frozen=True)
class ClassLoss:
    """One class on the photos that the gate uses."""

    label: str
    n: int
    lost: int
    """Photos that only float gets right, minus those that only int8 does."""
    events: int
    effective_n: float
    """How many single photos would tell as much about the loss."""


@dataclass(frozen=True)
class Judgement:
    """The verdict and its basis."""

    verdict: Verdict
    failures: tuple[str, ...]
    """Why the model may not ship: rules that objected, and with `strict` too few photos."""
    n: int
    """Photos used: those of the validation and the test part."""
    events: int
    loss_bound_points: float
    """The loss of int8 is below this, one-sided 95%."""
    detectable_loss_points: float
    """A model that truly loses this much passes at most one time in twenty."""
    note: str
    """The statistical power of the verdict, as a sentence."""


def apply_gate(
    export: Comparison,
    quantization: Comparison,
    classes: Sequence[ClassLoss],
    gate: Gate,
    occasion_only: Collection[str] = (),
) -> Judgement:
    """Apply the gate to two comparisons on the same photos.

    Args:
        export: Keras against float TFLite.
        quantization: float against int8 TFLite.
        classes: the latter, by true class.
        gate: the limits.
        occasion_only: classes that all parts know from the same one or two events.
    """
    n, events = quantization.agreement.n, quantization.agreement.events
    single = quantization.effective_n / n
    bound = 100 * upper_bound(quantization.only_reference_right * single, n * single)
    detectable = _detectable_points(n * single, gate)
    failures = list(_failures(export, quantization, classes, gate))
    if failures:
        verdict = Verdict.FAILED
        note = f"judged by {photos_in_events(n, events)} of the validation and test part"
    elif bound > gate.loss_to_rule_out_points:
        verdict = _too_few(quantization, gate)
        note = (
            f"with {_photos(n, events)} int8 may lose up to {bound:.1f} points unseen, and "
            f"{gate.loss_to_rule_out_points:g} must be ruled out: that takes "
            f"{_needed(quantization, gate)}"
        )
        if gate.strict:
            failures.append(f"{verdict}: {note}")
    else:
        verdict = Verdict.PASSED
        note = (
            f"with these {_photos(n, events)} a model that loses {detectable:.1f} points or more "
            "passes at most 1 time in 20"
        )
    note += _occasions(occasion_only)
    return Judgement(verdict, tuple(failures), n, events, bound, detectable, note)


def _occasions(classes: Collection[str]) -> str:
    names = ", ".join(f'"{label}"' for label in classes)
    return f"; of {names} this holds for the occasions of their photos only" if names else ""


def class_losses(
    labels: Sequence[str],
    truth: Labels,
    named: Labels,
    other_named: Labels,
    events: Sequence[str],
) -> list[ClassLoss]:
    """By true class, how many photos the second model loses compared with the first.

    Args:
        labels: the classes' names.
        truth: int64 (n,).
        named: int64 (n,), the classes that the reference predicts.
        other_named: int64 (n,), the classes that the other model predicts.
        events: the event of each photo, n of them.
    """
    change = (named == truth).astype(int) - (other_named == truth).astype(int)
    occasions = np.asarray(events)
    return [
        _class_loss(label, change[truth == i], occasions[truth == i].tolist())
        for i, label in enumerate(labels)
    ]


def _class_loss(label: str, change: Labels, events: Sequence[str]) -> ClassLoss:
    if not len(change):
        return ClassLoss(label, 0, 0, 0, 0.0)
    effective = paired_effective_n(change, events)
    return ClassLoss(label, len(change), int(change.sum()), len(set(events)), effective)


def photos_needed(gate: Gate) -> int:
    """How many photos, with none lost, rule out the loss that the gate must rule out."""
    return int(np.ceil(np.log(CHANCE) / np.log1p(-gate.loss_to_rule_out_points / 100) - 1e-9))


def _photos(n: int, events: int) -> str:
    return f"{photos_in_events(n, events)} (validation and test part)"


def _too_few(quantization: Comparison, gate: Gate) -> Verdict:
    """What is lacking: photos, or events that they are of."""
    alone = upper_bound(quantization.only_reference_right, quantization.agreement.n)
    enough = 100 * alone <= gate.loss_to_rule_out_points
    return Verdict.NOT_ENOUGH_EVENTS if enough else Verdict.NOT_ENOUGH


def _needed(quantization: Comparison, gate: Gate) -> str:
    n, events = quantization.agreement.n, quantization.agreement.events
    if n == events:
        return f"{photos_needed(gate):,} photos without a lost one"
    wanted = int(np.ceil(photos_needed(gate) * events / quantization.effective_n))
    return f"about {wanted:,} such events without a lost photo"


def _failures(
    export: Comparison, quantization: Comparison, classes: Sequence[ClassLoss], gate: Gate
) -> Iterator[str]:
    n, events = quantization.agreement.n, quantization.agreement.events
    single = quantization.effective_n / n
    lost = quantization.only_reference_right - quantization.only_other_right
    if not _may_lose(lost * single, n * single, quantization.events_lost, gate):
        yield (
            f"int8 loses {quantization.loss_points:.2f} points of top-1 on "
            f"{photos_in_events(n, events)} (allowed: {gate.max_loss_points:.2f}; "
            f"{paired_test(n, events)} p = {quantization.mcnemar_p:.3f})"
        )
    for name, comparison, least in (
        ("int8 agrees with float", quantization, gate.min_agreement),
        ("float TFLite agrees with Keras", export, gate.min_export_agreement),
    ):
        agreement = comparison.agreement
        single = agreement.effective_n / n
        disagreements = (n - agreement.count) * single
        allowed = (1 - least, gate.always_allowed_disagreements)
        if not _within(disagreements, n * single, comparison.events_apart, *allowed):
            yield f"{name} on {agreement.value:.2%} of photos (at least {least:.1%})"
    if quantization.mean_divergence > gate.max_mean_divergence_bits:
        yield (
            f"the probabilities of int8 are {quantization.mean_divergence:.3f} bits from those of "
            f"float on average (at most {gate.max_mean_divergence_bits:g})"
        )
    for loss in classes:
        if _loses_too_much(loss, len(classes), gate):
            photos = photos_in_events(loss.n, loss.events)
            yield f'int8 loses {loss.lost} of the {photos} of class "{loss.label}"'


def _detectable_points(n: float, gate: Gate) -> float:
    """The upper bound of the loss, in points, with as many lost photos as may still pass."""
    allowed = int(n * gate.max_loss_points / 100) + gate.always_allowed_losses + 1
    most = min(allowed, int(n))
    bounds = [100 * upper_bound(k, n) for k in range(most + 1) if _may_lose(k, n, k, gate)]
    passing = [bound for bound in bounds if bound <= gate.loss_to_rule_out_points]
    return max(passing, default=bounds[0])


def _may_lose(lost: float, n: float, events: int, gate: Gate) -> bool:
    return _within(lost, n, events, gate.max_loss_points / 100, gate.always_allowed_losses)


def _within(count: float, n: float, events: int, share: float, always: int) -> bool:
    """Whether a count of bad photos is no more than a share of them allows.

    In a small part a few are allowed, or a few whole events, unless even they would be a rare
    accident if the true share were the allowed one. If the share is 0, none is allowed.
    """
    if count <= n * share + 1e-9:
        return True
    few = min(count, events)
    return share > 0 and few <= always and at_least(few, n, share) >= CHANCE


def _loses_too_much(loss: ClassLoss, classes: int, gate: Gate) -> bool:
    """Whether a class loses more than chance explains (Bonferroni over the classes)."""
    if loss.lost <= 0:
        return False
    single = loss.effective_n / loss.n
    chance = at_least(loss.lost * single, loss.effective_n, gate.max_class_loss_points / 100)
    return chance < CHANCE / classes


def at_least(count: float, n: float, share: float) -> float:
    """Probability of at least so many of n if the share is the true one.

    It is the incomplete beta function: at whole numbers the binomial tail, and smooth between them.
    """
    return float(beta.cdf(share, count, n - count + 1))
