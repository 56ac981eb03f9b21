"""The section on quantization that verification puts into training's report.

The same verification and photos give the same section, so it has no date and no random id.
"""

from collections.abc import Callable
from pathlib import Path

from convert.report import plots
from convert.report.pictures import picture
from convert.verify.confidence import MIN_EVENTS
from device.contract.arrays import Pixels
from device.workstation.conversion import LayerFigures, VerificationRecord
from device.workstation.templates import environment
from device.workstation.training import Calibration
from device.workstation.wording import photos_in_events

TEMPLATE = "quantization.html.j2"
PICTURE_PX = 320
LAYERS_SHOWN = 8


def section(
    record: VerificationRecord,
    calibration: Calibration,
    load: Callable[[str], Pixels],
) -> str:
    """The section as HTML, for the style sheet of training's page.

    Args:
        record: the content of `verification.json`.
        calibration: training's record of the folded temperature.
        load: gives the pixels of a photo by its path in the data folder.
    """
    templates = environment(Path(__file__).parent)
    templates.filters.update(percent=_percent, decibels=_decibels)
    evidence = record.evidence
    return templates.get_template(TEMPLATE).render(
        v=record,
        photos=photos_in_events,
        temperature=calibration,
        least_events=MIN_EVENTS,
        worst=sorted(evidence.layers, key=_own_noise)[:LAYERS_SHOWN],
        layer_plot=plots.layer_plot(evidence.layers),
        reliability_plot=plots.reliability_plot(evidence.calibration),
        threshold_plot=plots.threshold_plot(evidence.threshold_curve, record.threshold.value),
        pictures=[picture(load(row.path), PICTURE_PX) for row in evidence.disagreements],
    )


def _own_noise(layer: LayerFigures) -> float:
    return float("inf") if layer.local_sqnr_db is None else layer.local_sqnr_db


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"
