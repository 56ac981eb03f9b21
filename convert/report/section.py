"""The section on quantization that verification puts into training's report.

The same verification and photos give the same section, so it has no date and no random id.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from convert.report import plots
from convert.report.pictures import picture
from convert.verify.clutter import clutter
from convert.verify.confidence import MIN_EVENTS
from convert.verify.left_out import MOST_PHOTOS
from device.contract.arrays import Pixels
from device.workstation.conversion import (
    EvidenceFigures,
    LayerFigures,
    VerificationRecord,
)
from device.workstation.faults.catalogue import Strength
from device.workstation.faults.figures import Told
from device.workstation.templates import environment
from device.workstation.training import Calibration
from device.workstation.unknown.strangers import TurnedFigures
from device.workstation.wording import photos_in_events

TEMPLATE = "quantization.html.j2"
FAULTS_TEMPLATE = "faults.html.j2"
CONTENTS = (
    ("layers", "Noise by layer"),
    ("trust", "How reliable a score is"),
    ("unknown", "When it says unknown"),
    ("faults", "Under faults of the camera"),
    ("edgetpu", "On an Edge TPU"),
    ("disagreements", "Where float and int8 disagree"),
)
FAULT_PX = 160
PICTURE_PX = 320
RENDERED_SIZE = (160, 160)
LAYERS_SHOWN = 8


def section(
    record: VerificationRecord,
    calibration: Calibration,
    load: Callable[[str], Pixels],
    spoiled: Mapping[str, Pixels] | None = None,
) -> str:
    """The section as HTML, for the style sheet of training's page.

    Args:
        record: the content of `verification.json`.
        calibration: training's record of the folded temperature.
        load: gives the pixels of a photo by its path in the data folder.
        spoiled: a photo under each fault at medium strength, by the fault's name.
    """
    templates = environment(Path(__file__).parent)
    templates.filters.update(percent=_percent, decibels=_decibels)
    evidence = record.evidence
    shown = {name: picture(pixels, FAULT_PX) for name, pixels in (spoiled or {}).items()}
    return templates.get_template(TEMPLATE).render(
        v=record,
        contents=CONTENTS,
        faults=_faults(templates, record, shown),
        photos=photos_in_events,
        temperature=calibration,
        least_events=MIN_EVENTS,
        worst=sorted(evidence.layers, key=_own_noise)[:LAYERS_SHOWN],
        layer_plot=plots.layer_plot(evidence.layers),
        reliability_plot=plots.reliability_plot(evidence.calibration),
        threshold_plot=plots.threshold_plot(evidence.threshold_curve, record.threshold.value),
        pictures=[picture(load(row.path), PICTURE_PX) for row in evidence.disagreements],
        strangers=strangers(evidence),
        most_taught=MOST_PHOTOS,
        named=[
            picture(clutter(int(row.picture), RENDERED_SIZE), PICTURE_PX) for row in evidence.named
        ],
        own_named=[
            picture(load(row.picture), PICTURE_PX)
            for row in (evidence.own.named if evidence.own else ())
        ],
    )


def _faults(templates: Environment, record: VerificationRecord, shown: Mapping[str, str]) -> Markup:
    """The part on faults of the camera; empty if they were left out."""
    figures = record.under_faults
    if figures is None:
        return Markup()
    medium = figures.at(Strength.MEDIUM)
    order = [row.fault for row in medium]
    few = [each.fault for each in figures.rulings if each.told is Told.TOO_FEW]
    return Markup(
        templates.get_template(FAULTS_TEMPLATE).render(
            v=record,
            f=figures,
            medium=medium,
            weak={row.fault: row for row in figures.at(Strength.WEAK)},
            strong={row.fault: row for row in figures.at(Strength.STRONG)},
            by_class=sorted(figures.rows, key=lambda row: order.index(row.fault)),
            undecided=[row.title for row in medium if row.fault in few],
            fault_plot=plots.fault_plot(figures),
            samples=shown,
        )
    )


def strangers(evidence: EvidenceFigures) -> list[tuple[str, TurnedFigures]]:
    """The kinds of pictures that show no class, with what becomes of them."""
    own = evidence.own
    kinds = [
        ("your own, from _other", own.int8 if own else None),
        ("the same, by the float network", own.float if own else None),
        ("rendered: noise, gradients, stripes, clouds, shapes", evidence.clutter),
        ("boxes of background from the test photos", evidence.backgrounds),
    ]
    return [(kind, figures) for kind, figures in kinds if figures is not None]


def _own_noise(layer: LayerFigures) -> float:
    return float("inf") if layer.local_sqnr_db is None else layer.local_sqnr_db


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"
