"""Promises of the chapter on the network."""

import dataclasses
import io
import re
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from keras import Model
from PIL import Image

from tests.support.builds.small_networks import chapter_of, random_network
from tests.support.builds.training_records import PRETRAINED, metrics_of
from tests.support.html_page import Page, load, rows_of
from tests.support.pictures import SIZE_PX, square_picture
from train.network.backbones import BACKBONES
from train.network.layer_table import describe
from train.page import pictures
from train.report import network_views
from train.report import page as report
from train.report.boxes import Boxes
from train.report.chapter import DEPTHS, hierarchy
from train.report.chapter_records import Chapter

PAGE_LIMIT_BYTES = 3_000_000


def page_with(chapter: Chapter, **changes: Any) -> str:
    count = len(chapter.labels)
    metrics = metrics_of((np.eye(count, dtype=int) * 5).tolist(), chapter.labels)
    metrics = dataclasses.replace(metrics, **changes)
    return report.render(metrics, rows_of(metrics), load, chapter, Boxes())


def subject_of(chapter: Chapter) -> int:
    return int(re.findall(r"\d+", chapter.subject.path)[-1])


def test_the_class_map_averages_to_the_logits_and_they_make_the_probabilities() -> None:
    chapter, network = chapter_of(), random_network()
    result = network(square_picture(subject_of(chapter))[np.newaxis])
    probabilities = result["probabilities"].numpy()[0]
    class_map = result["class_map"].numpy()[0]
    for item in chapter.evidence.classes:
        number = chapter.labels.index(item.label)
        assert item.probability == pytest.approx(float(probabilities[number]), abs=1e-5)
        assert item.logit == pytest.approx(float(class_map[..., number].mean()), abs=1e-4)
    assert chapter.evidence.cells.mean() == pytest.approx(chapter.evidence.classes[0].logit)
    assert chapter.subject.probability == pytest.approx(probabilities.max(), abs=1e-5)


def test_in_the_first_layer_a_moved_photo_gives_the_same_map_moved() -> None:
    moved = chapter_of().moved
    assert moved.shift_px == 32 and moved.cells == 1
    assert moved.first_difference < 1e-4


def test_moving_keeps_the_pixels_and_mirrors_the_rest() -> None:
    photo = square_picture(0)
    moved = network_views.moved(photo, 10)
    assert np.array_equal(moved[:, 10:], photo[:, :-10])
    assert np.array_equal(moved[:, 9], photo[:, 1])


def test_shuffling_keeps_every_pixel() -> None:
    photo = square_picture(0)
    shuffled = network_views.shuffled(photo)
    assert not np.array_equal(shuffled, photo)
    before, after = (sorted(map(tuple, x.reshape(-1, 3).tolist())) for x in (photo, shuffled))
    assert before == after


def test_zeros_at_the_border_change_a_plain_picture_there() -> None:
    border = chapter_of().border
    assert border.edge > 0
    assert 0 < border.changed_cells < border.cells or border.cells == 1


def test_contributions_of_the_last_layer_add_up_to_the_logit() -> None:
    network = random_network()
    model = Model(network.input, network.get_layer("features").output)
    maps = model(square_picture(2)[np.newaxis]).numpy()[0]
    added = network_views.contributions(network, "features", maps, 1)
    kernel = network.get_layer("class_map").get_weights()[0][0, 0]
    expected = maps.mean(axis=(0, 1)) * (kernel[:, 1] - kernel.mean(axis=1))
    assert np.allclose(added, expected, atol=1e-5)


def test_channels_that_look_the_same_are_shown_once() -> None:
    rng = np.random.default_rng(0)
    maps = rng.uniform(size=(7, 7, 3)).astype(np.float32)
    maps = np.concatenate([maps, maps[..., :1] * 2, np.zeros((7, 7, 1), np.float32)], axis=2)
    assert network_views.unlike_channels(maps, np.array((1, 3, 2, 4, 5.0)), 4) == [3, 1, 2]


def test_a_photo_classified_right_is_preferred_to_a_colourful_wrong_one() -> None:
    grey = np.full((8, 8, 3), 99, np.uint8)
    grey[0, 0] = 30, 20, 20
    colourful = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    candidates = [network_views.Candidate("a", 0, colourful), network_views.Candidate("b", 1, grey)]
    maps = np.random.default_rng(1).normal(size=(2, 3, 3, 2)).astype(np.float32)
    survey = network_views.Survey(np.array([[0.1, 0.9], [0.4, 0.6]], np.float32), maps, {}, {})
    assert network_views.most_telling(candidates, survey) == 1


def test_a_spread_map_has_its_values_at_the_centres_of_its_cells() -> None:
    cells = np.arange(9.0).reshape(3, 3)
    drawn = pictures.spread(cells, 96, 31, 32)
    assert drawn.shape == (96, 96)
    assert np.allclose(drawn[31::32, 31::32], cells)
    assert drawn[0, 0] == cells[0, 0]


def test_small_pictures_are_kept_to_the_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 3, 3)).astype(np.uint8)
    picture = pictures.exact(pixels)
    image = Image.open(io.BytesIO(b64decode(picture.src.split(",")[1])))
    assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("classes", "size_px"), [(2, SIZE_PX), (30, 64), (3, 32)])
