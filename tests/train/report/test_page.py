"""Promises of the training report."""

import base64
import io
import itertools
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Pixels
from device.errors import PhotoError
from device.workstation.training import Metrics
from tests.support.builds.training_records import metrics_of
from tests.support.html_page import FLOWERS, HOSTILE, Page, load, page_of, render
from train.report.page import CONTENTS, STEPS


@pytest.fixture
def metrics() -> Metrics:
    return metrics_of([[28, 2, 0], [1, 25, 4], [0, 0, 30]], FLOWERS)


def test_key_figures_are_shown_with_interval_and_number_of_photos(metrics: Metrics) -> None:
    found = page_of(metrics).fields
    assert found["test.accuracy"] == "92.2%" and found["test.n"] == "90"
    assert (found["test.low"], found["test.high"]) == ("82.1%", "95.7%")
    assert found["validation.accuracy"] == "93.3%" and found["validation.n"] == "90"
    assert found["validation.head_only_accuracy"] == "88.9%"
    assert found["best_epoch"] == found["epochs_finished"] == "2"


KEY_FIGURES = """\
Test accuracy (top\u20111) 92.2% 95% interval 82.1% to 95.7%, n = 90 \
Validation accuracy 93.3% n = 90; it chose the epoch \
Head only, validation 88.9% before fine-tuning \
Best epoch 2 of 2 finished"""


def test_key_figures_are_said_in_these_words(metrics: Metrics) -> None:
    assert page_of(metrics).fields["figures"] == KEY_FIGURES


def test_report_says_which_data_it_was_made_from(metrics: Metrics) -> None:
    page = page_of(metrics)
    assert "4,380 photos in 3 classes, folder 'garden'" in page.fields["origin"]
    assert "ab" * 32 in page.text


def test_report_says_what_was_grouped_and_from_which_correlation(metrics: Metrics) -> None:
    found = page_of(metrics).fields
    numbers = {name: text.split()[0] for name, text in found.items() if "correlation" in name}
    assert numbers == {"correlation 0.94": "4,330", "correlation 0.997": "50"}
    assert found["edited_copies"].split()[0] == "7"


def test_report_of_rendered_data_says_so(metrics: Metrics) -> None:
    rendered = replace(metrics.data, kind="rendered")
    found = list(page_of(replace(metrics, data=rendered)).fields)
    assert found.index("rendered") < found.index("figures")


def test_report_of_photos_has_no_notice_of_rendered_data(metrics: Metrics) -> None:
    assert "rendered" not in page_of(metrics).text


def test_sections_stand_in_the_promised_order(metrics: Metrics) -> None:
    headings = [attrs["id"] for attrs in page_of(metrics).named("h2")]
    assert headings == [
        "figures",
        "data",
        "classes",
        "confusion",
        "curves",
        "mistakes",
        "quantization",
        "network",
        "settings",
    ]


