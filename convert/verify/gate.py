"""The gate: may the int8 model ship, and how much can these photos prove?

There are three verdicts. A model that loses too much *failed*. Any other model *passed* only if the
photos rule out a larger loss. If they are too few for that, the verdict is *not enough photos to
tell*: thirty photos without a mistake prove nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from convert.config import Gate
from convert.verify.statistics import Comparison, Labels, upper_bound
from device.workstation.conversion import Verdict

CHANCE = 0.05
"""Probability that a rule objects to a model that is just good enough, or misses a bad one."""


@dataclass(frozen=True)
class ClassLoss:
    """One class on the photos that the gate uses."""

    label: str
    n: int
    lost: int
    """Photos that only float gets right, minus those that only int8 does."""


@dataclass(frozen=True)
class Judgement:
    """The verdict and its basis."""

    verdict: Verdict
    failures: tuple[str, ...]
    """Why the model may not ship: rules that objected, and with `strict` too few photos."""
    n: int
    """Photos used: those of the validation and the test part."""
    loss_bound_points: float
    """The loss of int8 is below this, one-sided 95%."""
    detectable_loss_points: float
    """A model that truly loses this much passes at most one time in twenty."""
    note: str
    """The statistical power of the verdict, as a sentence."""


def apply_gate(
    export: Comparison, quantization: Comparison, classes: Sequence[ClassLoss], gate: Gate
) -> Judgement:
    """Apply the gate to two comparisons on the same photos.

    Args:
        export: Keras against float TFLite.
        quantization: float against int8 TFLite.
        classes: the latter, by true class.
        gate: the limits.
    """
    n = quantization.agreement.n
    failures = list(_failures(export, quantization, classes, gate))
    bound = 100 * upper_bound(quantization.only_reference_right, n)
    detectable = _detectable_points(n, gate)
    if failures:
        verdict = Verdict.FAILED
        note = f"judged by {n:,} photos of the validation and test part"
    elif bound > gate.loss_to_rule_out_points:
        verdict = Verdict.NOT_ENOUGH
        note = (
            f"with {n:,} photos (validation and test part) int8 may lose up to {bound:.1f} points "
            f"unseen, and {gate.loss_to_rule_out_points:g} must be ruled out: that takes "
            f"{photos_needed(gate):,} photos without a lost one"
        )
        if gate.strict:
            failures.append(f"not enough photos to tell: {note}")
    else:
        verdict = Verdict.PASSED
        note = (
            f"with these {n:,} photos (validation and test part) a model that loses "
            f"{detectable:.1f} points or more passes at most 1 time in 20"
        )
    return Judgement(verdict, tuple(failures), n, bound, detectable, note)


def class_losses(
    labels: Sequence[str], truth: Labels, named: Labels, other_named: Labels
) -> list[ClassLoss]:
    """By true class, how many photos the second model loses compared with the first.

    Args:
        labels: the classes' names.
        truth: int64 (n,).
        named: int64 (n,), the classes that the reference predicts.
        other_named: int64 (n,), the classes that the other model predicts.
    """
    change = (named == truth).astype(int) - (other_named == truth).astype(int)
    return [
        ClassLoss(label, int((truth == i).sum()), int(change[truth == i].sum()))
        for i, label in enumerate(labels)
    ]


def photos_needed(gate: Gate) -> int:
    """How many photos, with none lost, rule out the loss that the gate must rule out."""
    return int(np.ceil(np.log(CHANCE) / np.log1p(-gate.loss_to_rule_out_points / 100) - 1e-9))


def _failures(
    export: Comparison, quantization: Comparison, classes: Sequence[ClassLoss], gate: Gate
) -> Iterator[str]:
    n = quantization.agreement.n
    lost = quantization.only_reference_right - quantization.only_other_right
    if not _may_lose(lost, n, gate):
        yield (
            f"int8 loses {quantization.loss_points:.2f} points of top-1 on {n:,} photos "
            f"(allowed: {gate.max_loss_points:.2f}; McNemar p = {quantization.mcnemar_p:.3f})"
        )
    for name, comparison, least in (
        ("int8 agrees with float", quantization, gate.min_agreement),
        ("float TFLite agrees with Keras", export, gate.min_export_agreement),
    ):
        disagreements = n - comparison.agreement.count
        if not _within(disagreements, n, 1 - least, gate.always_allowed_disagreements):
            yield f"{name} on {comparison.agreement.value:.2%} of photos (at least {least:.1%})"
    if quantization.mean_divergence > gate.max_mean_divergence_bits:
        yield (
            f"the probabilities of int8 are {quantization.mean_divergence:.3f} bits from those of "
            f"float on average (at most {gate.max_mean_divergence_bits:g})"
        )
    for loss in classes:
        if _loses_too_much(loss, len(classes), gate):
            yield f'int8 loses {loss.lost} of the {loss.n} photos of class "{loss.label}"'


def _detectable_points(n: int, gate: Gate) -> float:
    """The upper bound of the loss, in points, with as many lost photos as may still pass."""
    allowed = int(n * gate.max_loss_points / 100) + gate.always_allowed_losses + 1
    bounds = [100 * upper_bound(k, n) for k in range(min(allowed, n) + 1) if _may_lose(k, n, gate)]
    passing = [bound for bound in bounds if bound <= gate.loss_to_rule_out_points]
    return max(passing, default=bounds[0])


def _may_lose(lost: int, n: int, gate: Gate) -> bool:
    return _within(lost, n, gate.max_loss_points / 100, gate.always_allowed_losses)


def _within(count: int, n: int, share: float, always: int) -> bool:
    """Whether a count of bad photos is no more than a share of them allows.

    In a small part a few are allowed, unless even they would be a rare accident if the true share
    were the allowed one. If the share is 0, none is allowed.
    """
    if count <= n * share + 1e-9:
        return True
    return share > 0 and count <= always and float(binom.sf(count - 1, n, share)) >= CHANCE


def _loses_too_much(loss: ClassLoss, classes: int, gate: Gate) -> bool:
    """Whether a class loses more than chance explains (Bonferroni over the classes)."""
    if loss.lost <= 0:
        return False
    chance = float(binom.sf(loss.lost - 1, loss.n, gate.max_class_loss_points / 100))
    return chance < CHANCE / classes