def test_the_page_holds_for_any_number_of_classes_and_size(classes: int, size_px: int) -> None:
    chapter = chapter_of(classes, size_px)
    html = page_with(chapter)
    page = Page(html)
    assert len(html.encode()) < PAGE_LIMIT_BYTES
    assert not re.search(r"\b(nan|inf)\b", page.text)
    # Numbers as a person would write them: nothing like 0.30000000000000004 or 1e-07.
    assert not re.search(r"\d\.\d{5,}", page.text)
    shown = [img["alt"] for img in page.named("img") if img["alt"].startswith("Class map of class")]
    assert len(shown) == min(classes, 6)
    softmax = page.table("class", number=4)
    assert len(softmax) == 1 + min(classes, 6) + (classes > 6) + 1
    assert softmax[-1][-1] == "100.0%"
    for depth in chapter.depths:
        assert depth.channels, depth.role


def test_four_depths_are_shown_from_edges_to_objects() -> None:
    html = page_with(chapter_of())
    positions = [html.index(f". {role.capitalize()}</h4>") for role in DEPTHS]
    assert len(positions) == 4 and positions == sorted(positions)


@pytest.mark.parametrize("size_px", [96, 132])
def test_the_chapter_tells_of_the_network_that_was_trained(size_px: int) -> None:
    """At 132 pixels most maps have an odd side."""
    chapter = chapter_of(2, size_px, backbone="efficientnet-lite0")
    assert [depth.layer.name for depth in chapter.depths] == [
        *("conv0", "block_3_expand", "block_11_expand", "features"),
    ]
    network = random_network(2, size_px, "efficientnet-lite0")
    first = Model(network.input, network.get_layer("conv0").output)
    outputs = first(square_picture(subject_of(chapter), size_px)[np.newaxis]).numpy()[0]
    row, column = chapter.neuron.place
    found = outputs[row, column, chapter.neuron.channel]
    assert chapter.neuron.output == pytest.approx(float(found), abs=1e-4)
    began = dataclasses.replace(PRETRAINED, title="EfficientNet-Lite0", paper="Tan and Le 2019")
    html = " ".join(page_with(chapter, pretrained=began).split())
    assert "is EfficientNet-Lite0 (Tan and Le 2019)" in html and "MobileNet" not in html
    assert "(byte − 127) / 128" in html
    assert "depthwise 3 × 3 or 5 × 5 convolutions" in html


def test_every_layer_is_in_the_table_with_its_figures() -> None:
    chapter = chapter_of()
    table = Page(page_with(chapter)).table("layer")
    assert [row[0] for row in table[1:-1]] == [layer.name for layer in chapter.layers]
    row = next(row for row in table if row[0] == "conv0")
    first = chapter.first
    shape = " × ".join(map(str, first.output))
    assert row[1:7] == ["convolution", "3 × 3", "2", "same", str(first.output[2]), shape]
    assert row[9] == f"{first.macs:,}"
    assert table[-1][9] == f"{chapter.macs:,}"


def test_what_was_frozen_and_trained_is_told_with_counts() -> None:
    chapter = chapter_of()
    parts = Page(page_with(chapter)).table("part")
    counts = {row[0]: int(row[2].replace(",", "")) for row in parts[1:]}
    assert sum(counts.values()) == chapter.parameters
    assert counts["fine-tuned"] > 0 and counts["frozen"] > 0
    assert counts["new"] == chapter.head.parameters


def test_a_run_of_the_head_alone_shows_all_the_rest_as_frozen() -> None:
    metrics = metrics_of([[5, 0, 0], [0, 5, 0], [0, 0, 5]], chapter_of().labels)
    table = [dataclasses.replace(layer, trained=False) for layer in chapter_of().layers]
    frozen = dataclasses.replace(chapter_of(), layers=tuple(table))
    only_head = {"history": metrics.history[:1], "best_epoch": 0, "weight_change": {}}
    page = Page(page_with(frozen, **only_head))
    assert "only the new layer was trained" in page.text
    assert "with fine-tuning" not in page.text
    counts = {row[0]: row[2] for row in page.table("part")[1:]}
    assert counts["fine-tuned"] == "0"


def test_a_single_test_photo_is_enough() -> None:
    page = Page(page_with(chapter_of(3, 32, photos=1)))
    assert "0 other test photos" in page.text


def test_the_chapter_repeats_except_for_times() -> None:
    first, second = chapter_of(3, 32), chapter_of.__wrapped__(3, 32)
    same_times = dataclasses.replace(second, time_shares=first.time_shares)
    assert page_with(same_times) == page_with(first)


def test_wide_tables_scroll_within_themselves() -> None:
    html = page_with(chapter_of(30, 64))
    for match in re.finditer(r"<table(?! class=\"(?:numbers|changes)\")", html):
        before = html[: match.start()].rstrip()
        assert re.search(r'<div class="[\w ]*scroll[\w ]*"[^>]*>$', before), before[-99:]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_four_depths_to_show(backbone: str) -> None:
    network = random_network(size_px=64, backbone=backbone)
    names = hierarchy(describe(network, "block_4"))
    assert len(set(names)) == 4
    sides = [network.get_layer(name).output.shape[1] for name in names]
    assert sides == sorted(sides, reverse=True) and sides[0] > sides[1] > sides[2]