def test_headings_leave_out_no_level(metrics: Metrics) -> None:
    levels = [int(level) for level in re.findall(r"<h(\d)", render(metrics, load))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_contents_lead_to_every_section_and_step(metrics: Metrics) -> None:
    html = render(metrics, load)
    links = re.findall(r'<li><a href="#([\w-]+)">(.*?)</a></li>', html)
    assert links == [*CONTENTS, *STEPS]
    for anchor, _ in links:
        assert re.search(rf'<h[23] id="{anchor}"', html)


def test_place_of_quantization_is_marked_and_says_that_it_is_to_come(
    metrics: Metrics,
) -> None:
    html = render(metrics, load)
    begin, end = "<!-- quantization -->", "<!-- /quantization -->"
    assert html.count(begin) == html.count(end) == 1
    section = html[html.index(begin) + len(begin) : html.index(end)]
    assert section.startswith("<section") and section.endswith("</section>")
    assert 'id="quantization"' in section and "<code>make</code>" in section
    assert html.index('id="mistakes"') < html.index(begin) < html.index('id="network"')


def test_samples_are_some_training_photos_of_each_class(metrics: Metrics) -> None:
    pictures = [img for img in page_of(metrics).named("img") if "training photo" in img["alt"]]
    names = [img["alt"].split(",")[0] for img in pictures]
    assert names == [label for label in FLOWERS for _ in range(4)]


def test_photos_left_out_are_named_with_their_reason(metrics: Metrics) -> None:
    left_out = page_of(metrics).table("file")
    assert left_out[1:] == [[f"{label}/7.jpg", "damaged <b>"] for label in FLOWERS]


def test_early_stop_is_reported(metrics: Metrics) -> None:
    assert "interrupted" not in page_of(metrics).fields
    stopped = page_of(replace(metrics, interrupted=True))
    assert re.findall(r"\d+", stopped.fields["interrupted"]) == ["2", "6"]


def test_photos_are_counted_by_class_and_part(metrics: Metrics) -> None:
    counts = page_of(metrics).table("class")
    assert counts[0] == ["class", "train", "validation", "test", "left out", "all"]
    assert counts[1] == ["daisy", "1,400", "30", "30", "2", "1,462"]
    assert counts[-1] == ["all", "4,200", "90", "90", "6", "4,386"]


def test_every_class_has_its_figures(metrics: Metrics) -> None:
    classes = page_of(metrics).table("class", number=3)
    assert classes[0] == ["class", "precision", "recall", "F1", "n"]
    assert classes[1] == ["daisy", "96.6%", "93.3%", "94.9%", "30"]
    assert [row[0] for row in classes[1:]] == list(FLOWERS)


def test_precision_of_a_class_never_predicted_is_a_dash() -> None:
    page = page_of(metrics_of([[5, 0], [5, 0]], ("cat", "dog")))
    classes = page.table("class", number=3)
    assert classes[2] == ["dog", "–", "0.0%", "0.0%", "5"]


def test_a_class_without_test_photos_has_dashes_and_is_named() -> None:
    page = page_of(metrics_of([[5, 1], [0, 0]], ("cat", "dog")))
    assert page.table("class", number=3)[2] == ["dog", "0.0%", "–", "–", "0"]
    assert page.fields["unjudged"].strip() == "dog"


def test_rows_of_the_matrix_are_the_true_classes(metrics: Metrics) -> None:
    page = page_of(metrics)
    matrix = page.table("predicted")
    assert matrix[0][1:] == [*FLOWERS, "n"]
    assert matrix[1] == ["daisy", "28", "2", "0", "30"]
    assert matrix[2] == ["rose", "1", "25", "4", "30"]
    most = [attrs for attrs in page.named("span") if "data-count" in attrs]
    assert [(a["data-true"], a["data-predicted"], a["data-count"]) for a in most] == [
        ("rose", "tulip", "4"),
        ("daisy", "rose", "2"),
        ("rose", "daisy", "1"),
    ]


def test_cells_of_the_matrix_are_shaded_by_share_of_the_row() -> None:
    html = render(metrics_of([[75, 25, 0], [0, 4, 0], [0, 0, 9]], FLOWERS), load)
    shades = dict(re.findall(r'style="--o:([\d.]+)">(\d+)</td>', html))
    assert shades == {"0.65": "75", "0.38": "25", "0.75": "9"}


def test_table_headers_name_their_row_or_column(metrics: Metrics) -> None:
    headers = page_of(metrics).named("th")
    without = [header for header in headers if header.get("scope") not in ("row", "col")]
    assert [header.get("class") for header in without] == ["corner"]


def test_labels_with_markup_are_shown_as_text() -> None:
    metrics = metrics_of([[5, 2], [1, 4]], ("rose", HOSTILE))
    data = replace(metrics.data, name=HOSTILE, description=HOSTILE)
    metrics = replace(metrics, data=data)

    def vanished(path: str) -> Pixels:
        raise PhotoError(HOSTILE)

    html = render(metrics, vanished)
    page = Page(html)
    assert not page.named("script")
    assert HOSTILE in page.text
    assert page.table("predicted")[2][0] == HOSTILE
    assert "<b>co" not in html


def test_mistakes_are_shown_with_both_classes_score_and_file(metrics: Metrics) -> None:
    page = page_of(metrics)
    worst = next(attrs for attrs in page.named("li") if "data-path" in attrs)
    assert worst == {
        "data-true": "daisy",
        "data-predicted": "rose",
        "data-score": "98.7%",
        "data-path": "daisy/0.jpg",
    }
    assert all(value in page.text for value in worst.values())
    assert (page.fields["mistakes.shown"], page.fields["mistakes.all"]) == ("3", "7")
    pictures = page.mistakes
    assert len(pictures) == 3
    assert pictures[0]["alt"] == "daisy, taken for rose"


def test_pictures_are_the_photos_as_jpeg(metrics: Metrics) -> None:
    picture = page_of(metrics).mistakes[0]
    kind, data = picture["src"].split(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (image.format, image.size) == ("JPEG", (60, 40))
    assert np.abs(np.asarray(image).astype(int) - load("daisy/0.jpg")).max() <= 2


def test_large_photos_are_shrunk(metrics: Metrics) -> None:
    html = render(metrics, lambda path: np.zeros((600, 1200, 3), np.uint8))
    picture = Page(html).mistakes[0]
    assert (picture["width"], picture["height"]) == ("320", "160")


def test_a_vanished_photo_leaves_a_placeholder(metrics: Metrics) -> None:
    def one_gone(path: str) -> Pixels:
        if path == "daisy/0.jpg":
            raise PhotoError("No such file or directory")
        return load(path)

    page = Page(render(metrics, one_gone))
    assert "No such file or directory" in page.fields["gone"]
    assert len(page.mistakes) == 2


def test_a_run_without_mistakes_says_so() -> None:
    page = page_of(metrics_of([[30, 0], [0, 12]], ("cat", "dog")))
    assert re.findall(r"\d+", page.fields["no_mistakes"]) == ["42"]
    assert not [attrs for attrs in page.named("span") if "data-count" in attrs]
    assert not page.mistakes


def test_a_run_of_the_head_alone_has_no_curves(metrics: Metrics) -> None:
    page = page_of(replace(metrics, history=metrics.history[:1], best_epoch=0))
    assert {"no_curves", "head_alone"} <= set(page.fields)
    assert page.fields["best_epoch"] == page.fields["epochs_finished"] == "0"
    assert not [svg for svg in page.named("svg") if "epochs" in svg["aria-label"]]


def test_curves_are_drawn_and_stand_as_numbers_too(metrics: Metrics) -> None:
    page = page_of(metrics)
    labels = [svg["aria-label"] for svg in page.named("svg")]
    assert labels[:2] == ["Loss over epochs", "Validation accuracy over epochs"]
    numbers = page.table("epoch")
    assert numbers[1] == ["0", "–", "0.4100", "88.9%"]
    assert numbers[3] == ["2 (kept)", "0.8500", "0.3300", "93.3%"]


def test_curves_take_the_colours_of_the_page(metrics: Metrics) -> None:
    html = render(metrics, load)
    plots = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}\b", plots)
    for name in set(re.findall(r"var\((--\w+)\)", plots)):
        assert html.count(f"{name}: #") == 2, f"{name} must be set for light and for dark"


def test_no_id_stands_twice(metrics: Metrics) -> None:
    ids = [attrs["id"] for _, attrs in page_of(metrics).tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_references_of_the_page_lead_somewhere(metrics: Metrics) -> None:
    html = render(metrics, load)
    ids = {attrs["id"] for _, attrs in Page(html).tags if "id" in attrs}
    used = set(re.findall(r'(?:aria-\w+by|href)="#?([\w-]+)"', html))
    used |= set(re.findall(r"url\(#([\w-]+)\)", html))
    assert used <= ids


def test_settings_are_collapsed_and_complete(metrics: Metrics) -> None:
    page = page_of(metrics)
    assert all("open" not in details for details in page.named("details"))
    settings = page.table("architecture.name")
    assert ["architecture.alpha", "1.0"] in settings
    assert ["learning_rate", "0.0003"] in settings
    assert ["weights SHA-256", "cd" * 32] in settings


@pytest.mark.parametrize("count", [2, 30, 100])
def test_any_number_of_classes_has_a_whole_matrix(count: int) -> None:
    labels = [f"class {number:03} {'long ' * number}".strip() for number in range(count)]
    confusion = np.eye(count, dtype=int) * 5 + np.eye(count, k=1, dtype=int)
    page = page_of(metrics_of(confusion.tolist(), labels))
    matrix = page.table("predicted")
    assert [len(row) for row in matrix] == [count + 2] * (count + 1)
    assert [row[0] for row in matrix[1:]] == labels
    box = next(attrs for _, attrs in page.tags if "matrix" in attrs.get("class", "").split())
    assert ("upright" in box["class"]) == (count > 2)
    assert "scroll" in box["class"]


def test_the_same_metrics_give_the_same_page(metrics: Metrics) -> None:
    first = render(metrics, load)
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": None, "lines.linewidth": 9}):
        assert render(metrics, load) == first


def test_report_leaves_the_settings_of_plots_alone(metrics: Metrics) -> None:
    before = dict(mpl.rcParams)
    render(metrics, load)
    assert dict(mpl.rcParams) == before


def test_report_loads_nothing_from_outside(metrics: Metrics) -> None:
    html = render(metrics, load)
    page = Page(html)
    assert "//" not in re.sub(r"base64,[\w+/=]+", "", html)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    loading = {"script", "iframe", "object", "embed", "video", "audio", "source", "base"}
    assert not loading & {tag for tag, _ in page.tags}
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            assert attrs.get(name, "#").startswith(("#", "data:"))
        assert not [name for name in attrs if name.startswith("on")]
    policy = next(meta for meta in page.named("meta") if "http-equiv" in meta)
    assert policy["content"].startswith("default-src 'none';")
